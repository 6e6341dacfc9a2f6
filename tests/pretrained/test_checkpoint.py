import os
import pickle
import sys

import numpy as np
import pytest
from backends import import_or_skip

from keras_tdn.pretrained.checkpoint import read_official_checkpoint

torch = import_or_skip("torch")

TENSORS = {"module.a.weight": torch.arange(6.0).reshape(2, 3), "module.n": torch.tensor(3)}

both_serialisations = pytest.mark.parametrize("zipped", [False, True], ids=["legacy", "zip"])


def save(path, content, zipped=False):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


class RunsCode:
    def __init__(self, function, *arguments):
        self.recipe = function, arguments

    def __reduce__(self):
        return self.recipe


@both_serialisations
@pytest.mark.parametrize(
    "best",
    [64.5, torch.tensor(64.5), np.float64(64.5), np.float32(64.5), np.int64(64)],
    ids=["float", "tensor", "float64", "float32", "int64"],
)
def test_reads_what_the_authors_write(tmp_path, zipped, best):
    content = {"epoch": 60, "arch": "resnet50", "state_dict": TENSORS, "best_prec1": best}
    arrays = read_official_checkpoint(save(tmp_path / "best.pth.tar", content, zipped))
    assert list(arrays) == list(TENSORS)
    np.testing.assert_array_equal(arrays["module.a.weight"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["module.a.weight"].dtype == np.float32


def test_reads_numpy_scalars_under_their_old_name(tmp_path):
    path = save(tmp_path / "a.pth", {"state_dict": TENSORS, "best_prec1": np.float64(1)})
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert list(read_official_checkpoint(path)) == list(TENSORS)


@both_serialisations
def test_reads_a_bare_state_dict(tmp_path, zipped):
    assert len(read_official_checkpoint(save(tmp_path / "a.pth", TENSORS, zipped))) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(tmp_path, dtype):
    parameter = torch.nn.Parameter(torch.tensor([0.5, -2.0], dtype=dtype))
    arrays = read_official_checkpoint(save(tmp_path / "a.pth", {"a": parameter}))
    assert arrays["a"].dtype == np.float32
    np.testing.assert_array_equal(arrays["a"], [0.5, -2.0])


@both_serialisations
@pytest.mark.parametrize("where", ["state_dict", "arch"])
def test_refuses_code_and_does_not_run_it(tmp_path, zipped, where):
    mark = tmp_path / "was_here"
    content = {"state_dict": dict(TENSORS), where: RunsCode(os.mkdir, str(mark))}
    path = save(tmp_path / "a.pth", content, zipped)
    with pytest.raises(ValueError, match=r"refused: it holds more than.*mkdir") as info:
        read_official_checkpoint(path)
    assert not mark.exists()
    # PyTorch's advice to switch the protection off is not passed on.
    assert "weights_only" not in str(info.value)
    assert info.value.__suppress_context__


def test_refuses_objects_inside_numpy_scalars(tmp_path):
    scalar = np.float64(0).__reduce__()[0]
    mark = tmp_path / "was_here"
    inner = pickle.dumps(RunsCode(os.mkdir, str(mark)))
    content = {"state_dict": TENSORS, "best_prec1": RunsCode(scalar, np.dtype("O"), inner)}
    with pytest.raises(ValueError, match="refused: it holds more than"):
        read_official_checkpoint(save(tmp_path / "a.pth", content))
    assert not mark.exists()


def test_refuses_a_whole_module(tmp_path):
    with pytest.raises(ValueError, match=r"refused.*linear\.Linear"):
        read_official_checkpoint(save(tmp_path / "a.pth", torch.nn.Linear(2, 2)))


@both_serialisations
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
def test_refuses_a_truncated_file(tmp_path, zipped, part):
    path = save(tmp_path / "a.pth", {"state_dict": {"a": torch.randn(1000)}}, zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"damaged or was not written.*Download it again"):
        read_official_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file"),
        (b"\n<!DOCTYPE html><html>Too many requests</html>", "is a web page"),
        (b"Quota exceeded.\n" * 9, "damaged or was not written by torch.save"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged or was not written by torch.save"),
    ],
    ids=["empty", "html", "text", "hdf5"],
)
def test_refuses_other_files(tmp_path, content, message):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_official_checkpoint(path)


def test_refuses_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(ValueError, match="There is no checkpoint file"):
            read_official_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no tensors by name.*type list"),
        ({"state_dict": {}}, "holds no tensors by name.*entries"),
        ({"epoch": 3}, "'epoch' is of type int"),
        ({"a": {"b": torch.ones(2)}}, "'a' is of type dict"),
        ({3: torch.ones(2)}, "not called by a string: 3"),
        ({"a": torch.eye(3).to_sparse()}, "'a' as a sparse"),
        ({"a": torch.ones(3, dtype=torch.complex64)}, "'a' as a sparse, quantized or complex"),
    ],
    ids=["list", "empty", "number", "nested", "integer name", "sparse", "complex"],
)
def test_refuses_what_is_no_state_dict(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_official_checkpoint(save(tmp_path / "a.pth", content))


def test_names_the_extra_if_torch_is_missing(tmp_path, monkeypatch):
    path = save(tmp_path / "a.pth", TENSORS)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "keras-tdn\[convert\]"'):
        read_official_checkpoint(path)
