"""The client: videos in, predictions out. Answers are not believed before they are checked."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tdn.data.frame_transforms import _resized_size, check_frames, resize_and_center_crop
from keras_tdn.export.client.grpc_transport import GrpcTransport
from keras_tdn.export.client.rest_transport import RestTransport
from keras_tdn.export.client.transport import REASON_LENGTH, MalformedAnswerError, Named, Transport
from keras_tdn.export.formats import DESCRIBE, ENCODED_FRAMES, FEATURES, MANIFEST, SERVING_DEFAULT
from keras_tdn.limits import check_bytes
from keras_tdn.prediction import Prediction
from keras_tdn.scoring.center_clip import read_center_clip
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    from keras_tdn.data.decoding import VideoSource

DEADLINE = 30.0
GRPC, REST = ("grpc", "grpcs"), ("http", "https")
SCORES, LABELS, TOP_SCORES = "scores", "labels", "top_scores"


class ServingClient(contextlib.AbstractContextManager["ServingClient"]):
    """A client of one model on a server, and a context manager. `connect` makes it."""

    def __init__(
        self, transport: Transport, deadline: float = DEADLINE, clip_spec: ClipSpec | None = None
    ) -> None:
        if not isinstance(deadline, int | float) or not 0 < deadline < math.inf:
            raise ValueError(
                f"`deadline` is a positive number of seconds. Received: deadline={deadline!r}"
            )
        self._transport, self._deadline = transport, deadline
        if clip_spec is not None:
            self.clip_spec = clip_spec

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        """The export's manifest: labels, clip specification, hashes. It is requested once."""
        request = {"request": np.array([b"manifest"], object)}
        outputs = self._transport.predict(DESCRIBE, request, self._deadline)
        try:
            (text,) = outputs[MANIFEST].tolist()
            return dict(json.loads(text))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise MalformedAnswerError(
                "The server's description of the model cannot be read. Does it serve what "
                "keras_tdn.export wrote? Otherwise pass `clip_spec`."
            ) from error

    @functools.cached_property
    def clip_spec(self) -> ClipSpec:
        """How the model's clips are cut."""
        try:
            spec = ClipSpec.from_config(self.manifest["clip_spec"])
            _check_size(spec.num_frames, spec.height, spec.width)
            return spec
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedAnswerError(
                "The server's description of the model has no clip specification that this "
                f"version reads: {str(error)[:REASON_LENGTH]} Pass `clip_spec`."
            ) from error

    def signatures(self) -> list[str]:
        """Returns the names of the model's signatures."""
        return sorted(self._transport.signatures(self._deadline))

    def label_video(
        self, source: VideoSource | np.ndarray, quality: int | None = None
    ) -> list[Prediction]:
        """Returns the labels of one video, as `keras_tdn.predict_video` does here.

        `source` and `quality` are those of `encode_clip`.

        Returns:
            `Prediction(index, label, score)`, highest score first; as many as the export returns.

        Raises:
            ServingError: if the server gave no usable answer.
            ValueError: if the video cannot be read.
        """
        return self.label_frames([encode_clip(source, self.clip_spec, quality)])[0]

    def label_frames(self, clips: Sequence[Sequence[bytes]]) -> list[list[Prediction]]:
        """Returns the labels of clips of PNG or JPEG frames, such as `encode_clip` makes."""
        lengths = sorted({len(clip) for clip in clips})
        if len(lengths) > 1:
            raise ValueError(
                f"All clips of a request have as many frames. Received: clips of {lengths} frames"
            )
        files = np.array([list(clip) for clip in clips], object)
        return self._predictions(self._ask(ENCODED_FRAMES, ENCODED_FRAMES, files), len(clips))

    def label_clips(self, clips: np.ndarray) -> list[list[Prediction]]:
        """Returns the labels of uint8 clips that are cut as `clip_spec` says."""
        return self._predictions(self._ask(SERVING_DEFAULT, "clips", clips), len(clips))

    def features(self, clips: np.ndarray) -> np.ndarray:
        """Returns one feature vector for each uint8 clip that is cut as `clip_spec` says."""
        return self._floats(self._ask(FEATURES, "clips", clips), FEATURES, len(clips))

    def _ask(self, signature: str, name: str, clips: np.ndarray) -> Named:
        # JSON loses the other sizes of an empty array, so that REST and gRPC would differ.
        if len(clips) == 0:
            raise ValueError("A request asks about at least one clip. Received: none")
        return self._transport.predict(signature, {name: clips}, self._deadline)

    def _predictions(self, outputs: Named, batch: int) -> list[list[Prediction]]:
        """Returns the named classes of each clip, highest score first, if all outputs agree."""
        scores = self._floats(outputs, SCORES, batch)
        top_scores = self._floats(outputs, TOP_SCORES, batch)
        labels = outputs.get(LABELS)
        if (
            labels is None
            or labels.shape != top_scores.shape
            or not all(isinstance(name, str | bytes) for name in labels.ravel())
        ):
            raise self._transport.malformed(f"{LABELS!r} has not a name for each of {TOP_SCORES!r}")
        best = np.argsort(-scores, axis=1, kind="stable")[:, : labels.shape[1]]
        if best.shape != labels.shape or not np.allclose(
            np.take_along_axis(scores, best, axis=1), top_scores, rtol=1e-6, atol=1e-9
        ):
            raise self._transport.malformed(f"{TOP_SCORES!r} are not the highest of {SCORES!r}")
        clips = zip(best.tolist(), labels.tolist(), top_scores.tolist(), strict=True)
        return [
            [Prediction(*named) for named in zip(indices, map(_text, names), values, strict=True)]
            for indices, names, values in clips
        ]

    def _floats(self, outputs: Named, name: str, batch: int) -> np.ndarray:
        if (value := outputs.get(name)) is None:
            raise self._transport.malformed(f"it has no output {name!r}, only {sorted(outputs)}")
        is_table = value.dtype.kind in "fi" and value.ndim == 2
        if not is_table or value.shape[0] != batch or value.shape[1] == 0:
            received = f"{name!r} is {value.dtype} of shape {value.shape}"
            raise self._transport.malformed(f"{received} instead of {batch} rows of numbers")
        # What float32 cannot hold becomes infinite.
        with np.errstate(over="ignore"):
            array = value.astype(np.float32)
        if not np.isfinite(array).all():
            raise self._transport.malformed(f"{name!r} has NaN or infinity")
        return array


def connect(
    url: str,
    model: str = "tdn",
    *,
    version: int | None = None,
    deadline: float = DEADLINE,
    clip_spec: ClipSpec | None = None,
    headers: Mapping[str, str] | None = None,
) -> ServingClient:
    """Makes a client of a TensorFlow Serving server.

    Nothing is sent before the first request.

    Args:
        url: `grpc://host:8500`, or `http://host:8501` for REST; `grpcs://` and `https://` over TLS.
            gRPC needs `keras-tdn[serving]` and is the one for raw clips, which are ten times larger
            as JSON.
        model: Name that the server has the model under.
        version: Of the model; `None` takes the newest.
        deadline: Seconds that an answer may take, from the first byte sent to the last received.
        clip_spec: How clips are cut. `None` asks the server.
        headers: Sent with each request, for example `{"Authorization": "Bearer ..."}`.

    Raises:
        ValueError: if the address or another argument is not as described.
        ImportError: if gRPC is asked for and not installed.

    Example:

    >>> with connect("grpc://localhost:8500", model="tdn") as client:
    ...     for prediction in client.label_video("video.mp4"):
    ...         print(prediction.label, prediction.score)
    """
    server = _split(url)
    kind: type[Transport] = GrpcTransport if server.scheme in GRPC else RestTransport
    return ServingClient(kind(server, model, version, headers or {}), deadline, clip_spec)


def _split(url: Any) -> urllib.parse.SplitResult:
    """Splits an address; raises unless a client can be made for it."""
    if isinstance(url, str) and not re.search(r"[\x00-\x20\x7f]", url):
        # Of brackets and ports that are none.
        with contextlib.suppress(ValueError):
            parts = urllib.parse.urlsplit(url)
            known = parts.scheme in GRPC or parts.scheme in REST
            if known and parts.hostname and parts.port != 0 and "@" not in parts.netloc:
                return parts
    raise ValueError(
        "A server's address is grpc://host:8500, or http://host:8501 for REST; grpcs and https are "
        f"the same over TLS. Received: url={url!r}"
    )


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def encode_clip(
    source: VideoSource | np.ndarray, clip_spec: ClipSpec, quality: int | None = None
) -> list[bytes]:
    """Returns a PNG or JPEG file for each frame of a clip, chosen as `predict_video` does.

    Frames are resized as the server would do, if that makes them smaller; it also crops them. PNG
    has no loss, so that a server answers as `predict_video` does here: TDN sees differences of
    neighbouring frames, and JPEG's noise is in all of them. It costs two to three times the bytes
    of JPEG at quality 95, about as many as raw clips. Pass a `quality` where the connection is slow
    and scores may be off by some hundredths.

    Args:
        source: The video: a path, the content of a file as bytes, a binary file object, or all its
            frames as a uint8 array of shape `(num_frames, height, width, 3)`.
        clip_spec: How the model's clips are cut; `ServingClient.clip_spec` asks the server.
        quality: `None` for PNG files; 1 to 100 for JPEG files of that quality, with colours at full
            resolution.

    Raises:
        ValueError: if the video cannot be read (a `VideoDecodeError`) or an argument does not fit.

    Example:

    >>> frames = encode_clip("video.mp4", keras_tdn.ClipSpec(num_segments=8))
    >>> len(frames)
    40
    """
    import tensorflow as tf

    is_number = isinstance(quality, int) and not isinstance(quality, bool)
    if quality is not None and not (is_number and 1 <= quality <= 100):
        raise ValueError(
            "`quality` is an integer from 1 to 100 for JPEG files, or None for PNG files. "
            f"Received: quality={quality!r}"
        )
    _check_size(clip_spec.num_frames, clip_spec.height, clip_spec.width)
    if isinstance(source, np.ndarray):
        check_frames(source)
        # Frames of a file are checked where it is decoded.
        _check_size(clip_spec.num_frames, *source.shape[1:3])
    frames = read_center_clip(source, clip_spec, crop=False).pixels
    pictures: dict[bytes, bytes] = {}
    files = []
    for frame in _shrink(frames, clip_spec):
        # Short videos repeat frames.
        key = frame.tobytes()
        if key not in pictures:
            if quality is None:
                # zlib's fastest: a seventh larger than at its default, in a quarter of the time.
                encoded = tf.io.encode_png(frame, compression=1)
            else:
                encoded = tf.io.encode_jpeg(frame, quality=quality, chroma_downsampling=False)
            pictures[key] = encoded.numpy()
        files.append(pictures[key])
    return files


def _check_size(num_frames: int, height: int, width: int) -> None:
    """Raises if frames would take more memory than a clip may; a server could ask for any."""
    # A server may have sent numbers of thousands of digits.
    what = f"A clip of {num_frames} frames of {height}x{width} pixels"[:200]
    # The file of the smallest frame takes about 1024, with its places in lists.
    check_bytes(num_frames * max(1024, height * width * 3), "clip", what)


def _shrink(frames: np.ndarray, spec: ClipSpec) -> np.ndarray:
    height, width = frames.shape[1:3]
    size = _resized_size(height, width, spec)
    # What the server enlarges is smaller as it is.
    if min(height, width) <= spec.short_side or min(size) != spec.short_side:
        return frames
    # A crop that keeps everything.
    whole = dataclasses.replace(spec, height=size[0], width=size[1])
    return resize_and_center_crop(frames, whole)
