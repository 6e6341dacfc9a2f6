"""Asking over gRPC, with the service definitions of tensorflow-serving-api."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_tdn.export.client import errors
from keras_tdn.export.serving_api import import_serving_api

# Batches of raw clips are larger than gRPC's own limit of 4 MB.
OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))

_KINDS = {
    "UNAVAILABLE": errors.ServerUnavailableError,
    "RESOURCE_EXHAUSTED": errors.ServerUnavailableError,
    "DEADLINE_EXCEEDED": errors.DeadlineExceededError,
    "NOT_FOUND": errors.ModelNotFoundError,
    "INVALID_ARGUMENT": errors.RequestRefusedError,
    # What some versions of the server say of a signature that is not there.
    "FAILED_PRECONDITION": errors.RequestRefusedError,
    "OUT_OF_RANGE": errors.RequestRefusedError,
}


class GrpcTransport:
    """A connection to the gRPC port of a server, 8500 by default.

    Args:
        address: `host:port`.
        model: Name of the model on the server.
        version: Of the model; `None` takes the newest.
        secure: Whether over TLS.

    Raises:
        ImportError: without the packages of `keras-tdn[serving]`.
    """

    def __init__(self, address: str, model: str, version: int | None, secure: bool = False) -> None:
        self._apis = import_serving_api("Asking over gRPC")
        import grpc

        self._address, self._model, self._version = address, model, version
        if secure:
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(address, credentials, options=OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._stub = self._apis.prediction_service.PredictionServiceStub(self._channel)

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: float
    ) -> dict[str, np.ndarray]:
        """See `Transport`."""
        import tensorflow as tf

        request = self._apis.predict.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(self._stub.Predict, request, deadline)
        try:
            return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}
        except (TypeError, ValueError) as error:
            raise errors.MalformedAnswerError(
                f"The server at {self._address} answered with a tensor that cannot be read: {error}"
            ) from error

    def signatures(self, deadline: float) -> dict[str, Any]:
        """See `Transport`."""
        request = self._apis.metadata.GetModelMetadataRequest()
        self._fill(request.model_spec)
        request.metadata_field.append("signature_def")
        response = self._call(self._stub.GetModelMetadata, request, deadline)
        found = self._apis.metadata.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return dict(found.signature_def)

    def close(self) -> None:
        """See `Transport`."""
        self._channel.close()

    def _fill(self, model_spec: Any) -> None:
        model_spec.name = self._model
        if self._version is not None:
            model_spec.version.value = self._version

    def _call(self, method: Callable[..., Any], request: Any, deadline: float) -> Any:
        import grpc

        try:
            return method(request, timeout=deadline)
        except grpc.RpcError as error:
            code = error.code().name
            kind = _KINDS.get(code, errors.ServingError)
            if kind is errors.DeadlineExceededError:
                happened = f"did not answer within {deadline:g} s"
            elif kind is errors.ServerUnavailableError:
                happened = "takes no requests"
            else:
                happened = "refused to answer"
            raise kind(
                f"The server at {self._address} {happened} for model {self._model!r}: {code}: "
                f"{error.details()}"
            ) from error
