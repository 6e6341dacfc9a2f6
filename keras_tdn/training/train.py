"""Where `train` was before `keras_tdn.training.train` became the function itself."""

from keras_tdn.training.training_run import train

__all__ = ["train"]
