"""Reading HDF5 files without following anything that leads out of the file.

HDF5 can also make gigabytes of a few kilobytes. Weights need neither.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

Hdf5Source = str | os.PathLike[str] | BinaryIO
# What h5py raises for a file that is cut off or is no HDF5 at all.
_DAMAGE_ERRORS = (
    *(OSError, KeyError, RuntimeError, TypeError, AttributeError, OverflowError, ValueError),
    zlib.error,
)
# Weights hardly compress. Beyond this, unpacking is what a file was made for.
MAX_UNPACKED_RATIO = 16
# Of small files, whose ratio says nothing.
FREE_BYTES = 1 << 20
MAX_OBJECTS = 1_000_000
# Of an attribute whose elements may each be as large as the file.
MAX_ATTRIBUTE_BYTES = 1 << 30
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_LAYOUTS = {h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED}


class Hdf5Error(ValueError):
    """A damaged or refused HDF5 file; the message fits between brackets."""


class Hdf5Content:
    """The arrays, as paths and shapes in the file's order, groups and attributes of a file.

    What leads out of it, is reached in two ways or would take far more memory than the file has
    bytes is an `Hdf5Error`. A path is `"layers/dense/vars/0"`; the file itself is `""`.
    """

    def __init__(self, root: h5py.File, num_bytes: int) -> None:
        self.arrays: dict[str, tuple[int, ...]] = {}
        self.groups: list[str] = []
        self._root = root
        self._num_bytes = num_bytes
        self._datasets: dict[str, h5py.h5d.DatasetID] = {}
        self._addresses: set[int] = set()
        with _in_words():
            self._walk(h5py.h5g.open(root.id, b"/"), "", 0)
            total = sum(map(self.num_bytes, self.arrays))
            if total > MAX_UNPACKED_RATIO * num_bytes + FREE_BYTES:
                raise Hdf5Error(f"its {num_bytes} bytes unpack to {total}")
            for path, dataset in self._datasets.items():
                _check_chunks(dataset, path, num_bytes)

    def num_bytes(self, path: str) -> int:
        return math.prod(self.arrays[path]) * self._datasets[path].get_type().get_size()

    def text(self, path: str, name: str) -> str | None:
        """Returns an attribute of a group or array that is a text, or `None` without one."""
        value = self._attribute(path, name)
        if value is None or isinstance(value, str):
            return value
        raise Hdf5Error(f"{_shown(path, name)} is no text")

    def texts(self, path: str, name: str) -> tuple[str, ...]:
        """Returns an attribute that is an array of texts; empty without one."""
        if (value := self._attribute(path, name)) is None:
            return ()
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return tuple(value)
        raise Hdf5Error(f"{_shown(path, name)} is no list of texts")

    def dtype(self, path: str) -> np.dtype:
        with _in_words():
            return h5py.Dataset(self._datasets[path]).dtype

    def read(self, path: str) -> np.ndarray:
        with _in_words():
            return np.asarray(h5py.Dataset(self._datasets[path])[()])

    def _walk(self, group: h5py.h5g.GroupID, path: str, depth: int) -> None:
        self._visit(h5py.h5o.get_info(group), path or "the file")
        self.groups.append(path)
        if depth > 64:
            raise Hdf5Error(f"'{path}' is nested too deeply")
        for name in group:
            shown = f"{path}/{name.decode()}".removeprefix("/")
            # A name with a slash would be followed like a path, over whatever is on the way.
            if not name or b"/" in name or name == b".":
                raise Hdf5Error(f"{shown!r} is no name")
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise Hdf5Error(f"{shown} is a link")
            child = h5py.h5o.open(group, name)
            if isinstance(child, h5py.h5g.GroupID):
                self._walk(child, shown, depth + 1)
            elif isinstance(child, h5py.h5d.DatasetID):
                self._visit(h5py.h5o.get_info(child), shown)
                _check_storage(child, shown)
                self.arrays[shown] = child.shape
                self._datasets[shown] = child

    def _visit(self, info: Any, shown: str) -> None:
        # Groups in each other have no end, and few of them have many paths.
        if info.addr in self._addresses or len(self._addresses) >= MAX_OBJECTS:
            raise Hdf5Error(f"{shown} is a second link to one object")
        self._addresses.add(info.addr)

    def _attribute(self, path: str, name: str) -> Any:
        with _in_words():
            # The way there was walked, and has hard links alone.
            owner = self._root[path or "/"]
            if name not in owner.attrs:
                return None
            attribute = owner.attrs.get_id(name)
            kind, count = attribute.get_type(), math.prod(attribute.shape)
            # A list of nothing is written as a list of numbers.
            if not count or attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
                return None
            if not isinstance(kind, h5py.h5t.TypeStringID):
                raise Hdf5Error(f"{_shown(path, name)} is no text")
            # Texts of any length lie elsewhere in the file, and all may be one and the same.
            largest = self._num_bytes if kind.is_variable_str() else kind.get_size()
            if count > 1 and count * largest > MAX_ATTRIBUTE_BYTES:
                raise Hdf5Error(f"{_shown(path, name)} is too large")
            value = owner.attrs[name]
            if isinstance(value, np.ndarray):
                return [v.decode() if isinstance(v, bytes) else v for v in value.tolist()]
            return value.decode() if isinstance(value, bytes) else value


@contextlib.contextmanager
def open_hdf5(file: Hdf5Source, what: str = "", fix: str = "") -> Iterator[Hdf5Content]:
    """Opens an HDF5 file, by path or open, and checks all of it before anything is read.

    An `Hdf5Error` here or in the block becomes a `ValueError` that begins with `what`, if given.
    """
    try:
        with contextlib.ExitStack() as stack:
            with _in_words():
                if isinstance(file, str | os.PathLike):
                    state = os.stat(file)
                    # A pipe would be waited for.
                    if not stat.S_ISREG(state.st_mode):
                        raise Hdf5Error("it is no regular file")
                    num_bytes = state.st_size
                else:
                    num_bytes = file.seek(0, os.SEEK_END)
                root = stack.enter_context(h5py.File(file, "r"))
            yield Hdf5Content(root, num_bytes)
    except Hdf5Error as error:
        if not what:
            raise
        raise ValueError(f"{what} ({error}). {fix}") from error


def _check_storage(dataset: h5py.h5d.DatasetID, shown: str) -> None:
    # In this order: the shape of an array that is put together depends on other files.
    plan = dataset.get_create_plist()
    if plan.get_layout() not in _LAYOUTS or plan.get_external_count():
        raise Hdf5Error(f"{shown} is stored elsewhere")
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise Hdf5Error(f"{shown} holds nothing")
    if plan.get_layout() != h5py.h5d.CHUNKED:
        return
    filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
    if not _FILTERS.issuperset(filters) or len(set(filters)) != len(filters):
        raise Hdf5Error(f"{shown} is compressed, and not just once by gzip")
    chunk, whole = math.prod(plan.get_chunk()), math.prod(dataset.shape)
    if chunk * dataset.get_type().get_size() > FREE_BYTES and chunk > whole:
        raise Hdf5Error(f"{shown} has chunks of {chunk} numbers, and {whole} in all")


def _check_chunks(dataset: h5py.h5d.DatasetID, path: str, num_bytes: int) -> None:
    """Unpacks what is compressed chunk by chunk: HDF5 would make room for any size."""
    plan = dataset.get_create_plist()
    if plan.get_layout() != h5py.h5d.CHUNKED:
        return
    chunk = math.prod(plan.get_chunk()) * dataset.get_type().get_size()
    # Behind a compressed chunk's own bytes there may be a checksum.
    most = chunk + 64
    filters = [plan.get_filter(place)[0] for place in range(plan.get_nfilters())]
    deflate = h5py.h5z.FILTER_DEFLATE
    chunks: list[Any] = []
    # By its number, each would be looked for from the first on.
    dataset.chunk_iter(chunks.append)
    for info in chunks:
        if info.size > num_bytes:
            raise Hdf5Error(f"a chunk of {path} is larger than the file")
        if not filters:
            continue
        skipped, stored = dataset.read_direct_chunk(info.chunk_offset)
        size = len(stored)
        if deflate in filters and not skipped >> filters.index(deflate) & 1:
            size = len(zlib.decompressobj().decompress(stored, most + 1))
        if size > most:
            raise Hdf5Error(f"a chunk of {path} unpacks to more than its {chunk} bytes")


def _shown(path: str, name: str) -> str:
    return f"the attribute {name!r} of {repr(path) if path else 'the file'}"


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Within the block, errors of h5py become `Hdf5Error`s."""
    try:
        yield
    except Hdf5Error:
        raise
    except _DAMAGE_ERRORS as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise Hdf5Error(reason) from error
