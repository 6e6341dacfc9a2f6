"""The folder of a training, and what the training in it was started with."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tdn.data.records import RecordList
from keras_tdn.files.atomic import remove_leftovers
from keras_tdn.files.journal import differences
from keras_tdn.files.locks import locked
from keras_tdn.training.callbacks import BEST_FILE, LAST_FILE, LOG_FILE
from keras_tdn.training.callbacks.reporting import TENSORBOARD_FOLDER
from keras_tdn.training.state_files import STATE_FILE, written_durably
from keras_tdn.version import installed_version

logger = logging.getLogger("keras_tdn")

RUN_FILE = "run.json"
RESULT_FILE = "result.json"
FAILURES_FILE = "failures.jsonl"
STATE_FOLDER = "state"
PRESET_FOLDER = "preset"
CALLBACKS_NAMES = (BEST_FILE, LAST_FILE, LOG_FILE, TENSORBOARD_FOLDER)
# Where there is none of these, nothing was trained yet, and nothing can be lost.
TRAINED_NAMES = (RESULT_FILE, STATE_FOLDER, PRESET_FOLDER, *CALLBACKS_NAMES)

# What decides the bits and cannot be passed as an argument: reported, not refused.
VERSIONS = "versions"
PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch")
# A training gives a model without names those of its records, which are compared anyway.
NAMES_GIVEN = re.compile(r"model\.labels (None, now .*|.*, now None)")
# Arguments of `make_dataset` that change nothing but the pace, or what is given up.
NO_MATTER = ("num_parallel_calls", "failure_report", "max_failure_share")
MAX_SHOWN = 8


def describe_run(
    model: Any,
    train_records: RecordList,
    validation_records: RecordList | None,
    dataset_arguments: Mapping[str, Any],
    **arguments: Any,
) -> dict[str, Any]:
    """Returns all that a training depends on, as JSON values."""
    config = model.get_config()
    # The clips that it is given are described whether or not it says so itself.
    config.pop("clip_spec", None)
    matter = {name: value for name, value in dataset_arguments.items() if name not in NO_MATTER}
    content = {
        "backend": keras.backend.backend(),
        "model": config,
        "clip_spec": model.clip_spec.to_config(),
        "train_records": _describe_records(train_records),
        "validation_records": validation_records and _describe_records(validation_records),
        "dataset_arguments": matter,
        **arguments,
        VERSIONS: {name: installed_version(name) for name in PACKAGES},
    }
    return json.loads(json.dumps(content, default=_as_json))


def check_output(output: str | os.PathLike[str], resume: bool) -> None:
    """Raises early what `run_folder` would raise when all else is ready."""
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise _unwritable(folder, "it is a file")
    if not resume:
        _check_untrained(folder)


@contextlib.contextmanager
def run_folder(
    output: str | os.PathLike[str], run: Mapping[str, Any], resume: bool
) -> Iterator[Path]:
    """Holds the folder of a training, made if needed; `run` is what `describe_run` returned.

    A training in it is refused without `resume`, and if it was started with something else.
    """
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "Permission denied")
    except OSError as error:
        raise _unwritable(folder, str(error.strerror)) from error
    with locked(folder, "training"):
        for name in (RUN_FILE, FAILURES_FILE, *TRAINED_NAMES):
            remove_leftovers(folder / name)
        remove_leftovers(folder / STATE_FOLDER / STATE_FILE)
        # One with states in it stays.
        with contextlib.suppress(OSError):
            (folder / STATE_FOLDER).rmdir()
        if not resume:
            _check_untrained(folder)
        if _trained(folder):
            _check_resumable(folder, run)
        else:
            with written_durably(folder / RUN_FILE) as new:
                new.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        yield folder


def _unwritable(folder: Path, reason: str) -> ValueError:
    text = f"The output folder {str(folder)!r} cannot be written to: {reason}."
    return ValueError(f"{text} Choose another place.")


def _check_untrained(folder: Path) -> None:
    if trained := _trained(folder):
        raise ValueError(
            f"There is a training in {str(folder)!r} already ({', '.join(trained)}). Continue it "
            "with resume=True (on the command line --resume), or choose another folder."
        )


def _trained(folder: Path) -> list[str]:
    return [name for name in TRAINED_NAMES if (folder / name).exists()]


def _check_resumable(folder: Path, run: Mapping[str, Any]) -> None:
    trained, file = _trained(folder), folder / RUN_FILE
    if not file.exists():
        raise ValueError(
            f"{str(folder)!r} has no {RUN_FILE}, which a training to continue would have, but "
            f"{', '.join(trained)}. Choose another folder."
        )
    try:
        started = json.loads(file.read_text("utf-8"))
        if not isinstance(started, dict):
            raise ValueError("it is no object of JSON")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(file)!r} cannot be read ({error}), so that it is not known what "
            "the training was started with. Start anew in another folder."
        ) from error
    found = [line for line in differences(started, run) if not NAMES_GIVEN.fullmatch(line)]
    versions = [line for line in found if line.startswith(VERSIONS)]
    others = [line for line in found if line not in versions]
    if versions:
        logger.warning(
            f"The training in {folder} was started with other software, so that the last bits may "
            f"differ from what it would have given: {'; '.join(versions)}"
        )
    if others:
        more = f"; and {len(others) - MAX_SHOWN} more" if len(others) > MAX_SHOWN else ""
        raise ValueError(
            f"The training in {str(folder)!r} was started with other arguments: "
            f"{'; '.join(others[:MAX_SHOWN])}{more}. Pass those it was started with, or start anew "
            "in another folder."
        )
    # A kill may have left the folder for TensorBoard and no state yet.
    if trained != [TENSORBOARD_FOLDER] and not {STATE_FOLDER, RESULT_FILE} & {*trained}:
        raise ValueError(
            f"The training in {str(folder)!r} cannot be resumed: its folder {STATE_FOLDER!r} is "
            f"gone. Start anew in another folder, if you like with {LAST_FILE} as the weights."
        )


def _describe_records(records: RecordList) -> dict[str, Any]:
    # Relative, so that the videos may be moved from one day to the next.
    try:
        root = os.path.commonpath([os.path.dirname(record.path) for record in records])
        paths = [os.path.relpath(record.path, root) for record in records]
    except ValueError:
        # Drives of Windows have no folder in common.
        paths = [record.path for record in records]
    rows = [[path, record.label, record.index] for path, record in zip(paths, records, strict=True)]
    content = json.dumps([rows, records.labels]).encode("utf-8", "surrogateescape")
    return {"videos": len(records), "sha256": hashlib.sha256(content).hexdigest()}


def _as_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # The class distinguishes schedules whose fields are alike.
        return {"class": type(value).__name__, **vars(value)}
    # Not the text of an object, which may have its address in it.
    return value if isinstance(value, str) else f"{type(value).__module__}.{type(value).__name__}"
