"""Scores of every view of every video, in memory and in `scores.npz`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.data.failures import Failure
from keras_tdn.files.atomic import written_beside
from keras_tdn.scoring.scorer import ScoreKind
from keras_tdn.specs import ViewSpec

FORMAT = "keras_tdn scores 1"


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """What a model gives for every view of every video that could be read.

    Use it to average otherwise, or to make ensembles: `report_on` and `ensemble` take it.

    Args:
        view_scores: float32 of shape `(videos, views, classes)`; views are numbered clip by clip,
            in each clip crop by crop.
        kind: `"logits"` or `"probabilities"`.
        labels: True classes, int64 of shape `(videos,)`.
        paths: Paths of the videos.
        indices: The records' `index`, int64 of shape `(videos,)`.
        failures: Videos that could not be read; none of the above are of them.
        class_names: Names of the classes, if they are known.
        views: Which views they are.
        facts: What else there is to know of the run: the model's name and SHA-256, the clip, the
            seed, the backend, the versions of libraries.

    Example:

    >>> scores = load_scores("results/scores.npz")
    >>> scores.view_scores.shape
    (96, 30, 6)
    """

    view_scores: np.ndarray
    kind: ScoreKind
    labels: np.ndarray
    paths: tuple[str, ...]
    indices: np.ndarray
    failures: tuple[Failure, ...]
    class_names: tuple[str, ...] | None
    views: ViewSpec
    facts: Mapping[str, Any]

    @property
    def num_listed(self) -> int:
        """Videos in the list, with those that could not be read."""
        return len(self.paths) + len(self.failures)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.view_scores.shape[2]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a `.npz` file without pickle, which is replaced as a whole or not at all."""
        header = {"format": FORMAT, **vars(self), "facts": dict(self.facts)}
        header["failures"] = [dataclasses.asdict(failure) for failure in self.failures]
        header["views"] = self.views.to_config()
        arrays = {name: header.pop(name) for name in ("view_scores", "labels", "indices")}
        # As bytes, because a path need not be text that UTF-8 can hold; JSON escapes it.
        text = np.frombuffer(json.dumps(header).encode("ascii"), np.uint8)
        with written_beside(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez(file, header=text, **arrays)


def load_scores(path: str | os.PathLike[str]) -> Scores:
    """Reads what `Scores.save` or `evaluate` wrote: a `scores.npz`, by its path or its folder's.

    Raises:
        ValueError: if there is no such file, or it is something else.

    Example:

    >>> load_scores("results").kind
    'logits'
    """
    with (
        reading(path, "file of scores", "scores.npz") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise KeyError("format")
        header |= {name: arrays[name] for name in ("view_scores", "labels", "indices")}
        header["paths"] = tuple(header["paths"])
        header["failures"] = tuple(Failure(**failure) for failure in header["failures"])
        header["class_names"] = header["class_names"] and tuple(header["class_names"])
        header["views"] = ViewSpec.from_config(header["views"])
        scores = Scores(**{field.name: header[field.name] for field in dataclasses.fields(Scores)})
        if not scores.view_scores.shape[0] == len(scores.labels) == len(scores.paths):
            raise KeyError("view_scores")
        return scores


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], what: str, name: str) -> Iterator[Path]:
    """Gives a file of an evaluation, by its path or its folder's; a `ValueError` if that fails."""
    file = Path(path, name) if os.path.isdir(path) else Path(path)
    hint = f"Pass the {name} that an evaluation wrote."
    try:
        yield file
    except FileNotFoundError as error:
        raise ValueError(f"There is no file {str(file)!r}. {hint}") from error
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
        zipfile.BadZipFile,
    ) as error:  # fmt: skip
        text = f"{str(file)!r} is no {what} that this version can read ({error}). {hint}"
        raise ValueError(text) from error
