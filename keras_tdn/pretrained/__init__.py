"""Weights from elsewhere: the authors' checkpoints, ImageNet and presets. Names are lazy."""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.pretrained.conversion import ConversionReport, convert_official_checkpoint
    from keras_tdn.pretrained.preset_config import Accuracy, PresetCard
    from keras_tdn.pretrained.preset_publishing import (
        PresetReport,
        PushReport,
        push_preset,
        verify_preset,
    )
    from keras_tdn.pretrained.presets import load_preset, save_preset
    from keras_tdn.pretrained.state_dict import load_official_state_dict, to_official_state_dict

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Accuracy": "preset_config",
        "ConversionReport": "conversion",
        "PresetCard": "preset_config",
        "PresetReport": "preset_publishing",
        "PushReport": "preset_publishing",
        "convert_official_checkpoint": "conversion",
        "load_official_state_dict": "state_dict",
        "load_preset": "presets",
        "push_preset": "preset_publishing",
        "save_preset": "presets",
        "to_official_state_dict": "state_dict",
        "verify_preset": "preset_publishing",
    },
)
