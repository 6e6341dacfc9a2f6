"""A server for tests that answers as TensorFlow Serving does, without its binary.

The messages and services are those of tensorflow-serving-api; the SavedModel runs as in the server,
in a session that feeds and fetches the tensors of a signature and compares no shapes.
"""

import base64
import contextlib
import http.server
import json
import threading
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

MAX_MESSAGE = 8 * 2**20
THREADS = 4


class RefusedError(Exception):
    """A request that the server answers with an error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Served:
    """One version of a model, asked by signature."""

    def __init__(self, folder, name):
        self.name, self.version = name, int(folder.name)
        graph = tf.Graph()
        with graph.as_default():
            config = tf.compat.v1.ConfigProto(
                intra_op_parallelism_threads=2, inter_op_parallelism_threads=2
            )
            self.session = tf.compat.v1.Session(graph=graph, config=config)
            loaded = tf.compat.v1.saved_model.load(self.session, ["serve"], str(folder))
        self.signatures = {
            name: signature
            for name, signature in loaded.signature_def.items()
            if not name.startswith("__")
        }
        self.calls = {}
        for name, signature in self.signatures.items():
            inputs, outputs = sorted(signature.inputs), sorted(signature.outputs)
            # `run` and `make_callable` compare shapes, which the server does not.
            call = self.session._make_callable_from_options(
                config_pb2.CallableOptions(
                    feed=[signature.inputs[key].name for key in inputs],
                    fetch=[signature.outputs[key].name for key in outputs],
                )
            )
            self.calls[name] = inputs, outputs, call

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def check(self, name, version):
        if name != self.name or version not in (None, self.version):
            raise RefusedError("NOT_FOUND", f"Servable not found for request: {name}/{version}")

    def run(self, signature, inputs):
        if signature not in self.calls:
            message = f'Serving signature key "{signature}" not found.'
            raise RefusedError("INVALID_ARGUMENT", message)
        names, outputs, call = self.calls[signature]
        if sorted(inputs) != names:
            message = f"input keys {sorted(inputs)} are not those of the signature, {names}"
            raise RefusedError("INVALID_ARGUMENT", message)
        for name in names:
            expected = tf.as_dtype(self.signatures[signature].inputs[name].dtype)
            received = tf.as_dtype(inputs[name].dtype if inputs[name].dtype != object else "string")
            if received != expected:
                message = f"Expects {name} to be {expected.name} but {received.name} is provided"
                raise RefusedError("INVALID_ARGUMENT", message)
        try:
            values = call(*(inputs[name] for name in names))
        except tf.errors.OpError as error:
            raise RefusedError("INVALID_ARGUMENT", error.message[:500]) from error
        return dict(zip(outputs, values, strict=True))


class Services(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, served):
        self.served = served

    def Predict(self, request, context):
        with self.errors(context):
            self.check(request)
            signature = request.model_spec.signature_name or "serving_default"
            try:
                inputs = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
            except (TypeError, ValueError) as error:
                raise RefusedError("INVALID_ARGUMENT", f"tensor parsing error: {error}") from error
            response = predict_pb2.PredictResponse()
            for name, value in self.served.run(signature, inputs).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    def GetModelMetadata(self, request, context):
        with self.errors(context):
            self.check(request)
            found = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in self.served.signatures.items():
                found.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.metadata["signature_def"].Pack(found)
            return response

    def GetModelStatus(self, request, context):
        with self.errors(context):
            self.check(request)
            status = get_model_status_pb2.ModelVersionStatus
            version = status(version=self.served.version, state=status.AVAILABLE)
            return get_model_status_pb2.GetModelStatusResponse(model_version_status=[version])

    def check(self, request):
        spec = request.model_spec
        self.served.check(spec.name, spec.version.value if spec.HasField("version") else None)

    @contextlib.contextmanager
    def errors(self, context):
        try:
            yield
        except RefusedError as error:
            context.abort(grpc.StatusCode[error.code], str(error))


def decoded(value):
    if isinstance(value, dict):
        if set(value) != {"b64"}:
            raise ValueError("a JSON object that is no base64 string")
        return base64.b64decode(value["b64"])
    return [decoded(part) for part in value] if isinstance(value, list) else value


def encoded(value):
    if isinstance(value, bytes):
        return value.decode()
    return [encoded(part) for part in value] if isinstance(value, list) else value


class Handler(http.server.BaseHTTPRequestHandler):
    served = None

    def do_GET(self):
        self.answer(self.metadata)

    def do_POST(self):
        self.answer(self.predict)

    def metadata(self):
        if self.model_and_verb() != "metadata":
            raise RefusedError("NOT_FOUND", "Malformed request: GET")
        names = {name: {} for name in self.served.signatures}
        return {"metadata": {"signature_def": {"signature_def": names}}}

    def predict(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.model_and_verb() != "predict":
            raise RefusedError("NOT_FOUND", "Malformed request: POST")
        try:
            body = json.loads(content)
            signature = body.get("signature_name", "serving_default")
            named = decoded_inputs(body, self.served, signature)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RefusedError("INVALID_ARGUMENT", f"JSON Parse error: {error!r}") from error
        outputs = {key: encoded(v.tolist()) for key, v in self.served.run(signature, named).items()}
        # As the server does with a single output.
        return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}

    def model_and_verb(self):
        name, _, rest = self.path.removeprefix("/v1/models/").partition("/")
        name, _, verb = name.partition(":") if ":" in name else (name, "", rest)
        version = None
        if rest.startswith("versions/"):
            version, _, verb = rest.removeprefix("versions/").replace(":", "/").partition("/")
        self.served.check(name, None if version is None else int(version))
        return verb

    def answer(self, ask):
        try:
            status, body = 200, ask()
        except RefusedError as error:
            status = 404 if error.code == "NOT_FOUND" else 400
            body = {"error": str(error)}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def decoded_inputs(body, served, signature):
    if signature not in served.signatures:
        return {}
    dtypes = {
        name: tf.as_dtype(info.dtype) for name, info in served.signatures[signature].inputs.items()
    }
    return {name: to_array(decoded(value), dtypes[name]) for name, value in body["inputs"].items()}


def to_array(value, dtype):
    if dtype == tf.string:
        array = np.array(value, object)
        if not all(isinstance(part, bytes | str) for part in array.ravel()):
            raise ValueError("not strings")
        return array
    array = np.array(value)
    if array.dtype.kind not in "iu" or (array.size and (array.min() < 0 or array.max() > 255)):
        raise ValueError("not unsigned bytes")
    return array.astype(dtype.as_numpy_dtype)


@contextlib.contextmanager
def stand_in(served):
    """Serves it; gives the addresses for gRPC and REST."""
    limits = [("grpc.max_receive_message_length", MAX_MESSAGE)]
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=limits)
    services = Services(served)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    handler = type("BoundHandler", (Handler,), {"served": served})
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # It looks that often whether it shall end.
    thread = threading.Thread(target=rest.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"grpc://127.0.0.1:{port}", f"http://127.0.0.1:{rest.server_port}"
    finally:
        server.stop(0).wait()
        rest.shutdown()
        rest.server_close()
