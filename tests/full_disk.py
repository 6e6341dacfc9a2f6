"""A disk that is full: the system refuses to let files grow. Windows has no such limit."""

import contextlib

import pytest

REASON = "this system does not limit the size of files"


def limit(num_bytes):
    """No file of this process may become larger: what is written beyond is refused."""
    resource = pytest.importorskip("resource", reason=REASON)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))


@contextlib.contextmanager
def disk_of(num_bytes=None):
    """`limit` while the block runs; by default the block calls it, and its end takes it back."""
    resource = pytest.importorskip("resource", reason=REASON)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if num_bytes is not None:
            limit(num_bytes)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
