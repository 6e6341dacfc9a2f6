"""The authors' checkpoints, as files that are odd or ask for far more than they have.

Each is refused in words, before memory is taken.
"""

import zipfile

import pytest
from backends import import_or_skip

from keras_tdn.pretrained.checkpoint import read_official_checkpoint

torch = import_or_skip("torch")


class Asks:
    """What asks for a function to be called."""

    def __init__(self, function, *arguments):
        self.recipe = function, arguments

    def __reduce__(self):
        return self.recipe


def checkpoint(path, content, legacy=False):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (lambda: torch.zeros(1).expand(2_000_000_000), "stores 4 bytes for 'a', whose shape"),
        (lambda: torch.zeros(100).as_strided((10, 100), (0, 1)), "needs 4000. Save it again"),
        (lambda: Asks(torch.FloatTensor, 9), "refused.*asks for torch.*Tensor"),
        (lambda: Asks(bytearray, 9), "refused.*asks for .*bytearray"),
    ],
    ids=["expanded", "repeated", "invented", "bytes"],
)
def test_tensors_that_are_not_in_the_file(tmp_path, tensor, message, legacy):
    path = checkpoint(tmp_path / "a.pth", {"state_dict": {"a": tensor()}}, legacy)
    with pytest.raises(ValueError, match=message):
        read_official_checkpoint(path)


def test_many_tensors_that_are_one(tmp_path):
    whole = torch.zeros(10_000)
    path = checkpoint(tmp_path / "a.pth", {f"{index}": whole.view(-1) for index in range(50)})
    with pytest.raises(ValueError, match="its tensors would take 2000000 bytes, far more than"):
        read_official_checkpoint(path)


def archive_of(path, instructions, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + instructions + b".")
        archive.writestr("a/version", "3\n")
    return path


def test_storages_that_are_not_in_the_file(tmp_path):
    storage = b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"
    count = b"\x8a\x05" + (10**10).to_bytes(5, "little")
    path = archive_of(tmp_path / "a.pth", b"(" + storage + count + b"tQ")
    with pytest.raises(ValueError, match="its tensors would take 40000000000 bytes, and the file"):
        read_official_checkpoint(path)


def test_a_name_that_takes_for_ever(tmp_path):
    # A pair of a pair of a pair, of one object each, is small, and its hash takes 2**60 steps.
    pairs = b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    path = archive_of(tmp_path / "a.pth", b"})" + pairs + b"K\x01s")
    with pytest.raises(ValueError, match="entries that are not called by a text or a number"):
        read_official_checkpoint(path)


def test_an_ordered_dict_of_a_list_is_not_made(tmp_path):
    path = archive_of(tmp_path / "a.pth", b"ccollections\nOrderedDict\n]\x85R")
    with pytest.raises(ValueError, match="makes an OrderedDict of something else"):
        read_official_checkpoint(path)


def test_a_numpy_type_that_takes_for_ever(tmp_path):
    pairs = b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    path = archive_of(tmp_path / "a.pth", b"cnumpy\ndtype\n)" + pairs + b"\x85R")
    with pytest.raises(ValueError, match=r"refused.*asks for numpy\.dtype of an object"):
        read_official_checkpoint(path)


def test_an_archive_that_is_compressed(tmp_path):
    path = archive_of(tmp_path / "a.pth", b"X" + (1 << 20).to_bytes(4, "little") + b"a" * (1 << 20),
                      zipfile.ZIP_DEFLATED)  # fmt: skip
    with pytest.raises(ValueError, match="it unpacks to more than it is"):
        read_official_checkpoint(path)
