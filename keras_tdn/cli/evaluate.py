"""`keras-tdn evaluate`: a model's accuracy on a list of videos."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import arguments, loading

if TYPE_CHECKING:
    import keras

    from keras_tdn.data.records import RecordList
    from keras_tdn.specs import ViewSpec

ENSEMBLES = ("softmax", "clipped_logits")


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a model on a list of videos",
        description="Scores views of every video of a list, averages them, and reports: accuracy, "
        "confusion, calibration, what fewer views give, and the most confident mistakes.",
    )
    # A list that comes right after --weights is taken for one of them, and found there.
    arguments.add_list_arguments(parser, packed=True, nargs="?")
    arguments.add_weights(
        parser,
        "; several make an ensemble, behind one --weights or one each",
        action="append",
        nargs="+",
    )
    arguments.add_view_arguments(parser)
    parser.add_argument(
        "--ensemble",
        choices=ENSEMBLES,
        help="how several models are joined: mean of probabilities, or the paper authors' sum of "
        "logits clipped at zero (default: softmax)",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder to write the scores, the report and its page to"
    )
    arguments.add_earlier_results(parser, "an evaluation")
    arguments.add_scoring_arguments(parser)
    arguments.add_max_failure_share(parser)
    arguments.add_skip_missing(parser)
    arguments.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the main numbers and where the rest is."""
    args = _with_list(args)
    views = arguments.views_of(args)
    if args.ensemble and len(args.weights) == 1:
        raise ValueError(
            "--ensemble joins several models; pass more than one to --weights, or leave it out."
        )
    arguments.check_about_output(args)
    from keras_tdn.evaluation.evaluation import evaluate
    from keras_tdn.labels import load_labels

    names = None if args.labels is None else load_labels(args.labels)
    options = {
        "average": args.average,
        "batch_size": args.batch_size,
        "seed": args.seed,
        "num_workers": args.workers,
        "max_failure_share": args.max_failure_share,
    }
    if len(args.weights) == 1:
        model = loading.load_model(args, names, args.weights[0])
        report = evaluate(
            model,
            _load_records(args, model),
            views,
            output=args.output,
            resume=args.resume,
            overwrite=args.overwrite,
            **options,
        )
        sys.stdout.write(report.summary())
    else:
        _run_ensemble(args, names, views, options)
    if args.output:
        sys.stdout.write(f"{os.path.join(args.output, 'report.html')}\n")
    return 0


def _with_list(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments with the list and the weights told apart.

    Raises:
        ValueError: if there is no list.
    """
    groups = [list(group) for group in args.weights]
    listed = args.list
    if listed is None:
        longer = [group for group in groups if len(group) > 1]
        if not longer:
            raise ValueError(
                "There is no list of videos. Name one: keras-tdn evaluate LIST --weights "
                f"{groups[0][0]}"
            )
        listed = longer[-1].pop()
    weights = [name for group in groups for name in group]
    return argparse.Namespace(**{**vars(args), "list": listed, "weights": weights})


def _run_ensemble(
    args: argparse.Namespace,
    names: tuple[str, ...] | None,
    views: ViewSpec,
    options: dict[str, Any],
) -> None:
    from pathlib import Path

    from keras_tdn.evaluation.ensembles import ensemble
    from keras_tdn.evaluation.evaluation import evaluate
    from keras_tdn.evaluation.results_folder import PART_NAME, ResultsFolder
    from keras_tdn.evaluation.scores import load_scores
    from keras_tdn.scoring.views import FrameReader

    if not args.output:
        raise ValueError(
            "An ensemble is made of scores on the disk. Pass --output DIR; each model's results "
            "go into a folder of their own in it."
        )
    folder = ResultsFolder(Path(args.output), args.resume, args.overwrite, of_ensemble=True)
    parts = []
    for number, weights in enumerate(args.weights, start=1):
        model = loading.load_model(args, names, weights)
        records = _load_records(args, model)
        part = folder.path / f"{PART_NAME}{number}"
        report = evaluate(
            model,
            records,
            views,
            output=part,
            resume=args.resume,
            overwrite=args.overwrite,
            **options,
        )
        sys.stdout.write(f"{weights}\n{report.summary()}\n")
        parts.append(load_scores(part))
    report = ensemble(parts, args.ensemble or "softmax")
    rows = {record.path: row for row, record in enumerate(records)}
    folder.write(None, report, FrameReader(records), rows)
    sys.stdout.write(f"ensemble: {report.facts['ensemble']['Ensemble']}\n{report.summary()}")


def _load_records(args: argparse.Namespace, model: keras.Model) -> RecordList:
    """The list, with the model's classes in the model's order unless others are named."""
    from keras_tdn.data.packing.index import INDEX_FILE

    if os.path.isfile(os.path.join(args.list, INDEX_FILE)):
        from keras_tdn.data import load_packed

        return load_packed(args.list)
    if args.labels is None and getattr(model, "labels", None) is not None:
        args = argparse.Namespace(**{**vars(args), "labels": list(model.labels)})
    # Labels are compared with the model's classes, however few of them occur.
    return arguments.load_list(args, skip_missing=args.skip_missing, believe_labels=True)
