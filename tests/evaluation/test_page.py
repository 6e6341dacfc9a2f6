import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from evaluation_toys import make_scores

from keras_tdn.data.failures import Failure
from keras_tdn.data.records import Record, RecordList
from keras_tdn.evaluation import (
    ensemble,
    evaluate,
    plot_calibration,
    plot_confusion,
    report_on,
    write_page,
)
from keras_tdn.labels import load_labels
from keras_tdn.scoring.views import FrameReader
from keras_tdn.specs import ViewSpec

VOID = {"meta", "img"}


class Checker(HTMLParser):
    """Every element is closed, and nothing is fetched from anywhere."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.headings, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), attributes
        assert tag not in ("script", "link", "iframe", "object", "base")
        assert not any(name.startswith("on") for name in attributes)
        if tag == "img":
            self.images.append(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def checked(path):
    content = path.read_text(encoding="utf-8")
    assert "http" not in re.sub(r"data:image/\w+;base64,[^\"]*", "", content)
    assert "url(" not in content
    assert "@import" not in content
    checker = Checker()
    checker.feed(content)
    checker.close()
    assert checker.open == []
    return checker


SECTIONS = [
    "What fewer views give",
    "By class",
    "Confusion",
    "Calibration",
    "The most confident mistakes",
]


def test_a_page_of_an_evaluation_needs_no_other_file(model, some_bad, tmp_path):
    report = evaluate(model, some_bad, ViewSpec(3, 3), output=tmp_path / "results", progress=False)
    page = checked(tmp_path / "results" / "report.html")
    assert page.headings == [
        "Evaluation of toy", *SECTIONS, "Videos that could not be read",
    ]  # fmt: skip
    wrong = report.mistakes()
    assert wrong
    # A video of one frame shows that one.
    lengths = [1 if video.index == 5 else 5 for video in wrong]
    assert len(page.images) == sum(lengths)
    text = " ".join(page.text)
    assert "2 of 8 videos could not be read. All numbers are of the other 6" in text
    assert "crops along the long side" in text
    for video in wrong:
        assert video.path in text


def test_four_hundred_classes_fit_a_page(tmp_path):
    names = load_labels("kinetics400")
    scores = make_scores(0, videos=900, views=2, classes=400, class_names=names)
    scores = dataclasses.replace(
        scores, failures=tuple(Failure(f"{n}.mp4", 900 + n, "empty") for n in range(60))
    )
    write_page(report_on(scores), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 400_000
    page = checked(tmp_path / "page.html")
    # The matrix is a picture of a row for each class, enlarged to whole pixels.
    (matrix,) = page.images
    assert (matrix["width"], matrix["height"]) == ("800", "800")
    text = " ".join(page.text)
    assert all(name in text for name in names)
    assert "10 more are listed in report.json" in text


def test_texts_are_escaped_and_mistakes_may_be_gone(tmp_path):
    names = ('<script>alert("1")</script>', "a & b", "c\udcff\x00", "d", "e")
    scores = make_scores(0, class_names=names)
    scores = dataclasses.replace(
        scores, paths=tuple(f"/none/<b>{number}\udcff.mp4" for number in range(12))
    )
    records = RecordList([Record(path, 0, index=n) for n, path in enumerate(scores.paths)])
    rows = {record.path: row for row, record in enumerate(records)}
    write_page(report_on(scores), tmp_path / "page.html", FrameReader(records), rows)
    page = checked(tmp_path / "page.html")
    text = "".join(page.text)
    assert '<script>alert("1")</script>' in text
    assert "/none/<b>0\ufffd.mp4" in text
    assert "The video can no longer be read." in text


def test_no_decoder_can_fail_a_page(tmp_path):
    class Broken:
        def read_frames(self, source, choose_indices, size=None):
            raise RuntimeError("internal error")

    scores = make_scores(0)
    records = RecordList([Record(path, 0, index=n) for n, path in enumerate(scores.paths)])
    rows = {record.path: row for row, record in enumerate(records)}
    write_page(report_on(scores), tmp_path / "page.html", FrameReader(records, Broken()), rows)
    assert "The video can no longer be read." in (tmp_path / "page.html").read_text()


def test_a_page_of_what_has_no_probabilities_or_no_mistakes(tmp_path):
    models = [make_scores(0), make_scores(1)]
    write_page(ensemble(models, "clipped_logits"), tmp_path / "page.html")
    page = checked(tmp_path / "page.html")
    assert "Calibration" not in page.headings
    assert "sum of logits clipped at zero" in "".join(page.text)
    perfect = np.zeros((12, 1, 5), np.float32)
    perfect[np.arange(12), 0, models[0].labels] = 9
    right = dataclasses.replace(models[0], view_scores=perfect, views=ViewSpec())
    write_page(report_on(right), tmp_path / "page.html")
    page = checked(tmp_path / "page.html")
    assert "Nothing was confused." in "".join(page.text)
    assert "What fewer views give" not in page.headings


def test_a_failure_leaves_the_page_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("before")
    monkeypatch.setattr("keras_tdn.evaluation.report_page.render", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_page(report_on(make_scores(0)), tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == "before"


def test_figures_for_notebooks():
    report = report_on(make_scores(0))
    (axes,) = plot_confusion(report).axes
    assert sum(int(text.get_text()) for text in axes.texts) == report.num_scored
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == list(report.class_names)
    accuracy, counts = plot_calibration(report).axes
    used = [part for part in report.calibration_bins if part.count]
    assert [bar.get_height() for bar in accuracy.patches] == [part.accuracy for part in used]
    assert [bar.get_height() for bar in counts.patches] == [part.count for part in used]
    logits = ensemble([make_scores(0), make_scores(1)], "clipped_logits")
    with pytest.raises(ValueError, match="scores are no probabilities"):
        plot_calibration(logits)
