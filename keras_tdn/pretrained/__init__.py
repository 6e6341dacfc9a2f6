"""Weights from elsewhere: the authors' checkpoints, ImageNet and presets."""

from keras_tdn.pretrained.official import load_official_state_dict, to_official_state_dict

__all__ = [
    "load_official_state_dict",
    "to_official_state_dict",
]
