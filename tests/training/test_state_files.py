"""States on the disk: whole, checked, and never lost to the next one."""

import ml_dtypes
import numpy as np
import pytest
from full_disk import disk_of

from keras_tdn.training import state_files
from keras_tdn.training.state_files import State, read_newest_state, write_state


def state(step, **arrays):
    return State(step, {"a": np.full((3, 2), step, "float32"), **arrays}, {"step_seen": step})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read(tmp_path):
    arrays = {
        "float16": np.arange(4, dtype="float16"),
        "bfloat16": np.arange(4).astype(ml_dtypes.bfloat16),
        "int64": np.array(2**40),
        "uint32": np.arange(2, dtype="uint32"),
        "empty": np.zeros((0, 3), "float32"),
    }
    meta = {"place": {"epoch": 1}, "none": None, "number": 0.1 + 0.2, "infinite": float("inf")}
    write_state(tmp_path / "state", State(7, arrays, meta))
    found = read_newest_state(tmp_path / "state")
    assert (found.step, found.meta) == (7, meta)
    assert sorted(found.arrays) == sorted(arrays)
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_latest_two_are_kept(tmp_path):
    assert read_newest_state(tmp_path / "none") is None
    for step in (0, 5, 12):
        write_state(tmp_path, state(step))
    assert [name.split("-")[0] for name in names(tmp_path)] == ["0000000005", "0000000012"]
    assert read_newest_state(tmp_path).step == 12


@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "other"])
def test_a_damaged_one_is_passed_over(tmp_path, damage, caplog):
    write_state(tmp_path, state(1))
    write_state(tmp_path, state(2))
    newest = tmp_path / names(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    if damage == "byte":
        content[len(content) // 2] ^= 1
    elif damage == "cut":
        del content[-10:]
    elif damage == "empty":
        content.clear()
    else:
        content = (tmp_path / names(tmp_path)[0]).read_bytes()
    newest.write_bytes(content)
    assert read_newest_state(tmp_path).step == 1
    assert f"The training state {newest} is damaged" in caplog.text
    # The next one is written all the same.
    write_state(tmp_path, state(2))
    assert read_newest_state(tmp_path).step == 2


def test_without_a_whole_one_it_says_so(tmp_path):
    write_state(tmp_path, state(1))
    (tmp_path / names(tmp_path)[0]).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"None of the 1 training states in .* can be read"):
        read_newest_state(tmp_path)


def test_nothing_is_run_that_a_file_holds(tmp_path):
    content = tmp_path / "content.npz"
    np.savez(content, meta=np.array([{"step": 1}], dtype=object))
    name = f"0000000001-{state_files.sha256_of(content)}.npz"
    content.rename(tmp_path / name)
    with pytest.raises(ValueError, match="None of the 1 training states"):
        read_newest_state(tmp_path)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_state(tmp_path, state(2, objects=np.array([{}], dtype=object)))


def test_a_full_disk_leaves_the_ones_before(tmp_path):
    write_state(tmp_path, state(1))
    before = names(tmp_path)
    large = state(2, large=np.zeros(10**5))
    message = r"could not be written \(File too large\).*Make room"
    with disk_of(10**4), pytest.raises(OSError, match=message):
        write_state(tmp_path, large)
    assert names(tmp_path) == before
    assert read_newest_state(tmp_path).step == 1
    write_state(tmp_path, large)
    assert read_newest_state(tmp_path).step == 2
