"""A demo of two batches from end to end; `KERAS_TDN_DEMO=1` runs the real one.

`KERAS_TDN_DEMO=timed` also holds it to its three minutes, on a machine that does nothing else.
"""

import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_tdn import predict_video
from keras_tdn.data import load_records
from keras_tdn.datasets.motion import MOTION_LABELS
from keras_tdn.demo import DemoSettings, run_demo
from keras_tdn.files.atomic import sha256_of
from keras_tdn.pretrained import load_preset
from keras_tdn.pretrained.presets import ORIGIN_ATTRIBUTE

pytest.importorskip("tensorflow")
# The real one compiles its networks.
pytestmark = pytest.mark.usefixtures("eager_models")

ROOT = pathlib.Path(__file__).parents[2]
REAL = "KERAS_TDN_DEMO"
TIMED = "timed"
CLASSES = len(MOTION_LABELS)
SETTINGS = DemoSettings(epochs=1, seed=3, num_train=2 * CLASSES, num_validation=CLASSES)


class Page(html.parser.HTMLParser):
    """Tags, texts, and every address in a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.addresses, self.descriptions = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.addresses.append(value)
            if name == "alt":
                self.descriptions.append(value)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def result(told, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "my demo"
    return run_demo(folder, SETTINGS, tell=told.append, progress=False)


@pytest.fixture(scope="module")
def page(result):
    return Page(result.page.read_text("utf-8"))


def test_what_is_left(result):
    names = {"demo.json", "fresh.mp4", "index.html", "preset", "served_model", "training", "videos"}
    assert {entry.name for entry in result.folder.iterdir()} == names


def test_the_page_needs_nothing_else(page):
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert page.tags.count("section") == 8


def test_the_page_shows_a_video_of_each_class(page):
    for label in MOTION_LABELS:
        assert page.descriptions.count(f"a video of {label}, picture 1") >= 1
    # Five neighbouring frames, and the four differences between them.
    assert sum("neighbouring frames, picture" in text for text in page.descriptions) == 9


def test_the_page_tells_what_was_measured(page, result):
    text = "".join(page.texts).replace("\u00a0", " ")
    for share in (result.top1, result.baseline_top1, result.chance):
        assert f"{100 * share:.1f} %" in text
    assert f"{100 * (result.top1 - result.baseline_top1):+.1f}" in text
    assert f"{2 * CLASSES} videos to learn from and {CLASSES} others" in text
    assert f"{CLASSES} videos that neither network has seen" in text
    # Beside its pictures, beside two bars, and in rows and columns of two tables.
    assert text.count("retreating then approaching") >= 7
    assert f"It shows {result.label}, and the answer is {result.answer[0][0]}." in text
    for step in result.steps:
        assert f"{step.name}{step.seconds:.1f} s" in text


def test_the_pages_commands_name_what_is_there(page, result):
    commands = [text for text in page.texts if re.match("keras-tdn .* --|saved_model_cli ", text)]
    # With quotes, because the folder's name has a space.
    assert commands[0] == f"keras-tdn predict '{result.video}' --weights '{result.preset}'"
    listed = result.folder / "videos" / "validate.txt"
    assert f"keras-tdn evaluate '{listed}' --weights '{result.preset}'" in commands[1]
    assert f"--dir '{result.export}'" in commands[2]
    assert len(commands) == 4
    for path in (result.video, result.preset, listed, result.export / "saved_model.pb"):
        assert path.exists()


def test_figures_of_the_page_are_those_of_the_result(result):
    content = json.loads((result.folder / "demo.json").read_text())
    assert content["top1"] == result.top1
    assert DemoSettings(**content["settings"]) == SETTINGS
    assert content["answer"] == [list(pair) for pair in result.answer]
    assert len(content["steps"]) == 5
    assert result.total.seconds >= sum(step.seconds for step in result.steps)
    # One video of each class, so that a share is a number of them.
    assert CLASSES * result.top1 == pytest.approx(round(CLASSES * result.top1))


def test_the_preset_is_the_network_of_the_page(result):
    model = load_preset(result.preset)
    assert model.labels == MOTION_LABELS
    card = getattr(model, ORIGIN_ATTRIBUTE).card
    assert card.measured[0].top1 == pytest.approx(100 * result.top1)
    assert f"on {2 * CLASSES} rendered videos, seed 3" in card.source
    # The export was sent JPEG frames of the same video.
    scores = {item.label: item.score for item in predict_video(model, result.video, top=CLASSES)}
    for label, score in result.answer:
        assert score == pytest.approx(scores[label], abs=0.01)


def test_the_export_is_of_the_preset(result):
    manifest = json.loads((result.export / "assets" / "keras_tdn.json").read_text())
    assert manifest["weights_sha256"] == sha256_of(result.preset / "model.weights.h5")
    assert tuple(manifest["labels"]) == MOTION_LABELS


def test_both_networks_are_trained_alike(result):
    runs = [
        json.loads((result.folder / "training" / name / "run.json").read_text())
        for name in ("tdn", "tsn")
    ]
    differing = {key for key in runs[0] if runs[0][key] != runs[1][key]}
    assert differing == {"model"}
    models = [run["model"] for run in runs]
    switches = {"short_term", "long_term", "temporal_shift"}
    assert {key for key in models[0] if models[0][key] != models[1][key]} == switches


def test_the_videos_can_be_listed_where_they_are_now(result):
    records = load_records(result.folder / "videos" / "validate.txt", labels=MOTION_LABELS)
    assert len(records) == CLASSES
    assert all(os.path.isfile(record.path) for record in records)


def test_what_is_told_on_the_way(result, told):
    assert [line.split("/6")[0] for line in told if "/6" in line] == list("123456")
    assert f"     it shows {result.label!r}" in "\n".join(told)


def test_a_second_run_there_says_what_to_do(result):
    with pytest.raises(ValueError, match=r"has a finished demo: open .* choose another folder"):
        run_demo(result.folder, SETTINGS)


def test_a_step_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from keras_tdn.demo import run

    def fail(folder, *_, **__):
        folder.mkdir()
        (folder / "one.mp4").write_bytes(b"1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "make_motion_dataset", fail)
    with pytest.raises(OSError, match="No space left"):
        run_demo(tmp_path / "demo", SETTINGS, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_fresh_video_is_in_no_list(result):
    """Its frames are no frames of any other video."""
    from keras_tdn.data import read_frames

    fresh = read_frames(str(result.video), np.arange).astype(np.int16)
    videos = list((result.folder / "videos" / "videos").rglob("*.mp4"))
    assert len(videos) == 3 * CLASSES
    for path in videos:
        other = read_frames(str(path), np.arange).astype(np.int16)
        assert np.abs(other[0] - fresh[0]).mean() > 10


@pytest.mark.skipif(not os.environ.get(REAL), reason=f"takes minutes: set {REAL}=1")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its budget is TensorFlow's")
def test_the_real_demo(tmp_path):
    """From the start of the command, without a terminal, in three minutes of two idle cores."""
    resource = pytest.importorskip("resource")
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "keras_tdn", "demo", "--output", str(tmp_path / "demo")]
    finished = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert finished.returncode == 0, finished.stderr
    assert "\r" not in finished.stderr
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    content = json.loads((tmp_path / "demo" / "demo.json").read_text())
    # Of some 200 videos, a network that guesses labels 9 % right, and hardly ever more than 15 %.
    assert content["top1"] > 0.95
    assert content["baseline_top1"] < 0.16
    if os.environ[REAL] == TIMED:
        assert seconds < 180, f"{used:.0f} s of CPU time, {seconds:.0f} s in all"
    sys.stderr.write(
        f"\n{used:.0f} s of CPU time, {seconds:.0f} s in all; "
        f"TDN {content['top1']:.3f}, TSN {content['baseline_top1']:.3f}\n"
    )
