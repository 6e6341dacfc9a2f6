"""A client of TensorFlow Serving servers that serve exports of this package."""

from keras_tdn.export.client.client import ServingClient, connect, encode_clip
from keras_tdn.export.client.transport import (
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
