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


def with_videos(report, rows, path=lambda path, place: path):
    """Videos in these rows as a list of its own, in which indices are places."""
    videos = tuple(
        dataclasses.replace(
            report.videos[row], index=place, path=path(report.videos[row].path, place)
        )
        for place, row in enumerate(rows)
    )
    return dataclasses.replace(report, videos=videos)


def relative(path, place):
    return path.removeprefix("/videos/")


PATHS = {
    "equal": lambda path, place: path,
    "moved": lambda path, place: path.replace("/videos", "/mnt/videos"),
    "relative": lambda path, place: path.removeprefix("/"),
    "names": relative,
    "mixed": lambda path, place: path if place % 2 else relative(path, place),
}


@pytest.mark.parametrize("paths", PATHS)
def test_videos_are_paired_wherever_they_lie(paths, tmp_path):
    right = [True] * 6 + [False] * 6
    whole = report_with(right)
    reordered = with_videos(whole, range(11, -1, -1), PATHS[paths])
    subset = with_videos(whole, range(1, 12, 2), PATHS[paths])
    for other, count in ((reordered, 12), (subset, 6)):
        for pair in ((whole, other), (other, whole)):
            comparison = compare(*pair)
            assert (comparison.num_videos, comparison.num_left_out) == (count, 12 - count)
            # Each video is paired with itself.
            assert (comparison.only_first, comparison.only_second) == (0, 0)
    assert compare(whole, reordered).top1.difference == 0
    assert "6 videos, 6 left out that are not in both reports" in compare(whole, subset).summary()
    reordered.save(tmp_path / "report.json")
    assert load_report(tmp_path).videos == reordered.videos
    assert compare(whole, tmp_path).num_videos == 12


def test_a_video_that_is_listed_twice_is_told_apart_by_its_place():
    report = report_with([True, False, True, False])
    twice = dataclasses.replace(
        report,
        videos=tuple(
            dataclasses.replace(video, path="/videos/long.mp4" if video.index < 2 else video.path)
            for video in report.videos
        ),
    )
    comparison = compare(twice, twice)
    assert (comparison.num_videos, comparison.only_first) == (4, 0)
    # Of the same path twice in one list and once in the other, the place tells which it is.
    once = dataclasses.replace(twice, videos=twice.videos[:0:-1])
    comparison = compare(twice, once)
    assert (comparison.num_videos, comparison.num_left_out) == (3, 1)
    assert (comparison.only_first, comparison.only_second) == (0, 0)


def test_equal_names_in_other_folders_are_other_videos():
    report = report_with([True, False])
    other = with_videos(report, range(2), lambda path, place: path.replace("videos", "other"))
    with pytest.raises(ValueError, match="no video in common"):
        compare(report, other)
    both = dataclasses.replace(report, videos=(*report.videos, *other.videos))
    comparison = compare(report, both)
    assert (comparison.num_videos, comparison.num_left_out) == (2, 2)


def test_wrong_reports_are_told(tmp_path):
    report = report_with([True, False])
    elsewhere = with_videos(report, range(2), lambda path, place: path.replace("mp4", "avi"))
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
    with pytest.raises(ValueError, match=r"bootstrap needs a positive integer.*resamples=0"):
        compare(report, report, resamples=0)
