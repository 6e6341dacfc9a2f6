"""Models folded for inference: the same scores as the Keras model's, sooner.

Names are imported when they are first used; `can_fold` needs no TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.inference.folding import can_fold
    from keras_tdn.inference.inference_network import FoldedNetwork, folded_network

__all__ = ["FoldedNetwork", "can_fold", "folded_network"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FoldedNetwork": "inference_network",
        "can_fold": "folding",
        "folded_network": "inference_network",
    },
)
