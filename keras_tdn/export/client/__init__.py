"""Asking a TensorFlow Serving server that serves an export of this package."""

from keras_tdn.export.client.client import ServingClient, connect
from keras_tdn.export.client.encoding import encode_clip
from keras_tdn.export.client.errors import (
    DeadlineExceededError,
    MalformedAnswerError,
    ModelNotFoundError,
    RequestRefusedError,
    ServerUnavailableError,
    ServingError,
)

__all__ = [
    "DeadlineExceededError",
    "MalformedAnswerError",
    "ModelNotFoundError",
    "RequestRefusedError",
    "ServerUnavailableError",
    "ServingClient",
    "ServingError",
    "connect",
    "encode_clip",
]
