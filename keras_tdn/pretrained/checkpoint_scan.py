"""Checking what a file of PyTorch's asks for, before PyTorch does it.

PyTorch's restricted reader runs no code, but it makes whatever tensors a file describes, however
large, and looks up keys however they are nested. Here a file's pickles are followed without making
anything: names must be those of tensors and numbers, keys plain, and the storages of the tensors
must fit into the file.
"""

from __future__ import annotations

import dataclasses
import io
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

# Bytes of an element of each kind of storage that PyTorch writes by name.
STORAGES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
# What may be called: none of these makes more than it is given.
FUNCTIONS = {
    "collections.OrderedDict",
    "torch.Size",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "_codecs.encode",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
}
# NumPy's own classes of its types, such as `numpy.dtypes.Float64DType`, and numbers.
HARMLESS_MODULES = ("numpy.dtypes.",)
PICKLE = "data.pkl"
MAX_PICKLE_BYTES = 64 << 20
# A file of the older kind: a number, a version, facts about the machine, the object, its storages.
LEGACY_PICKLES = 5
ZIP_START = b"PK\x03\x04"
_DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
)


class RefusedNameError(ValueError):
    """A name that is not of a tensor or a number; the message is the name."""


class ScanError(ValueError):
    """What else is wrong, in a few words."""


def scan_checkpoint(path: Path) -> None:
    """Raises unless all that a file asks for is tensors and numbers that fit into it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(ZIP_START))
        file.seek(0)
        try:
            if start == ZIP_START:
                scans = [_scan(_zipped_pickle(file, size))]
            else:
                scans = [_scan(file) for _ in range(LEGACY_PICKLES)]
        except _DAMAGE_ERRORS as error:
            raise ScanError(f"{type(error).__name__}: {error}") from error
    total = sum(number for scan in scans for number in scan.values())
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


class _Made:
    """Anything but plain values, names and tuples."""


_MADE = _Made()
_MARK = _Made()
_PLAIN = (str, bytes, int, float, type(None))


class _Stack(list[Any]):
    def to_mark(self) -> list[Any]:
        """Pops what is above the last mark, and the mark."""
        place = len(self) - 1
        while self[place] is not _MARK:
            place -= 1
        taken = self[place + 1 :]
        del self[place:]
        return taken


def _scan(file: BinaryIO) -> dict[Any, int]:
    """Follows one pickle; returns the bytes of its storages by key."""
    stack = _Stack()
    memo: dict[Any, Any] = {}
    storages: dict[Any, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name in _PUSHED:
                stack.append(_PUSHED[name](argument))
            elif name in _JOINED:
                _JOINED[name](stack)
            elif name == "GLOBAL":
                stack.append(_Name(_checked(str(argument).replace(" ", "."))))
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif name == "BINPERSID":
                key, number = _storage(stack.pop())
                storages[key] = max(number, storages.get(key, 0))
                stack.append(_MADE)
            elif name not in ("PROTO", "STOP"):
                raise ScanError(f"it has an instruction {name}, which PyTorch does not write")
    except ScanError:
        raise
    # What pickletools says of bytes that are no pickle.
    except ValueError as error:
        if isinstance(error, RefusedNameError):
            raise
        raise ScanError(str(error)) from error
    return storages


def _checked(name: str) -> str:
    module, _, kind = name.rpartition(".")
    if (
        name in FUNCTIONS
        or (module in ("torch", "torch.storage") and kind in STORAGES)
        or name.startswith(HARMLESS_MODULES)
    ):
        return name
    raise RefusedNameError(name)


def _storage(identity: Any) -> tuple[Any, int]:
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        raise ScanError("it refers to something else than a storage")
    _, kind, key, _, count = identity[:5]
    itemsize = STORAGES.get(kind.text.rpartition(".")[2]) if isinstance(kind, _Name) else None
    if itemsize is None or not isinstance(key, _PLAIN) or not isinstance(count, int) or count < 0:
        raise ScanError("it describes a storage in another way than PyTorch does")
    return key, count * itemsize


def _call(stack: _Stack) -> None:
    arguments, function = stack.pop(), stack.pop()
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise ScanError("it calls something without a name")
    if function.text not in FUNCTIONS and not function.text.startswith(HARMLESS_MODULES):
        raise RefusedNameError(function.text)
    if function.text == "collections.OrderedDict" and arguments:
        # Python 3 writes the entries as those of any dict.
        raise ScanError("it makes an OrderedDict of something else than its entries")
    stack.append(_MADE)


def _set_items(stack: _Stack, items: list[Any]) -> None:
    if stack[-1] is not _MADE or not all(isinstance(key, _PLAIN) for key in items[::2]):
        # Whatever is looked up is hashed, and tuples in each other would take for ever.
        raise ScanError("it has entries that are not called by a text or a number")


def _set_item(stack: _Stack) -> None:
    value, key = stack.pop(), stack.pop()
    _set_items(stack, [key, value])


def _join(count: int) -> Callable[[_Stack], None]:
    def join(stack: _Stack) -> None:
        taken = tuple(stack[-count:])
        if len(taken) != count:
            raise ScanError("it ends in the middle")
        stack[-count:] = [taken]

    return join


_PUSHED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("EMPTY_DICT", "EMPTY_LIST"), lambda _: _MADE),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"),
        lambda argument: argument,
    ),
    "EMPTY_TUPLE": lambda _: (),
    "MARK": lambda _: _MARK,
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
}
_JOINED: dict[str, Callable[[_Stack], Any]] = {
    "TUPLE": lambda stack: stack.append(tuple(stack.to_mark())),
    "TUPLE1": _join(1),
    "TUPLE2": _join(2),
    "TUPLE3": _join(3),
    "APPEND": lambda stack: stack.pop(),
    "APPENDS": lambda stack: stack.to_mark(),
    "SETITEM": _set_item,
    "SETITEMS": lambda stack: _set_items(stack, stack.to_mark()),
    "BUILD": lambda stack: stack.pop(),
    "REDUCE": _call,
    "NEWOBJ": _call,
}
