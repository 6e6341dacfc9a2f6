"""`keras-tdn evaluate`: a model's accuracy on a list of videos."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import loading
from keras_tdn.cli.lists import add_list_arguments, load_list
from keras_tdn.cli.views import add_view_arguments, views_of

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
    add_list_arguments(parser, packed=True, nargs="?")
    parser.add_argument(
        "--weights",
        required=True,
        action="append",
        nargs="+",
        metavar="PRESET_OR_FILE",
        help=f"{loading.WEIGHTS_HELP}; several make an ensemble, behind one --weights or one each",
    )
    add_view_arguments(parser)
    parser.add_argument(
        "--ensemble",
        choices=ENSEMBLES,
        help="how several models are joined: mean of probabilities, or the paper authors' sum of "
        "logits clipped at zero (default: softmax)",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder to write the scores, the report and its page to"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="continue an evaluation that was stopped, from what is in DIR",
    )
    again.add_argument("--overwrite", action="store_true", help="replace the results in DIR")
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="views scored at once (default: 8)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="videos read side by side (default: one per processor, at most 8)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    parser.add_argument(
        "--max-failure-share",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="stop if a larger share of the videos cannot be read (default: 0.1)",
    )
    parser.add_argument(
        "--skip-missing", action="store_true", help="leave out videos whose files are missing"
    )
    loading.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the main numbers and where the rest is."""
    args = _with_list(args)
    views = views_of(args)
    if args.ensemble and len(args.weights) == 1:
        raise ValueError(
            "--ensemble joins several models; pass more than one to --weights, or leave it out."
        )
    if (args.resume or args.overwrite) and not args.output:
        raise ValueError("--resume and --overwrite are about --output DIR. Pass it as well.")
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
    return load_list(args, skip_missing=args.skip_missing, believe_labels=True)
