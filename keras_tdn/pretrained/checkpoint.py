"""Reading the authors' checkpoints without running anything that is in them."""

from __future__ import annotations

import dataclasses
import io
import os
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

STATE_DICT = "state_dict"
DOWNLOAD_HINT = (
    "Download it again and compare its size with the source's: file-sharing pages often give a "
    "web page or a part of the file instead."
)
# A checkpoint keeps its best accuracy as a NumPy scalar. The function that rebuilds one is known
# under two names, of NumPy 2 and of the NumPy that the published files were written with.
SCALAR_NAMES = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")
SCALAR_TYPES = (np.float16, np.float32, np.float64, np.int32, np.int64)
# Bytes of an element of each kind of storage that PyTorch writes by name.
STORAGES = {
    **dict.fromkeys(("BoolStorage", "ByteStorage", "CharStorage"), 1),
    **dict.fromkeys(("BFloat16Storage", "HalfStorage", "ShortStorage"), 2),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("ComplexFloatStorage", "DoubleStorage", "LongStorage"), 8),
    "ComplexDoubleStorage": 16,
}
# What may be called: none of these makes more than it is given.
FUNCTIONS = {
    "collections.OrderedDict",
    "torch.Size",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    *(f"torch._utils._rebuild_{kind}" for kind in ("parameter", "sparse_tensor")),
    *("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"),
    "_codecs.encode",
    "numpy.dtype",
    *SCALAR_NAMES,
}
# What `numpy.dtype` may be called with: types of numbers.
NUMBERS = re.compile(r"[<>=|]?[biuf][0-9]+")
PICKLE = "data.pkl"
MAX_PICKLE_BYTES = 64 << 20
# A file of the older kind: a number, a version, facts about the machine, the object, its storages.
LEGACY_PICKLES = 5
ZIP_START = b"PK\x03\x04"
_DAMAGE_ERRORS = (zipfile.BadZipFile, EOFError, OSError, LookupError, TypeError, RuntimeError)
# Stands for anything but plain values, names and tuples.
_MADE, _MARK = object(), object()
_CONSTANTS = {
    **{"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK},
    **dict.fromkeys(("EMPTY_DICT", "EMPTY_LIST"), _MADE),
}
_PLAIN = (str, bytes, int, float, type(None))
_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING")


def read_official_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors under `state_dict`, or bare, of a file that `torch.save` wrote, by name.

    Half precision becomes float32. A file that asks for anything else than tensors, plain
    containers and numbers is refused with a `ValueError`.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no checkpoint file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise ValueError(f"The checkpoint {str(path)!r} is an empty file. {DOWNLOAD_HINT}")
    content = _load(path)
    state = content.get(STATE_DICT, content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state:
        received = f"an object of type {type(content).__name__}"
        if isinstance(content, Mapping):
            received = f"a dict with the entries {sorted(map(str, content))[:8]}"
        raise ValueError(
            f"The checkpoint {str(path)!r} holds no tensors by name: expected a dict of tensors, "
            f"or a dict with such a one under {STATE_DICT!r}. Received: {received}"
        )
    for name, tensor in state.items():
        _check(name, tensor, path)
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    # Tensors may be parts of one storage, some of them of the same part.
    if total > 4 * path.stat().st_size:
        reason = f"its tensors would take {total} bytes, far more than the file has"
        raise ValueError(_damage(path, reason))
    torch = import_torch()
    is_half = {name: t.is_floating_point() and t.element_size() < 4 for name, t in state.items()}
    return {
        name: (tensor.to(torch.float32) if is_half[name] else tensor).detach().numpy()
        for name, tensor in state.items()
    }


def import_torch() -> Any:
    """Imports PyTorch, or raises an error that says how to install it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading the authors' checkpoints needs PyTorch. "
            'Install it with: pip install "keras-tdn[convert]"'
        ) from error
    return torch


def _load(path: Path) -> Any:
    torch = import_torch()
    try:
        scan_checkpoint(path)
    except RefusedNameError as error:
        raise ValueError(
            f"The checkpoint {str(path)!r} is refused: it holds more than tensors and numbers, and "
            f"rebuilding that would run code from the file. It asks for {error}. If you trust "
            "where it comes from, save it there again as "
            "torch.save({'state_dict': model.state_dict()}, path)."
        ) from None
    except ScanError as error:
        raise ValueError(_damage(path, str(error))) from error
    scalar = np.float64(0).__reduce__()[0]
    harmless: list[Any] = [(scalar, name) for name in SCALAR_NAMES]
    harmless += [np.dtype, *(type(np.dtype(kind)) for kind in SCALAR_TYPES)]
    try:
        with torch.serialization.safe_globals(harmless):
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # PyTorch lets through what it ran into: KeyError for a text, OSError for half a zip archive.
    except Exception as error:
        # The first sentence of what it found: the advice is to switch the protection off.
        text = " ".join(str(error).split())
        reason = (text.partition("WeightsUnpickler error: ")[2] or text).partition(". ")[0]
        raise ValueError(_damage(path, f"{type(error).__name__}: {reason}")) from error


def _damage(path: Path, reason: str) -> str:
    with path.open("rb") as file:
        start = file.read(256).lstrip()
    if start.startswith(b"<"):
        return f"The checkpoint {str(path)!r} is a web page, not a file of PyTorch. {DOWNLOAD_HINT}"
    return (
        f"The checkpoint {str(path)!r} is damaged or was not written by torch.save: "
        f"{reason.rstrip('.')[:200]}. {DOWNLOAD_HINT}"
    )


def _check(name: object, tensor: Any, path: Path) -> None:
    """Raises unless a tensor is a plain one, with a name and no more numbers than it stores."""
    torch, shown = import_torch(), f"The checkpoint {str(path)!r}"
    if not isinstance(name, str):
        raise ValueError(f"{shown} has an entry that is not called by a string: {name!r}.")
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(
            f"{shown} has more than tensors among its weights: {name!r} is of type "
            f"{type(tensor).__name__}. Expected a state dict, bare or under {STATE_DICT!r}."
        )
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        raise ValueError(
            f"{shown} holds {name!r} as a sparse, quantized or complex tensor ({tensor.layout}, "
            f"{tensor.dtype}). Expected plain floating-point tensors."
        )
    stored, needed = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size()
    if needed > stored:
        raise ValueError(
            f"{shown} stores {stored} bytes for {name!r}, whose shape {tuple(tensor.shape)} needs "
            f"{needed}. Save it again with its tensors made contiguous."
        )


class RefusedNameError(Exception):
    """A name that is not of a tensor or a number; the message is the name."""


class ScanError(Exception):
    """What else is wrong, in a few words."""


def scan_checkpoint(path: Path) -> None:
    """Raises unless all that a file asks for is tensors and numbers that fit into it."""
    # PyTorch's restricted reader runs no code, but makes tensors however large and hashes keys
    # however nested. Here the pickles are followed without making anything.
    size = path.stat().st_size
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP_START)) == ZIP_START
        file.seek(0)
        try:
            pickles = [_zipped_pickle(file, size)] if is_zip else [file] * LEGACY_PICKLES
            total = sum(sum(_storages(each).values()) for each in pickles)
        except _DAMAGE_ERRORS as error:
            raise ScanError(f"{type(error).__name__}: {error}") from error
    if total > size:
        raise ScanError(f"its tensors would take {total} bytes, and the file has {size}")


def _zipped_pickle(file: BinaryIO, size: int) -> BinaryIO:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not stored or sum(entry.file_size for entry in entries) > size:
            # PyTorch stores without compressing.
            raise ScanError("it unpacks to more than it is")
        pickles = [name for name in names if name.rpartition("/")[2] == PICKLE]
        if len(set(names)) != len(names) or len(pickles) != 1:
            raise ScanError(f"it has {len(pickles)} files {PICKLE}, or two of one name")
        if archive.getinfo(pickles[0]).file_size > MAX_PICKLE_BYTES:
            raise ScanError(f"its {PICKLE} is larger than {MAX_PICKLE_BYTES} bytes")
        return io.BytesIO(archive.read(pickles[0]))


@dataclasses.dataclass(frozen=True)
class _Name:
    text: str


def _storages(file: BinaryIO) -> dict[Any, int]:
    """Follows one pickle; returns the bytes of its storages by key."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    storages: dict[Any, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            match opcode.name:
                case "PROTO" | "STOP":
                    pass
                case "GLOBAL":
                    name = str(argument).replace(" ", ".")
                    module, _, kind = name.rpartition(".")
                    is_storage = module in ("torch", "torch.storage") and kind in STORAGES
                    if not is_storage and not _may_be_called(name):
                        raise RefusedNameError(name)
                    stack.append(_Name(name))
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "BINPERSID":
                    key, number = _storage(stack.pop())
                    storages[key] = max(number, storages.get(key, 0))
                    stack.append(_MADE)
                case name if name in _CONSTANTS:
                    stack.append(_CONSTANTS[name])
                case name if name in _VALUES:
                    stack.append(argument)
                case "TUPLE":
                    stack.append(tuple(_to_mark(stack)))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    stack.append(tuple(_last(stack, int(opcode.name[-1]))))
                case "APPEND" | "BUILD":
                    stack.pop()
                case "APPENDS":
                    _to_mark(stack)
                case "SETITEM" | "SETITEMS":
                    items = _last(stack, 2) if opcode.name == "SETITEM" else _to_mark(stack)
                    if stack[-1] is not _MADE or not all(isinstance(k, _PLAIN) for k in items[::2]):
                        # What is looked up is hashed, and tuples in each other take for ever.
                        raise ScanError("it has entries that are not called by a text or a number")
                case "REDUCE" | "NEWOBJ":
                    _check_call(*_last(stack, 2))
                    stack.append(_MADE)
                case name:
                    raise ScanError(f"it has an instruction {name}, which PyTorch does not write")
    # What pickletools says of bytes that are no pickle.
    except ValueError as error:
        raise ScanError(str(error)) from error
    return storages


def _last(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise ScanError("it ends in the middle")
    taken = stack[-count:]
    del stack[-count:]
    return taken


def _to_mark(stack: list[Any]) -> list[Any]:
    """Pops what is above the last mark, and the mark."""
    taken = []
    while (value := stack.pop()) is not _MARK:
        taken.append(value)
    return taken[::-1]


def _may_be_called(name: str) -> bool:
    # NumPy's own classes of its types, such as `numpy.dtypes.Float64DType`, are harmless.
    return name in FUNCTIONS or name.startswith("numpy.dtypes.")


def _storage(identity: Any) -> tuple[Any, int]:
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        raise ScanError("it refers to something else than a storage")
    _, kind, key, _, count = identity[:5]
    itemsize = STORAGES.get(kind.text.rpartition(".")[2]) if isinstance(kind, _Name) else None
    if itemsize is None or not isinstance(key, _PLAIN) or not isinstance(count, int) or count < 0:
        raise ScanError("it describes a storage in another way than PyTorch does")
    return key, count * itemsize


def _check_call(function: Any, arguments: Any) -> None:
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise ScanError("it calls something without a name")
    if not _may_be_called(function.text):
        raise RefusedNameError(function.text)
    if function.text == "numpy.dtype":
        # Not shown if it is no text: a tuple of tuples may take for ever.
        kind = arguments[0] if arguments and isinstance(arguments[0], str) else "of an object"
        if not NUMBERS.fullmatch(kind):
            raise RefusedNameError(f"{function.text} {kind}")
    if function.text == "collections.OrderedDict" and arguments:
        # Python 3 writes the entries as those of any dict.
        raise ScanError("it makes an OrderedDict of something else than its entries")
