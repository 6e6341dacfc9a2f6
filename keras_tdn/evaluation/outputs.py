"""The folder of results."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tdn.evaluation.frame_reading import FrameReader
from keras_tdn.evaluation.page import write_page
from keras_tdn.evaluation.report import EvaluationReport
from keras_tdn.evaluation.score_log import check_identity
from keras_tdn.evaluation.scores import Scores, load_scores

LOG_NAME = "scores.log"
SCORES_NAME = "scores.npz"
REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
NAMES = (LOG_NAME, SCORES_NAME, REPORT_NAME, PAGE_NAME)


class OutputFolder:
    """Where an evaluation writes, checked before any time is spent.

    Args:
        path: The folder; it is made if need be. Other files in it are left alone.
        resume: Whether to go on with what is there.
        overwrite: Whether to remove it.

    Raises:
        ValueError: if there is something and neither is asked for, or both are.
    """

    def __init__(self, path: Path, resume: bool = False, overwrite: bool = False) -> None:
        if resume and overwrite:
            raise ValueError(
                "Resuming goes on with the results in the folder and overwriting removes them. "
                "Pass one of `resume` and `overwrite`."
            )
        self.path = path
        self.log = path / LOG_NAME
        if path.exists() and not path.is_dir():
            raise ValueError(
                f"{str(path)!r} is a file. Results go into a folder; choose another place."
            )
        there = [name for name in NAMES if (path / name).exists()]
        if there and not (resume or overwrite):
            raise ValueError(
                f"{str(path)!r} has results already: {', '.join(there)}. Choose another folder, go "
                "on with them by resume=True (on the command line --resume), or replace them by "
                "overwrite=True (--overwrite)."
            )
        path.mkdir(parents=True, exist_ok=True)
        for name in there if overwrite else ():
            (path / name).unlink()

    def finished_scores(self, identity: Mapping[str, Any]) -> Scores | None:
        """The scores of a run that came to its end, if there are any."""
        file = self.path / SCORES_NAME
        if self.log.exists() or not file.exists():
            return None
        scores = load_scores(file)
        check_identity(scores.facts.get("identity", {}), identity, str(file))
        return scores

    def write(
        self,
        scores: Scores | None,
        report: EvaluationReport,
        frames: FrameReader | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        """Writes everything, and removes the log when all of it is there.

        Args:
            scores: The scores of views, if there are any.
            report: The report.
            frames: Reads frames of the videos, for pictures of the mistakes.
            rows: Rows of the videos in that reader, by path.
        """
        if scores is not None:
            scores.save(self.path / SCORES_NAME)
        report.save(self.path / REPORT_NAME)
        write_page(report, self.path / PAGE_NAME, frames, rows)
        with contextlib.suppress(FileNotFoundError):
            self.log.unlink()
