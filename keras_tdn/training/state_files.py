"""Files of a training: states, each whole and checked by its hash, the one before it kept."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_tdn.files.atomic import sha256_of, written_beside

logger = logging.getLogger("keras_tdn")

# The name holds the order and the hash: no second file that could disagree.
STATE_FILE = "state.npz"
PATTERN = re.compile(r"(\d{10})-([0-9a-f]{64})\.npz")
KEPT = 2

META = "meta"
BFLOAT16 = "bfloat16"
READ_ERRORS = (OSError, ValueError, KeyError, EOFError, RecursionError, zipfile.BadZipFile)
# How h5py starts a RuntimeError, which it raises where a full disk shows as it closes a file.
HDF5_ERRORS = ("Can't ", "Unable to ")


class State(NamedTuple):
    """What a training was after so many batches: numbers by name, all else as JSON values."""

    step: int
    arrays: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]


def write_state(folder: Path, state: State) -> None:
    """Writes a state; the ones before it, but the latest, are removed when it is safe.

    A kill at any moment, or a full disk (an `OSError`), leaves the earlier states as they were.
    """
    halves = [name for name, array in state.arrays.items() if array.dtype.name == BFLOAT16]
    # NumPy's file format has no such type; its bits are kept.
    arrays = {**state.arrays, **{name: state.arrays[name].view(np.uint16) for name in halves}}
    meta = json.dumps({"step": state.step, BFLOAT16: halves, **state.meta}).encode()
    arrays[META] = np.frombuffer(meta, np.uint8)

    step = f"{state.step:010d}"
    with written_durably(folder / STATE_FILE, lambda new: f"{step}-{sha256_of(new)}.npz") as new:
        np.savez(new, allow_pickle=False, **arrays)
    for path in _newest_first(folder)[KEPT:]:
        path.unlink()


def read_newest_state(folder: Path) -> State | None:
    """Returns the newest whole state; `None` without any, a `ValueError` if all are damaged."""
    paths = _newest_first(folder)
    for path in paths:
        try:
            return _read(path)
        except READ_ERRORS as error:
            reason = " ".join(str(error).split())[:200]
            logger.warning(f"The training state {path} is damaged and is passed over: {reason}")
    if paths:
        raise ValueError(
            f"None of the {len(paths)} training states in {str(folder)!r} can be read: they are "
            "damaged. Start anew in another folder; a last or best checkpoint beside them can be "
            "given as weights."
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [(PATTERN.fullmatch(path.name), path) for path in folder.iterdir()]
    steps = [(int(match[1]), path.stat().st_mtime_ns, path) for match, path in found if match]
    return [path for *_, path in sorted(steps, reverse=True)]


def _read(path: Path) -> State:
    if sha256_of(path) != path.stem.partition("-")[2]:
        raise ValueError("its content is not what its name says")
    with np.load(path, allow_pickle=False) as content:
        meta = json.loads(content[META].tobytes())
        arrays = {name: content[name] for name in content.files if name != META}
    for name in meta.pop(BFLOAT16):
        import ml_dtypes

        arrays[name] = arrays[name].view(ml_dtypes.bfloat16)
    return State(meta.pop("step"), arrays, meta)


@contextlib.contextmanager
def failures_to_write_in_words(path: Path) -> Iterator[None]:
    """Within the block, errors of the system and of h5py say what could not be written."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not str(error).startswith(HDF5_ERRORS):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise OSError(
            f"{str(path)!r} could not be written ({reason}). What was there before is "
            "kept. Make room, or make the folder writable, and continue with resume=True (on "
            "the command line --resume)."
        ) from error


@contextlib.contextmanager
def written_durably(path: Path, named: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """`written_beside`, whose errors say how to continue the training."""
    with failures_to_write_in_words(path), written_beside(path, named) as new:
        yield new
