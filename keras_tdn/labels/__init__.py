"""Class names of the published data sets, in the order of the models' scores."""

from keras_tdn.labels.label_lists import DATASETS, load_labels

__all__ = ["DATASETS", "load_labels"]
