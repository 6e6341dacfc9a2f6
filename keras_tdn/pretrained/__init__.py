"""Weights from elsewhere: the authors' checkpoints, ImageNet and presets."""

from keras_tdn.pretrained.card import Accuracy, PresetCard
from keras_tdn.pretrained.conversion import ConversionReport, convert_official_checkpoint
from keras_tdn.pretrained.official import load_official_state_dict, to_official_state_dict
from keras_tdn.pretrained.preset_verification import PresetReport, verify_preset
from keras_tdn.pretrained.presets import load_preset, save_preset
from keras_tdn.pretrained.push import PushReport, push_preset

__all__ = [
    "Accuracy",
    "ConversionReport",
    "PresetCard",
    "PresetReport",
    "PushReport",
    "convert_official_checkpoint",
    "load_official_state_dict",
    "load_preset",
    "push_preset",
    "save_preset",
    "to_official_state_dict",
    "verify_preset",
]
