"""`keras-tdn demo`, `web` and `doctor`: to try the package, and to see whether it works."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from typing import Any

from keras_tdn.choices import DEMO_EPOCHS, DEMO_OUTPUT
from keras_tdn.cli import arguments, loading
from keras_tdn.cli.arguments import option, write_lines


def add_demo(parser: Any) -> None:
    """Renders videos whose classes differ by motion alone, trains a compact TDN and the same
    network of single frames on them, measures both on other videos, exports the TDN, has the export
    label a fresh video, and writes a page of what happened. Downloads nothing. Takes less than
    three minutes on two processor cores, and 100 MB of disk.
    """
    parser.set_defaults(run=_run_demo)
    option(parser, "--output", "DIR", "folder to write to, new or empty", DEMO_OUTPUT)
    size = parser.add_mutually_exclusive_group()
    text = "passes over the training videos; fewer are faster and less accurate"
    option(size, "--epochs", "N", text, DEMO_EPOCHS)
    text = "a few videos and one epoch: shows within a minute whether everything works on this "
    option(size, "--short", None, f"{text}machine, and learns next to nothing")
    arguments.shared(parser, "--seed", "--quiet")


def _run_demo(args: argparse.Namespace) -> int:
    from keras_tdn import demo
    from keras_tdn.demo.demo_page import next_commands

    make = demo.DemoSettings
    settings = make.short(args.seed) if args.short else make(args.epochs, args.seed)
    try:
        result = demo.run_demo(args.output, settings, tell=write_lines)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Nothing was left behind; the same command starts anew.\n")
        raise
    write_lines(
        f"Done in {result.total.seconds:.0f} s.",
        f"Page    {result.page}",
        f"Preset  {result.preset}",
        f"Next    {next(next_commands(result))[1]}",
    )
    return 0


def add_web(parser: Any) -> None:
    """Serves a page to this machine's browser: drop a video, see what happens in it, when, and what
    the model looks at. Videos stay on this machine. Needs the extra keras-tdn[web].
    """
    parser.set_defaults(run=_run_web)
    note = " (default: the one that comes with the package)"
    arguments.add_weights(parser, note, default="motion")
    arguments.add_labels(parser)
    arguments.shared(parser, "--window")
    server = parser.add_argument_group("server")
    add = functools.partial(option, server)
    text = "address to listen on; 127.0.0.1 is what only this machine reaches"
    add("--host", "ADDRESS", text, "127.0.0.1")
    add("--port", "N", "port to listen on, 0 for any that is free", 7860)
    text = "name by which the page may be called beside this machine's own, such as a reverse "
    text += "proxy's; may be given more than once"
    add("--allow-host", "NAME", text, [], action="append")
    option(server, "--open", None, "open the page in the browser")
    add("--max-megabytes", "N", "largest file that is taken", 200)
    add("--max-seconds", "SECONDS", "how much of a long video the timeline covers", 600.0)
    arguments.add_model_arguments(parser)


def _run_web(args: argparse.Namespace) -> int:
    from keras_tdn.web import UploadLimits, serve
    from keras_tdn.web.page import import_gradio

    # Reported before the time that loading takes is spent.
    import_gradio()
    how = {
        **arguments.given(args, "host", "port"),
        "limits": UploadLimits(args.max_megabytes, args.max_seconds),
        "allowed_hosts": args.allow_host,
        "window_seconds": args.window,
        "open_browser": args.open,
    }
    model, labels = loading.load(args)
    name = os.path.basename(os.path.normpath(args.weights))
    serve(model, name=name, labels=labels, tell=write_lines, **how)
    return 0


def add_doctor(parser: Any) -> None:
    """Checks versions, the backend and its devices, video decoders, free space, cache folders and
    the connection to the Hugging Face Hub, and says what to do about what is wrong. The exit status
    is 1 if something is broken that training and labelling need.
    """
    parser.set_defaults(run=_run_doctor)
    text = "print the same as JSON for a bug report; it has no user names, tokens or home paths"
    option(parser, "--json", None, text)


def _run_doctor(args: argparse.Namespace) -> int:
    from keras_tdn.doctor import as_json, as_text, examine, is_healthy

    findings = examine()
    sys.stdout.write(as_json(findings) if args.json else as_text(findings))
    return 0 if is_healthy(findings) else 1
