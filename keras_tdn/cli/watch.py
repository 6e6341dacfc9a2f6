"""`keras-tdn watch`: what happens when in a long or live video."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from keras_tdn.cli import arguments, loading

DEFAULT_OUTPUTS = "csv,srt,vtt,page"


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "watch",
        help="tell what happens when, in a long video or in front of a camera",
        description="Scores a video of any length, or a camera, in windows that slide over it, and "
        "writes the timeline as it grows: to the terminal, or with --output as JSON lines, a "
        "table, subtitles and a plot. A run into a folder can be killed and resumed.",
    )
    parser.add_argument(
        "video",
        metavar="VIDEO_OR_CAMERA",
        help="path of a video file, - for standard input, an address such as rtsp://HOST/PATH, or "
        "a camera such as /dev/video0",
    )
    arguments.add_weights(parser)
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="length of a window, about as long as the videos that the model was trained on "
        "(default: that of its data set, which the labels name)",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=1,
        metavar="SEGMENTS",
        help="segments from one window to the next; a window has as many as the model (default: 1)",
    )
    arguments.add_labels(parser)
    arguments.add_top(parser, 1, "classes to name on the terminal")
    arguments.add_json(parser, "a JSON object for each window")
    _add_output_arguments(parser)
    _add_input_arguments(parser)
    arguments.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the timeline to the folder, or to the terminal."""
    from keras_tdn.labels import load_labels
    from keras_tdn.prediction import decode_predictions
    from keras_tdn.watching import StreamOptions, record_timeline, watch
    from keras_tdn.watching.recording import output_paths

    _check(args)
    how = StreamOptions(
        format=args.input_format,
        options=_input_options(args.input_option),
        live=args.live,
        timeout_seconds=args.timeout,
        num_threads=args.decode_threads,
    )
    labels = None if args.labels is None else load_labels(args.labels)
    model = loading.load_model(args, labels)
    if args.output:
        outputs = tuple(args.outputs.split(",")) if args.outputs else ()
        report = record_timeline(
            model,
            args.video,
            args.output,
            outputs=outputs,
            window_seconds=args.window,
            stride=args.stride,
            labels=labels,
            min_score=args.min_score,
            how=how,
            resume=args.resume,
            overwrite=args.overwrite,
        )
        sys.stdout.write(
            f"{report.num_windows} windows, {report.num_frames} frames, {report.seconds:.1f} s\n"
        )
        sys.stdout.write("".join(f"{path}\n" for path in output_paths(args.output, outputs)))
    else:
        names = labels or getattr(model, "labels", None)
        with watch(
            model, args.video, window_seconds=args.window, stride=args.stride,
            format=how.format, options=how.options, live=how.live,
            timeout_seconds=how.timeout_seconds, num_threads=how.num_threads,
        ) as windows:  # fmt: skip
            for window in windows:
                found = decode_predictions(window.scores[None], args.top, names)[0]
                sys.stdout.write(_as_json(window, found) if args.json else _as_text(window, found))
                # Whoever reads along, reads it now.
                sys.stdout.flush()
        report = windows.report
    sys.stderr.write("".join(f"keras-tdn: {line}\n" for line in report.lines()))
    return 0


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("files")
    files.add_argument(
        "--output",
        metavar="DIR",
        help="folder to write timeline.jsonl to, and what --outputs asks for",
    )
    files.add_argument(
        "--outputs",
        default=DEFAULT_OUTPUTS,
        metavar="NAME,NAME,...",
        help=f"what to write: some of csv, srt, vtt and page (default: {DEFAULT_OUTPUTS})",
    )
    files.add_argument(
        "--min-score",
        type=float,
        default=0.0,
        metavar="SCORE",
        help="leave out subtitles with a lower score (default: 0)",
    )
    arguments.add_earlier_results(files, "a run")


def _add_input_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("for cameras and addresses")
    source.add_argument(
        "--input-format",
        metavar="NAME",
        help="FFmpeg's name of the container or device, for example v4l2 (default: detected)",
    )
    source.add_argument(
        "--input-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of FFmpeg's options, for example video_size=640x480; may be repeated",
    )
    source.add_argument(
        "--live",
        action=argparse.BooleanOptionalAction,
        help="leave out segments when the model is slower than the video (default: for cameras and "
        "addresses whose sender does not wait)",
    )
    source.add_argument(
        "--timeout",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="how long to wait for a sender (default: 20)",
    )
    source.add_argument(
        "--decode-threads",
        type=int,
        default=1,
        metavar="N",
        help="threads for decoding (default: 1)",
    )


def _check(args: argparse.Namespace) -> None:
    if args.output is None:
        arguments.check_about_output(args)
    elif args.json:
        raise ValueError("--json is for the terminal; --output DIR writes JSON lines anyway.")


def _input_options(pairs: list[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not name or not mark:
            raise ValueError(
                f"--input-option takes NAME=VALUE, such as video_size=640x480. Received: {pair!r}"
            )
        options[name] = value
    return options


def _as_text(window: Any, found: list[Any]) -> str:
    scores = "  ".join(f"{item.label} {item.score:.3f}" for item in found)
    return f"{window.start:9.2f} {window.end:9.2f}  {scores}\n"


def _as_json(window: Any, found: list[Any]) -> str:
    values = {
        "window": window.index,
        "start": window.start,
        "end": window.end,
        "predictions": [
            {"index": item.index, "label": item.label, "score": item.score} for item in found
        ],
    }
    return json.dumps(values) + "\n"
