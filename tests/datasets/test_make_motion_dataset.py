import hashlib
import json
import pathlib

import numpy as np
import pytest

from keras_tdn.data import load_records, read_frames
from keras_tdn.datasets import motion
from keras_tdn.datasets.motion import (
    MOTION_CLASSES,
    MOTION_LABELS,
    MotionConfig,
    make_motion_dataset,
    render_motion,
)
from keras_tdn.datasets.motion.make import encode_mp4

SMALL = MotionConfig(num_frames=6, size=32)


def contents(folder):
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_what_is_written(tmp_path):
    train, validation = make_motion_dataset(tmp_path / "motion", 14, 12, config=SMALL)
    assert (len(train), len(validation)) == (14, 12)
    assert [record.label for record in train] == [*range(12), 0, 1]
    assert train.labels == validation.labels == MOTION_LABELS
    assert len(contents(tmp_path / "motion")) == 26 + 4
    assert train[1].path.endswith("videos/moving_right/train_00001.mp4")
    assert (tmp_path / "motion" / "classes.txt").read_text().split("\n")[11] == "still"
    assert read_frames(validation[3].path, np.arange).shape == (6, 32, 32, 3)
    # Nobody's own path is in the lists, so that the folder can be moved.
    (tmp_path / "motion").rename(tmp_path / "moved")
    for name, records in (("train", train), ("validate", validation)):
        listed = load_records(
            tmp_path / "moved" / f"{name}.txt", labels=tmp_path / "moved" / "classes.txt"
        )
        assert [record.label for record in listed] == [record.label for record in records]
        assert listed.labels == MOTION_LABELS


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(tmp_path):
    for name, arguments in (
        ("one", {"workers": 1}),
        ("three", {"workers": 3}),
        ("other", {"seed": 1}),
    ):
        make_motion_dataset(tmp_path / name, 12, 3, config=SMALL, **arguments)
    one, three, other = (contents(tmp_path / name) for name in ("one", "three", "other"))
    assert one == three
    videos = [name for name in one if name.endswith(".mp4")]
    assert not {one[name] for name in videos} & {other[name] for name in videos}
    # No video occurs twice, in validation neither.
    assert len({one[name] for name in videos}) == len(videos) == 15


def test_frames_of_the_files_are_those_rendered(tmp_path):
    config = MotionConfig(num_frames=5)
    _, (record,) = make_motion_dataset(tmp_path, 1, 1, seed=4, config=config)
    rendered = render_motion(0, config, (4, 1, 0)).astype(int)
    difference = np.abs(read_frames(record.path, np.arange) - rendered)
    # Colour is stored at half the resolution, and all of it coarsely.
    assert difference.mean() < 8


def test_every_frame_is_a_keyframe(tmp_path):
    import av

    _, (record,) = make_motion_dataset(tmp_path, 1, 1, config=SMALL)
    with av.open(record.path) as file:
        assert [packet.is_keyframe for packet in file.demux(video=0) if packet.size] == [True] * 6
        assert file.streams.video[0].average_rate == 25


def test_an_interrupted_call_goes_on(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(ready, total):
        assert total == 14
        if ready == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        make_motion_dataset(tmp_path / "a", 11, 3, config=SMALL, workers=1, progress=stop)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.mp4")}
    assert 5 <= len(written) < 14
    assert not (tmp_path / "a" / "train.txt").exists()
    seen = []
    make_motion_dataset(
        tmp_path / "a", 11, 3, config=SMALL, progress=lambda ready, _: seen.append(ready)
    )
    assert seen == list(range(len(written) + 1, 15))
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    make_motion_dataset(tmp_path / "b", 11, 3, config=SMALL)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    # More videos do not change those that are there.
    make_motion_dataset(tmp_path / "a", 13, 4, config=SMALL)
    small, large = contents(tmp_path / "b"), contents(tmp_path / "a")
    assert all(large[name] == sha for name, sha in small.items() if name.endswith(".mp4"))


def test_a_failure_is_told_and_nothing_half_written_remains(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_tdn.datasets.motion.make.encode_mp4", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_motion_dataset(tmp_path, 2, 1, config=SMALL)
    assert not list(tmp_path.rglob("*.mp4*"))


def test_a_folder_of_another_data_set_is_refused(tmp_path):
    make_motion_dataset(tmp_path, 1, 1, config=SMALL)
    for arguments in ({"seed": 1, "config": SMALL}, {}):
        with pytest.raises(ValueError, match="holds a motion data set of another seed or config"):
            make_motion_dataset(tmp_path, 1, 1, **arguments)
    (tmp_path / "motion.json").write_text("{")
    with pytest.raises(ValueError, match="Choose another folder, or delete this one"):
        make_motion_dataset(tmp_path, 1, 1, config=SMALL)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.jpg").write_bytes(b"")
    make_motion_dataset(tmp_path / "other", 1, 1, config=SMALL)
    assert (tmp_path / "other" / "holiday.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_train": 0}, r"at least 1 for `num_train`\. Received: num_train=0"),
        ({"num_validation": 2.5}, r"at least 1 for `num_validation`\. Received"),
        ({"seed": -1}, r"at least 0 for `seed`"),
        ({"workers": True}, r"at least 1 for `workers`"),
        ({"config": {"size": 64}}, r"needs a MotionConfig for `config`"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_motion_dataset(tmp_path / "motion", **arguments)
    assert not (tmp_path / "motion").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 33}, "an even `size`"),
        ({"size": 30}, "an integer from 32 to 512 for `size`"),
        ({"num_frames": 32.0}, "an integer from 5 to 1000 for `num_frames`"),
        ({"frame_rate": 0}, "for `frame_rate`"),
        ({"quantizer": 52}, "from 1 to 51 for `quantizer`"),
        ({"move_speed": (0.2, 0.1)}, "two numbers for `move_speed`, ascending, from 0.0001 to 0.5"),
        ({"turn_speed": 5.0}, "two numbers for `turn_speed`"),
        ({"zoom_speed": (0.1, float("nan"))}, "two numbers for `zoom_speed`"),
        ({"turning_jitter": -0.5}, "a number from 0.0 to 100.0 for `turning_jitter`"),
        ({"noise": -1.0}, "a number from 0.0 to 50.0 for `noise`"),
        ({"shake": "much"}, "a number from 0.0 to 0.1 for `shake`"),
    ],
)
def test_bad_configs(arguments, message):
    with pytest.raises(ValueError, match=message):
        MotionConfig(**arguments)


def test_a_config_goes_through_json():
    config = MotionConfig(
        num_frames=9,
        size=48,
        move_speed=[0.01, 0.02],
        turn_speed=(1.0, 1.0),
        zoom_speed=(0.01, 0.03),
        turning_jitter=2.5,
        shake=0.0,
        noise=0.0,
        frame_rate=30,
        quantizer=30,
    )
    text = json.dumps(config.to_config())
    assert MotionConfig(**json.loads(text)) == config
    assert config.move_speed == (0.01, 0.02)


def test_bad_classes_and_seeds():
    for label in (-1, 12, True, "still"):
        with pytest.raises(ValueError, match="12 classes, 0 to 11"):
            render_motion(label, SMALL, (0,))
    for seed in (0, (), (-1,), (0.5,)):
        with pytest.raises(ValueError, match="`seed` is one or more non-negative integers"):
            render_motion(0, SMALL, seed)


def test_with_one_seed_classes_begin_with_one_scene():
    quiet = MotionConfig(num_frames=6, noise=0.0, shake=0.0)
    first = np.stack([render_motion(label, quiet, (1, 2)) for label in range(12)])
    for video in first[1:]:
        np.testing.assert_array_equal(video[0], first[0, 0])
    np.testing.assert_array_equal(first[11], first[11][:1].repeat(6, axis=0))
    for label in range(11):
        assert np.abs(first[label, 1].astype(int) - first[label, 0]).mean() > 5


def test_the_scene_is_seen_the_same_at_other_sizes():
    quiet = {"num_frames": 6, "noise": 0.0, "shake": 0.0}
    small, large = (
        render_motion(6, MotionConfig(size=size, **quiet), (1,)).astype(float) for size in (64, 128)
    )
    halved = large.reshape(6, 64, 2, 64, 2, 3).mean((2, 4))
    # The nearest texel of a pixel is not quite that of the four smaller ones.
    assert np.abs(halved - small).mean() < 8


def test_bytes_of_a_video_hold_no_date_and_no_name():
    content = encode_mp4(render_motion(11, SMALL, (0,)), SMALL)
    assert content == encode_mp4(render_motion(11, SMALL, (0,)), SMALL)
    for word in (b"Lavf", b"20", b"encoder="):
        assert word not in content[:64]
    assert b"Lavf" not in content


def test_classes_and_their_mirror_images():
    from keras_tdn.data import flip_map

    assert len(MOTION_CLASSES) == len(set(MOTION_LABELS)) == 12
    mirrored = flip_map(MOTION_LABELS)
    for number, kind in enumerate(MOTION_CLASSES):
        image = MOTION_CLASSES[mirrored[number]]
        assert (image.right, image.turn) == (-kind.right, -kind.turn)
        assert (image.down, image.grow, image.legs) == (kind.down, kind.grow, kind.legs)


def test_what_is_exported():
    assert all(hasattr(motion, name) for name in motion.__all__)
