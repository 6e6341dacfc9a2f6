from .conversion import (
    ConversionReport as ConversionReport,
    convert_official_checkpoint as convert_official_checkpoint,
)
from .preset_config import Accuracy as Accuracy, PresetCard as PresetCard
from .preset_publishing import (
    PresetReport as PresetReport,
    PushReport as PushReport,
    push_preset as push_preset,
    verify_preset as verify_preset,
)
from .presets import load_preset as load_preset, save_preset as save_preset
from .state_dict import (
    load_official_state_dict as load_official_state_dict,
    to_official_state_dict as to_official_state_dict,
)
