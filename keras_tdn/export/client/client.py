"""The client: videos in, predictions out."""

from __future__ import annotations

import contextlib
import json
import math
import re
import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tdn.export.client.answers import read_features, read_predictions
from keras_tdn.export.client.encoding import check_clip_size, encode_clip
from keras_tdn.export.client.errors import MalformedAnswerError
from keras_tdn.export.client.grpc_transport import GrpcTransport
from keras_tdn.export.client.rest_transport import RestTransport
from keras_tdn.export.client.transport import Transport
from keras_tdn.export.formats import DESCRIBE, ENCODED_FRAMES, FEATURES, SERVING_DEFAULT
from keras_tdn.prediction import Prediction
from keras_tdn.specs import ClipSpec

if TYPE_CHECKING:
    from keras_tdn.data.decoding import VideoSource

DEADLINE = 30.0
# By scheme, whether over TLS.
GRPC = {"grpc": False, "grpcs": True}
REST = ("http", "https")
# What an error repeats of a server's own words.
REASON_LENGTH = 500
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


class ServingClient:
    """Asks one model of a server. Made by `connect`; a context manager.

    Args:
        transport: The way to the server.
        deadline: Seconds that an answer may take.
        clip_spec: How clips are cut. `None` asks the server when it is first needed.

    Raises:
        ValueError: if `deadline` is no positive number.
    """

    def __init__(
        self, transport: Transport, deadline: float = DEADLINE, clip_spec: ClipSpec | None = None
    ) -> None:
        if not isinstance(deadline, int | float) or not 0 < deadline < math.inf:
            raise ValueError(
                f"`deadline` is a positive number of seconds. Received: deadline={deadline!r}"
            )
        self._transport, self._deadline, self._clip_spec = transport, deadline, clip_spec
        self._manifest: dict[str, Any] | None = None

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connection back."""
        self._transport.close()

    @property
    def manifest(self) -> dict[str, Any]:
        """What the export tells of itself: labels, clip specification, hashes; asked for once."""
        if self._manifest is None:
            request = {"request": np.array([b"manifest"], object)}
            outputs = self._transport.predict(DESCRIBE, request, self._deadline)
            try:
                # REST leaves the name of a single output out.
                (text,) = outputs["" if "" in outputs else "manifest"].tolist()
                self._manifest = dict(json.loads(text))
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                raise MalformedAnswerError(
                    "The server's description of the model cannot be read. Does it serve what "
                    "keras_tdn.export wrote? Otherwise pass `clip_spec`."
                ) from error
        return self._manifest

    @property
    def clip_spec(self) -> ClipSpec:
        """How the model's clips are cut."""
        if self._clip_spec is None:
            try:
                spec = ClipSpec.from_config(self.manifest["clip_spec"])
                check_clip_size(spec)
                self._clip_spec = spec
            except (KeyError, TypeError, ValueError) as error:
                raise MalformedAnswerError(
                    "The server's description of the model has no clip specification that this "
                    f"version reads: {str(error)[:REASON_LENGTH]} Pass `clip_spec`."
                ) from error
        return self._clip_spec

    def signatures(self) -> list[str]:
        """What the model can be asked."""
        return sorted(self._transport.signatures(self._deadline))

    def label_video(
        self, source: VideoSource | np.ndarray, quality: int | None = None
    ) -> list[Prediction]:
        """Names what happens in one video, as `keras_tdn.predict_video` does here.

        Args:
            source: As in `encode_clip`.
            quality: `None` sends what `predict_video` sees, 1 to 100 JPEG files: see `encode_clip`.

        Returns:
            `Prediction(index, label, score)`, highest score first; as many as the export names.

        Raises:
            ServingError: if the server gave no answer to use.
            ValueError: if the video cannot be read.
        """
        return self.label_frames([encode_clip(source, self.clip_spec, quality)])[0]

    def label_frames(self, clips: Sequence[Sequence[bytes]]) -> list[list[Prediction]]:
        """Names what happens in clips of PNG or JPEG frames, such as `encode_clip` makes."""
        _check_batch(clips)
        files = np.empty((len(clips), max(map(len, clips), default=0)), object)
        for row, clip in zip(files, clips, strict=True):
            if len(clip) != len(row):
                raise ValueError(
                    "All clips of a request have as many frames. Received: clips of "
                    f"{sorted({len(clip) for clip in clips})} frames"
                )
            row[:] = clip
        outputs = self._transport.predict(ENCODED_FRAMES, {ENCODED_FRAMES: files}, self._deadline)
        return read_predictions(outputs, len(clips))

    def label_clips(self, clips: np.ndarray) -> list[list[Prediction]]:
        """Names what happens in uint8 clips that are cut as `clip_spec` says."""
        _check_batch(clips)
        outputs = self._transport.predict(SERVING_DEFAULT, {"clips": clips}, self._deadline)
        return read_predictions(outputs, len(clips))

    def features(self, clips: np.ndarray) -> np.ndarray:
        """One vector for each of such clips."""
        _check_batch(clips)
        outputs = self._transport.predict(FEATURES, {"clips": clips}, self._deadline)
        return read_features(outputs, len(clips))


def connect(
    url: str,
    model: str = "tdn",
    *,
    version: int | None = None,
    deadline: float = DEADLINE,
    clip_spec: ClipSpec | None = None,
) -> ServingClient:
    """A client of a TensorFlow Serving server.

    Nothing is sent before something is asked.

    Args:
        url: `grpc://host:8500`, or `http://host:8501` for REST; `grpcs://` and `https://` over TLS.
            gRPC needs `keras-tdn[serving]` and is the one for raw clips, which are ten times larger
            as JSON.
        model: Name that the server has the model under.
        version: Of the model; `None` takes the newest.
        deadline: Seconds that an answer may take, from the first byte sent to the last received.
        clip_spec: How clips are cut. `None` asks the server.

    Returns:
        A `ServingClient`.

    Raises:
        ValueError: if the address or another argument is not as described.
        ImportError: if gRPC is asked for and not installed.

    Example:

    >>> with connect("grpc://localhost:8500", model="tdn") as client:
    ...     for prediction in client.label_video("video.mp4"):
    ...         print(prediction.label, prediction.score)
    """
    parts = _split(url)
    if parts.scheme in GRPC:
        secure = GRPC[parts.scheme]
        transport: Transport = GrpcTransport(parts.netloc, model, version, secure)
    else:
        transport = RestTransport(url, model, version)
    return ServingClient(transport, deadline, clip_spec)


def _split(url: Any) -> urllib.parse.SplitResult:
    """The parts of an address that a client can be made for."""
    if isinstance(url, str) and not UNPRINTABLE.search(url):
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


def _check_batch(clips: Sequence[Any] | np.ndarray) -> None:
    # JSON loses the other sizes of an empty array, so that REST and gRPC would differ.
    if len(clips) == 0:
        raise ValueError("A request asks about at least one clip. Received: none")
