"""What the scores of a timeline follow from."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_tdn.models import TDNResNet
from keras_tdn.scoring.model_hash import model_sha256
from keras_tdn.watching.opening import Source
from keras_tdn.watching.windows import Watch

# Enough of a file to tell it from another, without reading hours of video.
SAMPLE_BYTES = 2**20
NUM_SAMPLES = 8


def run_identity(model: TDNResNet, watch: Watch, labels: Sequence[str]) -> Mapping[str, Any]:
    """What the scores follow from. Others are not gone on with."""
    return {
        "weights": model_sha256(model),
        "video": video_identity(watch.source),
        "window_seconds": watch.layout.window_seconds,
        "stride": watch.layout.stride,
        "clip": model.clip_spec.to_config(),
        "backend": keras.backend.backend(),
        "labels": list(labels),
    }


def video_identity(source: Source) -> Mapping[str, Any]:
    """What tells a video from others: of a file its size and samples of it."""
    if not source.is_file:
        return {"name": source.name}
    digest = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        file = source.opened
        if isinstance(file, str):
            file = stack.enter_context(open(file.removeprefix("file:"), "rb"))
        size = file.seek(0, os.SEEK_END)
        for part in range(NUM_SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * part // (NUM_SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
        file.seek(0)
    return {"bytes": size, "sha256_of_samples": digest.hexdigest()}
