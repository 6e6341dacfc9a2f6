"""The folder of an evaluation's results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tdn.evaluation.report import EvaluationReport
from keras_tdn.evaluation.report_page import write_page
from keras_tdn.evaluation.scores import Scores, load_scores
from keras_tdn.files.atomic import remove_leftovers
from keras_tdn.files.journal import check_same, remove_journal
from keras_tdn.files.locks import locked
from keras_tdn.files.resumable_folder import check_results
from keras_tdn.scoring.scoring_run import ACTION
from keras_tdn.scoring.views import FrameReader

JOURNAL_NAME = "scores.sqlite"
SCORES_NAME = "scores.npz"
REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
# Folders of an ensemble's models have this and a number.
PART_NAME = "model_"
NAMES = (JOURNAL_NAME, SCORES_NAME, REPORT_NAME, PAGE_NAME)


class ResultsFolder:
    """Where an evaluation writes, checked before any time is spent, and made if need be.

    Other files are left alone. An ensemble has scores in folders in this one, one per model.
    """

    def __init__(
        self,
        path: Path,
        resume: bool = False,
        overwrite: bool = False,
        *,
        of_ensemble: bool = False,
    ) -> None:
        self.path = path
        self.journal = path / JOURNAL_NAME
        self._overwrite = overwrite
        there = check_results(path, NAMES, resume, overwrite)
        if resume:
            _check_resumable(path, there, of_ensemble)
        path.mkdir(parents=True, exist_ok=True)
        if resume or overwrite:
            with locked(path, ACTION):
                for name in NAMES:
                    remove_leftovers(path / name)
                if overwrite:
                    # The other results stay until `write` replaces them.
                    remove_journal(self.journal)

    def finished_scores(self, identity: Mapping[str, Any]) -> Scores | None:
        """The scores of a run that came to its end, if there are any."""
        file = self.path / SCORES_NAME
        if self._overwrite or self.journal.exists() or not file.exists():
            return None
        scores = load_scores(file)
        check_same(file, scores.facts.get("identity", {}), identity)
        return scores

    def write(
        self,
        scores: Scores | None,
        report: EvaluationReport,
        frames: FrameReader | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        """Writes everything, and removes the journal when all of it is there; see `write_page`."""
        # Whoever overwrites meanwhile would lose the journal of the new run.
        with locked(self.path, ACTION):
            if scores is None:
                (self.path / SCORES_NAME).unlink(missing_ok=True)
            else:
                scores.save(self.path / SCORES_NAME)
            report.save(self.path / REPORT_NAME)
            write_page(report, self.path / PAGE_NAME, frames, rows)
            remove_journal(self.journal)


def _check_resumable(path: Path, there: list[str], of_ensemble: bool) -> None:
    has_scores = JOURNAL_NAME in there or SCORES_NAME in there
    if not of_ensemble and there and not has_scores:
        problem = " and no scores, such as those of an ensemble, which one model does not continue"
    elif of_ensemble and has_scores:
        problem = ", which are those of one model; an ensemble has each one's in its own folder"
    elif of_ensemble and there and not any(path.glob(f"{PART_NAME}*")):
        problem = " and no folders of its models, such as `keras-tdn ensemble` writes"
    else:
        return
    raise ValueError(
        f"{str(path)!r} has results of something else: {', '.join(there)}{problem}. Choose another "
        "folder, or replace them by overwrite=True (on the command line --overwrite)."
    )
