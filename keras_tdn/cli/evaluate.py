"""`keras-tdn evaluate`, `ensemble` and `compare`: how accurate models are."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from keras_tdn.cli import arguments, loading
from keras_tdn.cli.arguments import option, write_lines


def add_evaluate(parser: Any) -> None:
    """Scores views of every video of a list, averages them, and reports: accuracy, confusion,
    calibration, what fewer views give, and the most confident mistakes.
    """
    parser.set_defaults(run=_run_evaluate)
    # A list that comes right after --weights is taken for one of them, and found there.
    arguments.add_list_arguments(parser, has_model=True, nargs="?")
    several = "; several make an ensemble, behind one --weights or one each"
    arguments.add_weights(parser, several, action="append", nargs="+")
    arguments.add_ensemble_method(parser, "--ensemble", "how several models are joined")
    option(parser, "--output", "DIR", "folder to write the scores, the report and its page to")
    arguments.add_earlier_results(parser)
    arguments.shared(parser, *arguments.VIEWS, *arguments.SCORING, "--max-failure-share")
    arguments.add_model_arguments(parser)
    arguments.shared(parser, "--quiet")


def _run_evaluate(args: argparse.Namespace) -> int:
    _separate_list(args)
    several = len(args.weights) > 1
    if args.ensemble and not several:
        raise ValueError(
            "--ensemble joins several models; pass more than one to --weights, or leave it out."
        )
    if (args.resume or args.overwrite) and not args.output:
        raise ValueError("--resume and --overwrite are about --output DIR. Pass it as well.")
    if several and not args.output:
        raise ValueError(
            "An ensemble is made of scores on the disk. Pass --output DIR; each model's results go "
            "into a folder of their own in it."
        )
    views, scoring = arguments.views_of(args), arguments.scoring_of(args)
    named = ("average", "resume", "overwrite", "seed", "max_failure_share")
    scoring |= arguments.given(args, *named)
    from keras_tdn.evaluation import evaluate
    from keras_tdn.evaluation.results_folder import PART_NAME, ResultsFolder

    names = loading.labels_of(args)
    folder: ResultsFolder | None = None
    if several:
        folder = ResultsFolder(Path(args.output), args.resume, args.overwrite, of_ensemble=True)
    parts = []
    for number, weights in enumerate(args.weights, start=1):
        model = loading.load_model(args, names, weights)
        labels = args.labels or getattr(model, "labels", None)
        # Labels are compared with the model's classes, however few of them occur.
        records = arguments.load_list(args, labels=labels, believe_labels=True)
        parts.append(args.output if folder is None else folder.path / f"{PART_NAME}{number}")
        report = evaluate(model, records, views, output=parts[-1], **scoring)
        sys.stdout.write(report.summary() if folder is None else f"{weights}\n{report.summary()}\n")
    if folder is not None:
        report = _write_ensemble(folder, parts, args.ensemble or "softmax", records)
        sys.stdout.write(f"ensemble: {report.facts['ensemble']['Ensemble']}\n{report.summary()}")
    if args.output:
        write_lines(os.path.join(args.output, "report.html"))
    return 0


def _separate_list(args: argparse.Namespace) -> None:
    """Tells the list and the weights apart; a `ValueError` says that there is no list."""
    groups = [list(group) for group in args.weights]
    if args.list is None:
        longer = [group for group in groups if len(group) > 1]
        if not longer:
            raise ValueError(
                "There is no list of videos. Name one: keras-tdn evaluate LIST --weights "
                f"{groups[0][0]}"
            )
        args.list = longer[-1].pop()
    args.weights = [name for group in groups for name in group]


def add_ensemble(parser: Any) -> None:
    """Joins the scores that `keras-tdn evaluate` wrote for several models on one list, such as
    those of 8 and 16 segments, and reports on them as on one model.
    """
    parser.set_defaults(run=_run_ensemble)
    what = "scores.npz files, or the folders that hold them"
    parser.add_argument("scores", nargs="+", metavar="SCORES", help=what)
    arguments.add_ensemble_method(parser, "--method", "how scores are joined", "softmax")
    option(parser, "--output", "DIR", "folder to write the report and its page to")
    arguments.shared(parser, "--overwrite", "--quiet")


def _run_ensemble(args: argparse.Namespace) -> int:
    from keras_tdn.evaluation import load_scores
    from keras_tdn.evaluation.results_folder import ResultsFolder

    # Before anything in the folder changes.
    scores = [load_scores(path) for path in args.scores]
    out = args.output
    folder = ResultsFolder(Path(out), overwrite=args.overwrite) if out else None
    sys.stdout.write(_write_ensemble(folder, scores, args.method).summary())
    if args.output:
        write_lines(os.path.join(args.output, "report.html"))
    return 0


def _write_ensemble(folder: Any, parts: Any, method: Any, records: Any = None) -> Any:
    """Joins scores, and writes the report and its page if there is a folder."""
    from keras_tdn.data.records import Record, RecordList
    from keras_tdn.evaluation import ensemble
    from keras_tdn.scoring.views import FrameReader

    report = ensemble(parts, method)
    if folder is None:
        return report
    if records is None:
        # Pictures of the mistakes come from the videos, where they still are.
        there = [video for video in report.videos if os.path.exists(video.path)]
        records = RecordList(
            [Record(video.path, video.label, index=video.index) for video in there],
            num_classes=len(report.class_names),
        )
    rows = {record.path: row for row, record in enumerate(records)}
    folder.write(None, report, FrameReader(records), rows)
    return report


def add_compare(parser: Any) -> None:
    """Compares two reports that `keras-tdn evaluate` wrote for the same videos: McNemar's exact
    test, and a paired bootstrap of the differences.
    """
    parser.set_defaults(run=_run_compare)
    what = "a report.json, or the folder that holds it"
    parser.add_argument("first", metavar="REPORT", help=what)
    parser.add_argument("second", metavar="REPORT", help="the one to compare it with")
    option(parser, "--resamples", "N", "samples of the bootstrap", 10_000)
    arguments.shared(parser, "--seed")
    option(parser, "--json", None, "print the comparison as a JSON object")


def _run_compare(args: argparse.Namespace) -> int:
    from keras_tdn.evaluation import compare

    comparison = compare(args.first, args.second, resamples=args.resamples, seed=args.seed)
    if args.json:
        told = {**dataclasses.asdict(comparison), "beyond_chance": comparison.beyond_chance}
        write_lines(json.dumps(told))
    else:
        sys.stdout.write(comparison.summary())
    return 0
