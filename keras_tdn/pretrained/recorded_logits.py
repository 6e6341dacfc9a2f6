"""The logits of one seeded clip, recorded in a preset so that others can check theirs.

The SHA-256 of labels, config and weights beside them show whether the parts belong together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_tdn.limits import check_bytes
from keras_tdn.models import TDNResNet
from keras_tdn.models.predicting import full_precision
from keras_tdn.pretrained.preset_config import is_of

SEED = 20210619
# Where the model takes any size: neither divides by 64, so that maps of odd sizes are halved and
# enlarged again, and they differ, so that height and width cannot be mixed up unnoticed.
CLIP_HEIGHT = 96
CLIP_WIDTH = 112
CHANNELS = 3
# Pixels on the side of a square of one value, and its share of the sum.
NOISE_SCALES = ((1, 2), (8, 3), (32, 4))

# Float32 rounding of a well-conditioned network stays well below this.
LEAST_TOLERANCE = 1e-4
# A deep network can amplify rounding. By how much shows when the pixels move by a rounding.
ROUNDING = 1e-6
ROUNDING_FACTOR = 20.0
# Beyond this the numbers say nothing about the weights any more.
LARGEST_TOLERANCE = 0.2


@dataclasses.dataclass(frozen=True)
class RecordedLogits:
    """Logits of the seeded clip, and the SHA-256 of that clip and of what they are the logits of.

    They are scores before the activation, or features averaged over all but the last axis. The
    tolerance is the relative difference that float32 rounding explains.
    """

    seed: int
    shape: tuple[int, ...]
    clip_sha256: str
    logits: tuple[float, ...]
    tolerance: float
    labels_sha256: str
    config_sha256: str
    weights_sha256: str

    def __post_init__(self) -> None:
        numbers = [*self.logits, self.tolerance]
        digests = (self.clip_sha256, self.labels_sha256, self.config_sha256, self.weights_sha256)
        if (
            not isinstance(self.seed, int)
            or len(self.shape) != 4
            or not is_of(self.shape, Sequence[int])
            or not self.logits
            or not is_of(numbers, Sequence[float])
            or not all(map(math.isfinite, numbers))
            or not 0 < self.tolerance <= LARGEST_TOLERANCE
            or not all(isinstance(value, str) and len(value) == 64 for value in digests)
        ):
            raise ValueError(
                "A preset's recorded logits need a seed, a clip shape, finite logits, a tolerance "
                f"up to {LARGEST_TOLERANCE} and four SHA-256. Received: {str(self)[:300]}"
            )

    def to_json(self) -> bytes:
        return (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> RecordedLogits:
        fields = {field.name for field in dataclasses.fields(cls)}
        try:
            values = json.loads(content.decode())
            if not isinstance(values, dict) or set(values) != fields:
                raise ValueError(f"expected the entries {sorted(fields)}")
            return cls(**{**values, **{name: tuple(values[name]) for name in ("shape", "logits")}})
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f"A preset's recorded logits cannot be read ({str(error)[:300]}). Download or copy "
                "the preset again."
            ) from error


def record_logits(
    model: TDNResNet, labels: Sequence[str] | None, config_sha256: str, weights_sha256: str
) -> RecordedLogits:
    """Runs the seeded clip through `model`, in float32."""
    clip = make_clip(model)
    given = clip.astype(np.float32)
    if not model.include_preprocessing:
        given /= np.float32(255)
    logits, moved = _logits(model, given), _logits(model, given * np.float32(1 + ROUNDING))
    if not np.all(np.isfinite(logits)):
        raise ValueError(
            "The model computes NaN or infinity for a clip of noise, so that its preset could not "
            "be checked by anybody. Look at its weights: a training that diverged leaves such."
        )
    tolerance = max(LEAST_TOLERANCE, ROUNDING_FACTOR * relative_difference(moved, logits))
    return RecordedLogits(
        seed=SEED,
        shape=clip.shape[1:],
        clip_sha256=hashlib.sha256(clip.tobytes()).hexdigest(),
        logits=tuple(logits.tolist()),
        tolerance=min(float(f"{tolerance:.1e}"), LARGEST_TOLERANCE),
        labels_sha256=hash_labels(labels),
        config_sha256=config_sha256,
        weights_sha256=weights_sha256,
    )


def hash_labels(labels: Sequence[str] | None) -> str:
    """Returns the SHA-256 of class names in their order."""
    return hashlib.sha256(json.dumps(labels and list(labels)).encode()).hexdigest()


def make_clip(model: TDNResNet) -> np.ndarray:
    """Returns uint8 noise of several scales that changes from frame to frame, as a batch of one."""
    _, frames, height, width, _ = model.input_shape
    height, width = height or CLIP_HEIGHT, width or CLIP_WIDTH
    what = f"A clip of {frames} frames of {height}x{width} pixels, which the model takes,"
    check_bytes(frames * height * width * CHANNELS, "clip", what)
    rows, columns = np.arange(height), np.arange(width)
    total = np.zeros((frames, height, width, CHANNELS), np.uint32)
    for scale, share in NOISE_SCALES:
        shape = (frames, rows[-1] // scale + 1, columns[-1] // scale + 1, CHANNELS)
        # NumPy's generators may change between releases; this digest does not.
        noise = hashlib.shake_256(f"{SEED} {scale}".encode()).digest(math.prod(shape))
        squares = np.frombuffer(noise, np.uint8).reshape(shape)
        total += np.uint32(share) * squares[:, rows // scale][:, :, columns // scale]
    return (total // sum(share for _, share in NOISE_SCALES)).astype(np.uint8)[np.newaxis]


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Returns the norm of the difference over the norm of what is expected."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape or not np.all(np.isfinite(actual)):
        return math.inf
    difference, norm = np.linalg.norm(actual - expected), np.linalg.norm(expected)
    return float(difference / norm) if norm else float(0 if difference == 0 else math.inf)


def _logits(model: TDNResNet, clips: np.ndarray) -> np.ndarray:
    twin: Any = model
    if model.dtype_policy.name != "float32":
        twin = type(model).from_config({**model.get_config(), "dtype": "float32"})
        values = map(keras.ops.convert_to_numpy, model.weights)
        twin.set_weights([np.asarray(value, np.float32) for value in values])
    output = twin.get_layer("consensus").output if model.include_top else twin.output
    with full_precision():
        # Called as it is: compiling takes the backends longer than one clip does.
        result = keras.Model(twin.input, output)(keras.ops.convert_to_tensor(clips), training=False)
    rows = np.asarray(keras.ops.convert_to_numpy(result), np.float64)
    return rows.reshape(-1, rows.shape[-1]).mean(axis=0).astype(np.float32)
