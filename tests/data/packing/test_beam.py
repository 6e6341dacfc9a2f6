import sys

import pytest

from keras_tdn.data.packing import pack_with_beam

OPTIONS = {"short_side": 80, "num_shards": 3, "max_failure_share": 0.5}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_extra_is_named(records, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r'pip install "keras-tdn\[beam\]"'):
        pack_with_beam(records, tmp_path / "out")


class TestWithBeam:
    @pytest.fixture(autouse=True)
    def beam(self):
        pytest.importorskip("apache_beam", reason="needs the extra keras-tdn[beam]")

    def test_the_direct_runner_writes_the_same_files(self, packed, records, tmp_path):
        runner = ["--runner=DirectRunner"]
        report = pack_with_beam(records, tmp_path / "out", pipeline_options=runner, **OPTIONS)
        assert (report.num_records, len(report.failures), report.num_kept_shards) == (7, 2, 0)
        assert contents(tmp_path / "out") == contents(packed)

    def test_it_finishes_what_is_there(self, packed, records, tmp_path):
        pack_with_beam(records, tmp_path, **OPTIONS)
        shard = tmp_path / "videos-00001-of-00003.tfrecord"
        shard.write_bytes(shard.read_bytes()[:-1])
        assert pack_with_beam(records, tmp_path, **OPTIONS).num_kept_shards == 2
        assert contents(tmp_path) == contents(packed)

    def test_too_many_failures(self, records, tmp_path):
        with pytest.raises(ValueError, match="2 of 9 videos cannot be packed"):
            pack_with_beam(records, tmp_path, **{**OPTIONS, "max_failure_share": 0.1})
        assert not (tmp_path / "index.json").exists()

    def test_a_pipeline_that_fails_is_told(self, packed, records, tmp_path, monkeypatch):
        def full(*arguments):
            raise OSError("No space left on device")

        monkeypatch.setattr("keras_tdn.data.packing.shards.make_shard", full)
        with pytest.raises(ValueError, match=r"pipeline failed: (?s:.*)No space left on device"):
            pack_with_beam(records, tmp_path, **OPTIONS)

    def test_a_folder_that_is_not_shared_is_told(self, records, tmp_path, monkeypatch):
        monkeypatch.setattr("keras_tdn.data.packing.shards.finish_shard", lambda *_: (None, False))
        with pytest.raises(ValueError, match=r"3 of 3 shards are not in .* share"):
            pack_with_beam(records, tmp_path, **OPTIONS)
