"""`keras-tdn web`: a page on this machine to try a model."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from keras_tdn.cli import arguments, loading

DEFAULT_WEIGHTS = "motion"


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "web",
        help="try a model on a page in the browser",
        description="Serves a page to this machine's browser: drop a video, see what happens in "
        "it, when, and what the model looks at. Videos stay on this machine. Needs the extra "
        "keras-tdn[web].",
    )
    arguments.add_weights(
        parser, " (default: the one that comes with the package)", default=DEFAULT_WEIGHTS
    )
    arguments.add_labels(parser)
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="length of the timeline's windows (default: that of the model's data set, which the "
        "labels name)",
    )
    server = parser.add_argument_group("server")
    server.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1, which only this machine reaches)",
    )
    server.add_argument(
        "--port",
        type=int,
        default=7860,
        metavar="N",
        help="port to listen on, 0 for any that is free (default: 7860)",
    )
    server.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name by which the page may be called beside this machine's own, such as a reverse "
        "proxy's; may be given more than once",
    )
    server.add_argument("--open", action="store_true", help="open the page in the browser")
    server.add_argument(
        "--max-megabytes",
        type=int,
        default=200,
        metavar="N",
        help="largest file that is taken (default: 200)",
    )
    server.add_argument(
        "--max-seconds",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how much of a long video the timeline covers (default: 600)",
    )
    arguments.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from keras_tdn.labels import load_labels
    from keras_tdn.web import UploadLimits, serve
    from keras_tdn.web.page import import_gradio

    # Reported before the time that loading takes is spent.
    import_gradio()
    limits = UploadLimits(args.max_megabytes, args.max_seconds)
    labels = None if args.labels is None else load_labels(args.labels)
    model = loading.load_model(args, labels)
    serve(
        model,
        name=os.path.basename(os.path.normpath(args.weights)),
        host=args.host,
        port=args.port,
        allowed_hosts=args.allow_host,
        limits=limits,
        labels=labels,
        window_seconds=args.window,
        open_browser=args.open,
        tell=_tell,
    )
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
