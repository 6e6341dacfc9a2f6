import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import keras_tdn
from keras_tdn.watching import WindowLayout
from keras_tdn.web import UploadLimits, show_video
from keras_tdn.web.page import NOTHING
from keras_tdn.web.serving import example_maker, write_example
from keras_tdn.web.uploads import Visitors

from .conftest import BAD

WINDOW = 1.0


def show(model, path, **arguments):
    arguments = {"window_seconds": WINDOW, "redraw_seconds": 0.0, **arguments}
    return list(show_video(model, str(path), **arguments))


def page_after(steps):
    """What stands on the page in the end."""
    page = {}
    for shown in steps:
        page |= {name: part for name, part in dataclasses.asdict(shown).items() if part is not None}
    return page


@pytest.fixture(scope="module")
def steps(model, uploads):
    return show(model, uploads / "video.mp4")


def test_parts_come_one_after_the_other(steps):
    states = [re.sub("<[^>]*>", "", shown.state) for shown in steps]
    assert states[:3] == ["Reading the video\u2026", "Drawing the motion maps\u2026",
                          "Watching\u2026"]  # fmt: skip
    # A second of four, a window every quarter of one.
    assert states[3] == "Watched 1 s of 4 s\u2026"
    # The last segment of the thirteenth would end after the video.
    assert states[-2] == "Watched 3.8 s of 4 s\u2026"
    assert states[-1] == "Done."
    assert len(states) == 3 + 12 + 1
    # The first clears what was there; then each part is sent when it is new, and not again.
    assert (steps[0].answer, steps[0].timeline, steps[0].maps) == ("", "", "")
    assert [number for number, shown in enumerate(steps) if shown.answer] == [1]
    assert [number for number, shown in enumerate(steps) if shown.maps] == [2]
    assert all(shown.timeline for shown in steps[3:])


def test_answer_is_that_of_predict_video(model, uploads, steps):
    expected = keras_tdn.predict_video(model, uploads / "video.mp4")
    answer = page_after(steps)["answer"]
    names = re.findall(r'<span class="name">([^<]*)</span>', answer)
    assert names == [item.label.replace("<", "&lt;").replace(">", "&gt;") for item in expected]
    assert f"<b>{names[0]}</b>" in answer


def test_timeline_is_that_of_watch(model, uploads, steps):
    from keras_tdn.watching import watch

    first = [int(window.scores.argmax()) for window in watch(model, uploads / "video.mp4",
                                                             window_seconds=WINDOW)]  # fmt: skip
    timeline = page_after(steps)["timeline"]
    labels = [label.replace("<", "&lt;").replace(">", "&gt;") for label in model.labels]
    assert {name for name in labels if f"\u25cf {name}" in timeline} == {labels[i] for i in first}


def test_maps_are_those_of_explain(steps):
    maps = page_after(steps)["maps"]
    for name in ("motion energy", "stage 2: gate strength", "Grad-CAM: ", "<video ",
                 "What the short-term TDM sees"):  # fmt: skip
        assert name in maps
    # Nothing that a browser would have to ask for.
    assert set(re.findall(r'src="([^:]*):', maps)) == {"data"}
    assert "<script" not in maps


@pytest.fixture
def no_maps(monkeypatch):
    """Drawing them takes longer than all else."""
    monkeypatch.setattr("keras_tdn.web.showing.explain", lambda *arguments, **options: None)
    monkeypatch.setattr("keras_tdn.web.showing.maps_html", lambda explanation: "maps")


@pytest.mark.usefixtures("no_maps")
def test_redrawing_is_paced(model, uploads, steps, monkeypatch):
    now = iter(range(10**6))
    clock = SimpleNamespace(monotonic=lambda: float(next(now)))
    monkeypatch.setattr("keras_tdn.web.showing.time", clock)
    steps = show(model, uploads / "video.mp4", redraw_seconds=10.0)
    drawings = [shown for shown in steps if shown.timeline]
    # The clock is read once for a window: the first one is drawn, another ten readings later, and
    # what there is at the end.
    assert len(drawings) == 3
    assert drawings[-1].timeline == page_after(steps)["timeline"]


@pytest.mark.usefixtures("no_maps")
def test_long_videos_are_watched_in_part(model, uploads):
    steps = show(model, uploads / "video.mp4", limits=UploadLimits(seconds=2.0))
    assert "The timeline ends after 2 s" in steps[-1].state
    assert "Watched 2 s of 4 s" in steps[-2].state
    # A video's first window is scored however long it is.
    steps = show(model, uploads / "video.mp4", limits=UploadLimits(seconds=0.1))
    assert sum(bool(shown.timeline) for shown in steps) == 2


@pytest.mark.parametrize("name", [*BAD, "none.mp4"])
def test_bad_files_get_a_message(model, uploads, name):
    page = page_after(show(model, uploads / name))
    assert 'role="alert"' in page["state"]
    assert name not in page["state"]
    assert not page["answer"] + page["timeline"] + page["maps"]


@pytest.mark.usefixtures("no_maps")
def test_damage_in_the_middle_is_told(model, uploads, tmp_path):
    content = bytearray((uploads / "video.mp4").read_bytes())
    start = content.index(b"mdat") + len(content) // 3
    content[start : start + 600] = bytes(600)
    (tmp_path / "damaged.mp4").write_bytes(content)
    page = page_after(show(model, tmp_path / "damaged.mp4"))
    assert "ended early, after " in page["state"]
    assert all(page[part] for part in ("answer", "timeline", "maps"))


def test_bugs_are_for_the_terminal(model, uploads, monkeypatch, caplog):
    def fail(*arguments, **options):
        raise RuntimeError("an inner secret")

    monkeypatch.setattr("keras_tdn.web.showing.explain", fail)
    page = page_after(show(model, uploads / "video.mp4"))
    assert "Something went wrong here." in page["state"]
    assert "secret" not in str(page)
    assert "an inner secret" in caplog.text
    # What was ready before stays.
    assert page["answer"]


@pytest.mark.usefixtures("no_maps")
def test_stopping_early_closes_the_video(model, uploads, monkeypatch):
    import keras_tdn.web.showing as module

    watches = []
    watch = module.watch
    monkeypatch.setattr(module, "watch", lambda *a, **k: watches.append(watch(*a, **k)) or
                        watches[-1])  # fmt: skip
    steps = show_video(model, str(uploads / "video.mp4"), window_seconds=WINDOW, redraw_seconds=0.0)
    while not next(steps).timeline:
        pass
    steps.close()
    assert next(watches[0], None) is None


def test_no_video_clears_the_page(model):
    steps = list(show_video(model, None))
    assert page_after(steps) == {"state": NOTHING, "answer": "", "timeline": "", "maps": ""}


def test_what_a_visitor_is_told(model):
    from keras_tdn.web.showing import about_text, class_names

    layout = WindowLayout(4, 5, 1.25)
    names = class_names(model)
    assert names == model.labels
    assert class_names(model, ["a", "b", "c"]) == ("a", "b", "c")
    text = about_text("my`model", names, UploadLimits(7), layout)
    assert "up to 7 MB" in text
    assert "`my'model`" in text
    assert "windows of 1.25 seconds" in text
    assert "It knows 3 classes: `fall`, `get <on>`, `roll`." in text
    text = about_text("m", [f"class {at}" for at in range(400)], UploadLimits(), layout)
    assert "It knows 400 classes, such as `class 0`, `class 1`, `class 2`, `class 3`." in text


def test_examples(tmp_path):
    from keras_tdn.datasets.motion import MOTION_LABELS

    visitors = Visitors(str(tmp_path))
    assert example_maker(("fall", "roll"), visitors) is None
    assert example_maker(None, visitors) is None
    make = example_maker(MOTION_LABELS, visitors)
    assert (path := make()) != make()
    assert visitors.may_use("anyone", path)
    one, same, other = (write_example(str(tmp_path), seed) for seed in (1, 1, 2))
    content = [Path(path).read_bytes() for path in (one, same, other)]
    assert content[0] == content[1] != content[2]
