"""Whether two models differ beyond chance."""

from __future__ import annotations

import collections
import dataclasses
import os
from pathlib import PurePath

import numpy as np

from keras_tdn.evaluation.report import EvaluationReport, VideoResult, load_report
from keras_tdn.scoring.scoring_options import check_positive

RESAMPLES = 10_000
# Differences are called beyond chance where chance gives them less often than this.
SIGNIFICANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Difference:
    """What both models have of something, as shares from 0 to 1.

    The difference lies between `low` and `high` with 95 % confidence.
    """

    first: float
    second: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """The second less the first."""
        return self.second - self.first


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two models on the same videos.

    Args:
        names: What the models are called.
        num_videos: Videos that both scored; everything is of these.
        num_left_out: Videos without a counterpart in the other report.
        only_first: Videos that only the first model has right.
        only_second: Videos that only the second has right.
        p_value: McNemar's exact test: how often two equally good models would differ so much.
        top1: First guesses.
        top5: First five guesses.
        mean_class_accuracy: Mean over the classes.
    """

    names: tuple[str, str]
    num_videos: int
    num_left_out: int
    only_first: int
    only_second: int
    p_value: float
    top1: Difference
    top5: Difference
    mean_class_accuracy: Difference

    @property
    def beyond_chance(self) -> bool:
        """Whether equally good models would differ so in less than one case of twenty."""
        return self.p_value < SIGNIFICANCE

    def summary(self) -> str:
        """The comparison in a few lines of text."""
        left_out = f", {self.num_left_out} left out that are not in both reports"
        videos = f"{self.num_videos} videos{left_out if self.num_left_out else ''}"
        rows = [f"A is {self.names[0]}", f"B is {self.names[1]}", videos, ""]
        rows.append(f"{'':<22}{'A':>9}{'B':>9}{'B - A':>10}   95 %")
        shares = (self.top1, self.top5, self.mean_class_accuracy)
        for name, value in zip(("top-1", "top-5", "mean class accuracy"), shares, strict=True):
            values = f"{value.first:>9.2%}{value.second:>9.2%}{value.difference:>+10.2%}"
            rows.append(f"{name:<22}{values}   {value.low:+.2%} to {value.high:+.2%}")
        rows += ["", f"right only in A: {self.only_first}; only in B: {self.only_second}"]
        test = f"(McNemar, p = {self.p_value:.3g})"
        if self.beyond_chance:
            better = "B" if self.only_second > self.only_first else "A"
            rows.append(f"{better} is better beyond chance {test}.")
        else:
            rows.append(f"The difference can be chance {test}: it is not below {SIGNIFICANCE}.")
        return "\n".join(rows) + "\n"


def compare(
    first: EvaluationReport | str | os.PathLike[str],
    second: EvaluationReport | str | os.PathLike[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Tells whether two models differ beyond chance on the same videos.

    McNemar's exact test asks how often a fair coin would divide the videos that one model alone has
    right as unevenly; a paired bootstrap over videos gives intervals of the differences. Videos are
    paired by path, in whatever order they are listed; where a path is listed more than once, by its
    place in the list too. Paths may start with other folders, and be relative.

    Args:
        first: An `EvaluationReport`, the path of a `report.json` or of its folder.
        second: Another of the same videos.
        resamples: Resamples of the bootstrap.
        seed: What they are drawn from.

    Raises:
        ValueError: if the reports have no video in common, or other labels or classes.

    Example:

    >>> comparison = compare("results_8", "results_16")
    >>> comparison.top1.difference, comparison.beyond_chance
    (0.013, False)
    """
    check_positive("resamples", resamples, "A bootstrap")
    (name, first), (other_name, second) = _named(first), _named(second)
    if first.class_names != second.class_names:
        raise ValueError(
            "The reports are of other classes, or of another order of them: "
            f"{list(first.class_names[:3])}... and {list(second.class_names[:3])}... "
            "Evaluate both models with the same labels."
        )
    pairs, num_left_out = _paired(first.videos, second.videos)
    labels = np.array([pair[0].label for pair in pairs])
    ranks = np.array([[video.rank for video in pair] for pair in pairs])
    right = ranks == 0
    only_first, only_second = (right & ~right[:, ::-1]).sum(axis=0).tolist()
    rng = np.random.default_rng(seed)
    top1, mean_class = _bootstrap(right, labels, resamples, rng)
    top5, _ = _bootstrap(ranks < 5, labels, resamples, rng)
    p_value = mcnemar_exact(only_first, only_second)
    counts = len(pairs), num_left_out, only_first, only_second
    return Comparison((name, other_name), *counts, p_value, top1, top5, mean_class)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """How often a fair coin divides so many throws as unevenly, or more, from exact integers."""
    total = only_first + only_second
    ways, tail = 1, 0
    for number in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (total - number) // (number + 1)
    return min(1.0, 2 * tail / 2**total)


def _bootstrap(
    right: np.ndarray, labels: np.ndarray, resamples: int, rng: np.random.Generator
) -> tuple[Difference, Difference]:
    """Accuracy, and the mean of the classes' accuracies, of videos drawn with replacement."""
    # Videos of one class that both models treat alike are interchangeable, so that a resample is
    # one draw of how many there are of each kind.
    classes, places = np.unique(labels, return_inverse=True)
    kinds = 4 * places + 2 * right[:, 0] + right[:, 1]
    counts = np.bincount(kinds, minlength=4 * len(classes))
    drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    results = []
    for observed, shares in zip(_shares(counts), _shares(drawn), strict=True):
        low, high = np.quantile(shares[1] - shares[0], [0.025, 0.975])
        first, second = observed[:, 0].tolist()
        results.append(Difference(first, second, float(low), float(high)))
    return results[0], results[1]


def _shares(counts: np.ndarray) -> np.ndarray:
    """Accuracy and mean class accuracy, each of both models, `(2, 2, resamples)`."""
    sample = counts.reshape(-1, counts.shape[-1] // 4, 2, 2)
    per_class = sample.sum(axis=(2, 3))
    present = per_class > 0
    correct = np.stack([sample[:, :, 1, :].sum(axis=2), sample[:, :, :, 1].sum(axis=2)])
    by_class = np.divide(correct, per_class, out=np.zeros(correct.shape), where=present)
    means = by_class.sum(axis=2) / present.sum(axis=1)
    return np.stack([correct.sum(axis=2) / per_class.sum(axis=1), means])


def _paired(
    first: tuple[VideoResult, ...], second: tuple[VideoResult, ...]
) -> tuple[list[tuple[VideoResult, VideoResult]], int]:
    """Videos that are in both, in the first one's order, and how many paths of others there are.

    Lists may be ordered otherwise, and lie elsewhere: other paths are paired by their ends.
    """
    partners: dict[int, int] = {}
    both = first, second
    # By the whole path, by its last two parts, and by the name alone.
    for length in (0, 2, 1):
        parts = [[PurePath(video.path).parts[-length:] for video in videos] for videos in both]
        names = [["/".join(of_video) for of_video in of_list] for of_list in parts]
        counts = [collections.Counter(of_list) for of_list in names]
        repeated = {name for count in counts for name, times in count.items() if times > 1}
        # What is listed more than once, as several actions in one video are, has a place as well.
        ours, theirs = (
            [(end, one.index if end in repeated else None) for end, one in zip(*pair, strict=True)]
            for pair in zip(names, both, strict=True)
        )
        taken = set(partners.values())
        others = {identity: row for row, identity in enumerate(theirs) if row not in taken}
        for row, identity in enumerate(ours):
            found = others.get(identity)
            if row in partners or found is None:
                continue
            # A name alone says little, unless there is no more of a path than that.
            if length != 1 or identity[0] in (first[row].path, second[found].path):
                partners[row] = found
    if not partners:
        paths = [repr(videos[0].path) if videos else "nothing" for videos in (first, second)]
        raise ValueError(
            "The reports have no video in common. Evaluate both models on the same list. "
            f"Received: {paths[0]} and so on, and {paths[1]} and so on"
        )
    pairs = [(first[row], second[partners[row]]) for row in sorted(partners)]
    for one, other in pairs:
        if one.label != other.label:
            raise ValueError(
                f"The reports differ in labels: {one.path!r} is of class {one.label} in one and "
                f"{other.label} in the other. Evaluate both models on the same list."
            )
    taken = set(partners.values())
    left_out = {video.path for row, video in enumerate(first) if row not in partners}
    left_out |= {video.path for row, video in enumerate(second) if row not in taken}
    return pairs, len(left_out)


def _named(report: EvaluationReport | str | os.PathLike[str]) -> tuple[str, EvaluationReport]:
    if isinstance(report, EvaluationReport):
        return str(report.facts.get("model", "a model")), report
    return os.fspath(report), load_report(report)
