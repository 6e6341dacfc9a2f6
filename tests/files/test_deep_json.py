"""JSON that is nested too deep is damage like any other, in every file that is read back."""

import io
import zlib

import numpy as np
import pytest

from keras_tdn.data.packed_records import load_packed
from keras_tdn.evaluation.report import load_report
from keras_tdn.evaluation.scores import load_scores
from keras_tdn.files.resumable_folder import read_object
from keras_tdn.labelling.labeller import read_rows
from keras_tdn.training.state_files import read_newest_state
from keras_tdn.training.training_result import TrainingResult
from keras_tdn.watching.timeline import parse_line

DEEP = b"[" * 10_000


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "read", "message"),
    [
        ("index.json", DEEP, load_packed, "is damaged or of another release"),
        ("report.json", DEEP, load_report, "is no report that this version can read"),
        (
            "scores.npz",
            npz(header=np.frombuffer(DEEP, np.uint8)),
            load_scores,
            "is no file of scores that this version can read",
        ),
        ("rows.jsonl", DEEP, lambda path: list(read_rows(path)), "Line 1 of .* is not a row"),
    ],
)
def test_files_that_are_asked_for(tmp_path, name, content, read, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


def test_files_that_a_run_finds(tmp_path):
    (tmp_path / "plan.json").write_bytes(DEEP)
    assert read_object(tmp_path / "plan.json") is None
    assert TrainingResult.read(tmp_path / "plan.json", tmp_path) is None
    checksum = str(zlib.crc32(DEEP)).encode()
    assert parse_line(DEEP + b',"crc32":' + checksum + b"}\n") is None
    state = npz(meta=np.frombuffer(DEEP, np.uint8))
    (tmp_path / f"{1:010d}-{'0' * 64}.npz").write_bytes(state)
    with pytest.raises(ValueError, match="they are damaged"):
        read_newest_state(tmp_path)
