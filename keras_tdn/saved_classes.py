"""Our classes, found by Keras in saved files although nothing has imported them yet.

`register_keras_serializable` registers a class when its module is imported, and `import keras_tdn`
imports no module that needs Keras. It enters a stand-in for each class instead, which imports the
class when Keras asks for it: at once if Keras is there, else as soon as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

from keras_tdn.imports import around_import

# Of `register_keras_serializable`, and where modules are looked for.
SERIALIZATION_PACKAGE = "keras_tdn"
# By name, the module in the package that has the class.
CLASSES = {
    "BatchNormalization": "layers.batch_norm",
    "CenterFrame": "layers.segment_layers",
    "Conv2D": "layers.convolution",
    "CoupledSGD": "training.optimizer",
    "ExpectedCalibrationError": "evaluation.metrics",
    "LongTermTDM": "layers.long_term_tdm",
    "MeanClassAccuracy": "evaluation.metrics",
    "MotionFusion": "layers.short_term_tdm",
    "SegmentConsensus": "layers.segment_layers",
    "ShortTermTDM": "layers.short_term_tdm",
    "TDNResNet": "models.tdn_resnet",
    "TemporalShift": "layers.temporal_shift",
    "UnfoldSegments": "layers.segment_layers",
    "WarmUp": "training.schedules",
}


def make_classes_known() -> None:
    """Has Keras find the classes by name, whether it is imported before or after this package."""
    if "keras" in sys.modules:
        _enter_stand_ins()
    else:
        around_import("keras", _enter_stand_ins_at_the_end)


@contextlib.contextmanager
def _enter_stand_ins_at_the_end() -> Iterator[None]:
    yield
    _enter_stand_ins()


def _enter_stand_ins() -> None:
    from keras.saving import get_custom_objects

    known = get_custom_objects()
    for name, module in CLASSES.items():
        known.setdefault(f"{SERIALIZATION_PACKAGE}>{name}", _StandIn(name, module))


class _StandIn:
    """Is to callers what its class is, until that is imported and takes its place."""

    def __init__(self, name: str, module: str) -> None:
        self._place = (name, module)

    def _class(self) -> Any:
        name, module = self._place
        return getattr(importlib.import_module(f"{SERIALIZATION_PACKAGE}.{module}"), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._class()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._class(), name)

    def __repr__(self) -> str:
        return f"<{SERIALIZATION_PACKAGE}.{'.'.join(reversed(self._place))}>"

    def __reduce__(self) -> Any:
        return _StandIn, self._place
