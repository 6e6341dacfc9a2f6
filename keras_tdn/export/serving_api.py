"""The packages of `keras-tdn[serving]`, imported where they are needed."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any


@dataclasses.dataclass(frozen=True)
class ServingApi:
    """Modules of generated messages and services."""

    predict: Any
    metadata: Any
    prediction_log: Any
    prediction_service: Any


def has_serving_api() -> bool:
    """Whether tensorflow-serving-api is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def import_serving_api(purpose: str) -> ServingApi:
    """The modules.

    Args:
        purpose: What they are for, to begin an error with.

    Raises:
        ImportError: if they are not installed.
    """
    try:
        from tensorflow_serving.apis import (
            get_model_metadata_pb2,
            predict_pb2,
            prediction_log_pb2,
            prediction_service_pb2_grpc,
        )
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs tensorflow-serving-api: pip install 'keras-tdn[serving]'"
        ) from error
    return ServingApi(
        predict_pb2, get_model_metadata_pb2, prediction_log_pb2, prediction_service_pb2_grpc
    )
