"""What a model sees in one video."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_tdn.explaining.taps import GateMaps, cut_at, differences_of, score_gradient, tap
from keras_tdn.prediction import Labels, Prediction, decode_predictions, labels_of
from keras_tdn.scoring.center_clip import read_center_clip
from keras_tdn.scoring.scorer import ScoreKind, Scorer, softmax
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    from keras_tdn.data.decoding import VideoSource

SHORT_TERM = "no short-term TDM: the model does not see differences of neighbouring frames"
LONG_TERM = "no long-term TDM: the model has no gates"


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """What a model sees in one clip of a video. `explain` makes one.

    Args:
        model: Name of the model.
        predictions: The highest scores, as `predict_video` gives them.
        target: The class explained.
        frames: The clip, uint8 of shape `(segments, frames_per_segment, height, width, 3)`.
        indices: Which of the video's `num_frames` they are, `(segments, frames_per_segment)`.
        differences: What the short-term TDM sees: each frame of a segment less the one before it,
            in levels from -255 to 255. float32 of shape `(segments, frames_per_segment - 1,
            height, width, 3)`; `None` without such a module.
        gates: Of every long-term TDM, in order.
        cam: Grad-CAM of the target: what each position of the last feature map adds to the class'
            logit, nothing below zero. float32 of shape `(segments, height, width)`.
        contributions: By segment, what its positions add to the logit together. With global pooling
            and a linear classifier their sum is the logit less the classifier's bias.
        cam_layer: Name of the layer whose feature maps were weighed.
        kind: `"logits"`, or `"probabilities"` where the model gives those alone.
        missing: What there is not, in words.
    """

    model: str
    predictions: tuple[Prediction, ...]
    target: Prediction
    frames: np.ndarray
    indices: np.ndarray
    num_frames: int
    differences: np.ndarray | None
    gates: tuple[GateMaps, ...]
    cam: np.ndarray
    contributions: np.ndarray
    cam_layer: str
    kind: ScoreKind
    missing: tuple[str, ...]

    @property
    def center_frames(self) -> np.ndarray:
        """The frames that the appearance path sees, `(segments, height, width, 3)`."""
        return self.frames[:, self.frames.shape[1] // 2]

    @property
    def motion_energy(self) -> np.ndarray | None:
        """Root mean square of a segment's differences over frames and colours, in levels."""
        if self.differences is None:
            return None
        return np.sqrt((self.differences**2).mean(axis=(1, 4)))

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the stages that have gates."""
        return tuple(dict.fromkeys(maps.stage for maps in self.gates))

    def stage_gates(self, stage: int, direction: str = "mean") -> np.ndarray:
        """The gates of a stage, `(segments, height, width)`: the mean over its modules.

        The `direction` is `"mean"`, `"forward"`, `"backward"` or `"strength"`.
        """
        maps = [getattr(part, direction) for part in self.gates if part.stage == stage]
        if not maps:
            raise ValueError(
                f"The model has gates in stages {list(self.stages)}. Received: stage={stage!r}"
            )
        height, width = (max(part.shape[axis] for part in maps) for axis in (1, 2))
        return np.mean([_repeated(part, height, width) for part in maps], axis=0)


def explain(
    model: keras.Model,
    video: VideoSource | np.ndarray,
    *,
    target: int | str | None = None,
    top: int = 5,
    labels: Labels | None = None,
    clip_spec: ClipSpec | None = None,
    layer: str | None = None,
) -> Explanation:
    """Finds what a model sees in a video, and what speaks for a class, where and when.

    `write_explanation` draws what it returns. The clip is the one that `predict_video` looks at. It
    gives, by segment, the differences that the short-term TDM sees (section 3.2 of
    arXiv:2012.10071), the gates of the long-term TDMs (section 3.3), and Grad-CAM
    (arXiv:1610.02391), which weighs the last feature maps by the gradient of the class' logit.
    Models without one of the modules give the rest.

    Args:
        model: A model from clips to scores, such as `TDNResNet50`, with its classifier.
        video: As `predict_video` takes it, like `top`, `labels` and `clip_spec`.
        target: The class to explain, by label or index. `None` takes the predicted one.
        layer: Name of the layer whose feature maps Grad-CAM weighs, one that all scores come
            through, such as the end of a residual block. `None` takes the last.

    Raises:
        ValueError: if it is no video (a `VideoDecodeError`), there is no such class or layer, or
            the model has no classifier.

    Example:

    >>> model = keras_tdn.pretrained.load_preset("my_preset")
    >>> explanation = explain(model, "jump.mp4")
    >>> explanation.target.label, explanation.contributions.round(1)
    ('Jump', array([0.2, 1.1, 1.9, 0.4], dtype=float32))
    """
    # Wrong arguments are reported before the time that decoding and the model take is spent.
    scorer = Scorer(model, ScoringOptions(clip_spec=clip_spec))
    spec, classes = scorer.spec, scorer.classes
    names = labels_of(model, labels)
    index = None if target is None else _class_index(target, names, classes)
    decode_predictions([[0.0] * classes], top, names)

    clip = read_center_clip(video, spec)
    cut = cut_at(model, layer)
    features, gates = tap(model, cut, clip.pixels, spec)
    scores, gradient = score_gradient(cut.head, features, index)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    differences = differences_of(model, clip.pixels, spec)
    probabilities = softmax(scores) if cut.kind == "logits" else scores
    (ranked,) = decode_predictions(probabilities, classes, names)
    explained = int(scores[0].argmax()) if index is None else index
    lacks = {SHORT_TERM: differences is None, LONG_TERM: not gates}
    segments = (spec.num_segments, spec.frames_per_segment)
    return Explanation(
        model=model.name,
        predictions=tuple(ranked[:top]),
        target=next(item for item in ranked if item.index == explained),
        frames=clip.pixels.reshape(*segments, *clip.pixels.shape[1:]),
        indices=clip.indices,
        num_frames=clip.num_frames,
        differences=differences,
        gates=gates,
        cam=np.maximum((weights * features).sum(axis=-1), 0.0),
        contributions=(gradient * features).sum(axis=-1).sum(axis=(1, 2)),
        cam_layer=cut.layer,
        kind=cut.kind,
        missing=tuple(text for text, is_lacking in lacks.items() if is_lacking),
    )


def _class_index(target: int | str, names: Sequence[str] | None, classes: int) -> int:
    if names is not None and target in names:
        return list(names).index(str(target))
    text = str(target)
    if not isinstance(target, bool) and text.isdecimal() and int(text) < classes:
        return int(text)
    if names is None:
        known = "It has no labels; pass an index"
    else:
        near = difflib.get_close_matches(text, names, 3, 0.4) or list(names)[:3]
        known = f"Labels are such as {', '.join(map(repr, near))}; an index is"
    raise ValueError(f"The model has no class {target!r}. {known} from 0 to {classes - 1}.")


def _repeated(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = np.arange(height) * maps.shape[1] // height
    return maps[:, rows][:, :, np.arange(width) * maps.shape[2] // width]
