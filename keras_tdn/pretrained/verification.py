"""Measuring a converted model against the PyTorch forward pass, place by place."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from keras_tdn.models import TDNResNet
from keras_tdn.pretrained.checkpoint import import_torch
from keras_tdn.pretrained.pieces import CLIPS, Piece, pieces_of, places_of
from keras_tdn.pretrained.precision import full_precision

REFERENCE_MODULE = "torch_reference"

# Neither size divides by 64, so that maps of odd sizes are halved and enlarged again, and they
# differ, so that height and width cannot be mixed up unnoticed.
CLIP_HEIGHT = 96
CLIP_WIDTH = 112
SEED = 20210619

# Float32 rounding stays well below this in a block or a stem, which are too shallow to amplify it,
# and from end to end in a well-conditioned network.
BOUND = 1e-4
# A deep network can amplify rounding a hundred-thousandfold. How much shows in the reference, in
# float32 against float64; our model, rounding elsewhere, may be off by a multiple of that.
ROUNDING_FACTOR = 10.0


@dataclasses.dataclass(frozen=True)
class Tap:
    """How far the model is from the reference at one place.

    All errors are relative to the reference in float64: norm of the difference over norm of the
    reference.

    Args:
        name: The place.
        local_error: The largest error of a block, or stem, between the place before and this one
            when it is fed the reference's values. It tells whether the same is computed, however
            much rounding the network as a whole amplifies.
        error: The error from end to end.
        reference_error: The error of the reference in float32, from end to end.
    """

    name: str
    local_error: float
    error: float
    reference_error: float

    @property
    def bound(self) -> float:
        """The largest error from end to end that rounding explains."""
        return max(BOUND, ROUNDING_FACTOR * self.reference_error)

    @property
    def passed(self) -> bool:
        """Whether rounding explains both errors; NaN is never explained."""
        return self.local_error <= BOUND and self.error <= self.bound


def measure(model: TDNResNet, state_dict: Mapping[str, np.ndarray]) -> tuple[Tap, ...]:
    """Runs model and reference on one seeded clip, as a whole and piece by piece.

    Args:
        model: A float32 model with all temporal modules, classifier and preprocessing.
        state_dict: The authors' tensors.

    Returns:
        One `Tap` for each place, in the order of computation.

    Raises:
        ImportError: if PyTorch is not installed.
    """
    import_torch()
    reference = load_torch_reference()
    clip = make_clip(model)
    exact, rounded = (
        reference.forward(state_dict, clip, model.num_segments, dtype)
        for dtype in ("float64", "float32")
    )
    pieces = pieces_of(model)
    places = {place: layer for piece in pieces for place, layer in piece.outputs.items()}
    whole = Piece({CLIPS: CLIPS}, places)
    with full_precision():
        local = {
            place: _relative_error(value, exact[place])
            for piece in pieces
            for place, value in piece.run(model, {CLIPS: clip, **exact}).items()
        }
        computed = whole.run(model, {CLIPS: clip})
    taps, largest = [], 0.0
    reported = places_of(model)
    for place in places:
        largest = max(largest, local[place])
        if place in reported:
            errors = (_relative_error(each[place], exact[place]) for each in (computed, rounded))
            taps.append(Tap(reported[place], largest, *errors))
            largest = 0.0
    return tuple(taps)


def load_torch_reference() -> ModuleType:
    """The reference: part of the installed package, or in `weights/` of the repository."""
    name = f"{__package__}.{REFERENCE_MODULE}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
    path = Path(__file__).parents[2] / "weights" / f"{REFERENCE_MODULE}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(
            f"The reference to verify with is missing: neither {name} nor {str(path)!r} is there. "
            "Install keras-tdn again, or pass verify=False (on the command line --no-verify)."
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_clip(model: TDNResNet) -> np.ndarray:
    """Coloured noise of several scales that changes from frame to frame, in [0, 255]."""
    _, frames, height, width, _ = model.input_shape
    height, width = height or CLIP_HEIGHT, width or CLIP_WIDTH
    rng = np.random.default_rng(SEED)
    clip = np.full((frames, height, width, 3), 127.5)
    for scale, amplitude in ((1, 15.0), (8, 25.0), (32, 40.0)):
        rows, columns = np.arange(height) // scale, np.arange(width) // scale
        grid = rng.normal(0, amplitude, (frames, rows[-1] + 1, columns[-1] + 1, 3))
        clip += grid[:, rows][:, :, columns]
    return np.clip(np.rint(clip), 0, 255).astype(np.uint8)[np.newaxis]


def _relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    expected = np.asarray(expected, np.float64).ravel()
    difference = np.linalg.norm(np.asarray(actual, np.float64).ravel() - expected)
    norm = np.linalg.norm(expected)
    # A place where nothing arrives is right if nothing arrives in the model either.
    return float(difference / norm) if norm else float(0 if difference == 0 else np.inf)
