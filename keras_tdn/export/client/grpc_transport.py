"""Requests over gRPC, with the service definitions of tensorflow-serving-api."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tdn.export.client import transport
from keras_tdn.export.formats import import_serving_api
from keras_tdn.limits import check_bytes, max_bytes, variable

# In the details of RESOURCE_EXHAUSTED, which a busy server answers with as well.
TOO_LARGE = "larger than max"


class GrpcTransport(transport.Transport):
    """A connection to the gRPC port of a server, 8500 by default."""

    def __post_init__(self) -> None:
        self._apis = import_serving_api("Asking over gRPC")
        import grpc

        # gRPC wants these names in lower case.
        self._metadata = [(name.lower(), value) for name, value in self.headers.items()]
        # gRPC's options are of 32 bits.
        self._limit = min(max_bytes("answer"), 2**31 - 1)
        # Batches of raw clips are larger than gRPC's own limit of 4 MB.
        limits = {"send": -1, "receive": self._limit}
        options = [(f"grpc.max_{kind}_message_length", most) for kind, most in limits.items()]
        address = self.server.netloc
        if self.server.scheme == "grpcs":
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(address, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(address, options=options)
        services = self._apis.prediction_service_pb2_grpc
        self._stub = services.PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: transport.Named, deadline: float) -> transport.Named:
        import tensorflow as tf

        request = self._apis.predict_pb2.PredictRequest()
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(self._stub.Predict, request, deadline)
        try:
            # One value can stand for all of a tensor, of whatever shape.
            num_bytes = sum(map(_tensor_bytes, response.outputs.values()))
            check_bytes(num_bytes, "answer", "its outputs")
            return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}
        except (TypeError, ValueError) as error:
            raise self.malformed(f"an output cannot be read: {error}") from error

    def signatures(self, deadline: float) -> dict[str, Any]:
        from google.protobuf import message

        apis = self._apis.get_model_metadata_pb2
        request = apis.GetModelMetadataRequest(metadata_field=["signature_def"])
        response = self._call(self._stub.GetModelMetadata, request, deadline)
        found = apis.SignatureDefMap()
        try:
            there = response.metadata["signature_def"].Unpack(found)
        except message.DecodeError as error:
            raise self.malformed("its metadata cannot be read") from error
        if not there:
            raise self.malformed("its metadata has no signatures")
        return dict(found.signature_def)

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: Any, deadline: float) -> Any:
        import grpc

        request.model_spec.name = self.model
        if self.version is not None:
            request.model_spec.version.value = self.version
        try:
            return method(request, timeout=deadline, metadata=self._metadata)
        except grpc.RpcError as error:
            code, details = error.code().name, str(error.details())
            kind = transport.kind_of(code)
            if code == "RESOURCE_EXHAUSTED" and TOO_LARGE in details:
                # Than this client's limit, or the server's. Requests are not compressed.
                if f"vs. {self._limit})" in details or "Decompressed" in details:
                    raise self.malformed(
                        f"it is larger than the limit that {variable('answer')} sets: {details}"
                    ) from error
                kind = transport.RequestRefusedError
            if code == "INTERNAL" and "deserializing" in details:
                raise self.malformed(f"it is no answer to such a request ({details})") from error
            happened = {
                transport.DeadlineExceededError: f"did not answer within {deadline:g} s",
                transport.ServerUnavailableError: "takes no requests",
            }.get(kind, "refused to answer")
            raise kind(f"{self} {happened} for model {self.model!r}: {code}: {details}") from error


def _tensor_bytes(proto: Any) -> int:
    import tensorflow as tf

    # A place in an array of objects, where the size of a string is not known.
    size = tf.as_dtype(proto.dtype).size or np.dtype(object).itemsize
    return size * math.prod(max(dimension.size, 0) for dimension in proto.tensor_shape.dim)
