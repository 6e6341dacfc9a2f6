import dataclasses

import numpy as np
import pytest
from evaluation_toys import make_scores

from keras_tdn.evaluation import compare, load_report, report_on


def report_with(right, labels=None, classes=4):
    """A report in which the videos marked so are right."""
    right = np.asarray(right)
    labels = np.arange(len(right)) % classes if labels is None else np.asarray(labels)
    scores = np.zeros((len(right), 1, classes), np.float32)
    scores[np.arange(len(right)), 0, np.where(right, labels, (labels + 1) % classes)] = 5
    made = make_scores(0, videos=len(right), views=1, classes=classes)
    return report_on(dataclasses.replace(made, view_scores=scores, labels=labels))


def test_by_hand():
    first = report_with([True] * 50 + [True] * 2 + [False] * 12 + [False] * 36)
    second = report_with([True] * 50 + [False] * 2 + [True] * 12 + [False] * 36)
    comparison = compare(first, second)
    assert (comparison.only_first, comparison.only_second) == (2, 12)
    assert comparison.top1.first == 0.52
    assert comparison.top1.difference == pytest.approx(0.10)
    # 2 * (1 + 14 + 91) / 2**14
    assert comparison.p_value == pytest.approx(0.012939453125)
    assert comparison.beyond_chance
    assert 0 < comparison.top1.low < 0.10 < comparison.top1.high
    # The normal interval of a paired difference, which is near with so many videos.
    half = 1.96 * np.sqrt((14 - 10**2 / 100) / 100**2)
    assert comparison.top1.low == pytest.approx(0.10 - half, abs=0.01)
    assert comparison.top1.high == pytest.approx(0.10 + half, abs=0.01)
    assert "B is better beyond chance (McNemar, p = 0.0129)" in comparison.summary()
    turned = compare(second, first)
    assert turned.top1.difference == pytest.approx(-0.10)
    assert "A is better beyond chance" in turned.summary()


def test_bootstrap_by_an_oracle():
    """Videos drawn one by one give the same intervals, up to what chance leaves."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 60, p=[0.7, 0.2, 0.1])
    right = rng.random((2, 60)) < [[0.5], [0.65]]
    comparison = compare(report_with(right[0], labels, 3), report_with(right[1], labels, 3), seed=3)
    samples = []
    for _ in range(4000):
        drawn = rng.integers(60, size=60)
        of_class = [
            np.diff(right[:, drawn][:, labels[drawn] == label].mean(axis=1))[0]
            for label in range(3)
            if (labels[drawn] == label).any()
        ]
        samples.append((np.diff(right[:, drawn].mean(axis=1))[0], np.mean(of_class)))
    low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    for place, value in enumerate((comparison.top1, comparison.mean_class_accuracy)):
        # Two bootstraps of thousands of resamples differ by a few percent of the interval.
        tolerance = 0.06 * (high[place] - low[place])
        assert value.low == pytest.approx(low[place], abs=tolerance)
        assert value.high == pytest.approx(high[place], abs=tolerance)
    accuracies = [[right[n][labels == label].mean() for label in range(3)] for n in (0, 1)]
    assert comparison.mean_class_accuracy.first == pytest.approx(np.mean(accuracies[0]))
    assert comparison.mean_class_accuracy.second == pytest.approx(np.mean(accuracies[1]))


def test_equal_models_do_not_differ():
    report = report_with([True] * 5 + [False] * 5)
    comparison = compare(report, report)
    assert comparison.p_value == 1
    assert (comparison.top1.low, comparison.top1.high) == (0, 0)
    assert "The difference can be chance" in comparison.summary()
    assert compare(report, report, seed=1) == comparison


def test_videos_are_paired_wherever_they_lie(tmp_path):
    whole = report_with([True] * 6 + [False] * 6)
    part = dataclasses.replace(whole, videos=whole.videos[::-1][:7])
    moved = dataclasses.replace(
        part,
        videos=tuple(
            dataclasses.replace(video, path=video.path.replace("/videos", "/mnt/videos"))
            for video in part.videos
        ),
    )
    for other in (part, moved):
        comparison = compare(whole, other)
        assert (comparison.num_videos, comparison.num_left_out) == (7, 5)
        assert comparison.top1.difference == 0
    moved.save(tmp_path / "report.json")
    assert load_report(tmp_path).videos == moved.videos
    assert compare(whole, tmp_path).num_videos == 7


def test_wrong_reports_are_told(tmp_path):
    report = report_with([True, False])
    elsewhere = dataclasses.replace(
        report, videos=tuple(dataclasses.replace(v, index=v.index + 5) for v in report.videos)
    )
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text('{"format": "x"}')
    (tmp_path / "list.json").write_text("[]")
    for first, second, message in (
        (report, elsewhere, "no video in common.*'/videos/0.mp4'"),
        (report, report_with([True, False], [1, 0]), "differ in labels: '/videos/0.mp4' is of"),
        (report, report_with([True], classes=3), "are of other classes"),
        (report, tmp_path / "none.json", "There is no file"),
        (report, tmp_path / "broken.json", "is no report that this version can read"),
        (report, tmp_path / "other.json", "is no report that"),
        (report, tmp_path / "list.json", "is no report that"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(first, second)
    with pytest.raises(ValueError, match=r"at least one resample. Received: resamples=0"):
        compare(report, report, resamples=0)
