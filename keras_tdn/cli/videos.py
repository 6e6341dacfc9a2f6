"""`keras-tdn predict`, `explain` and `watch`: what happens in one video."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from keras_tdn.cli import arguments, loading
from keras_tdn.cli.arguments import option, write_lines

if TYPE_CHECKING:
    from keras_tdn.prediction import Prediction

TIMELINE_OUTPUTS = "csv,srt,vtt,page"


def add_predict(parser: Any) -> None:
    """Names what happens in a video, from one clip and one centre crop of it."""
    parser.set_defaults(run=_run_predict)
    _add_video_and_model(parser)
    option(parser, "--json", None, "print the predictions as a JSON object")
    arguments.add_model_arguments(parser)


def _run_predict(args: argparse.Namespace) -> int:
    from keras_tdn.prediction import predict_video

    model, labels = loading.load(args)
    predictions = predict_video(model, args.video, top=args.top, labels=labels)
    if args.json:
        found = {"video": args.video, "weights": args.weights, **_described(predictions)}
        write_lines(json.dumps(found))
    else:
        write_lines(*_table(predictions))
    return 0


def _add_video_and_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", metavar="VIDEO", help="path of a video file")
    arguments.add_weights(parser)
    arguments.add_labels(parser)
    arguments.shared(parser, "--top")


def _described(predictions: Iterable[Prediction]) -> dict[str, Any]:
    return {"predictions": [dataclasses.asdict(item) for item in predictions]}


def _table(predictions: Sequence[Prediction]) -> list[str]:
    width = max(len(item.label) for item in predictions)
    return [f"{item.label:<{width}}  {item.score:.4f}" for item in predictions]


def add_explain(parser: Any) -> None:
    """Shows, by segment, the differences that the short-term TDM sees, the gates of the long-term
    TDMs, and Grad-CAM of a class: as a picture, an animation and a page.
    """
    parser.set_defaults(run=_run_explain)
    add = functools.partial(option, parser)
    _add_video_and_model(parser)
    text = "the class to explain (default: the predicted one)"
    add("--class", "LABEL_OR_INDEX", text, dest="target")
    text = "the layer whose maps Grad-CAM weighs (default: the last, stage4_block2_out of a "
    add("--layer", "NAME", f"{text}TDN-ResNet50)")
    text = "what to write: some of strip, gif, mp4 and page"
    add("--format", "NAME,NAME,...", text, "strip,gif,page")
    option(parser, "--output", "DIR", "folder to write into", required=True)
    arguments.shared(parser, "--overwrite")
    arguments.add_model_arguments(parser)


def _run_explain(args: argparse.Namespace) -> int:
    from keras_tdn.explaining import explain, write_explanation
    from keras_tdn.explaining.explanation_files import check_output

    formats = tuple(args.format.split(","))
    check_output(args.output, formats, args.overwrite)
    model, labels = loading.load(args)
    how = arguments.given(args, "target", "top", "layer")
    explanation = explain(model, args.video, labels=labels, **how)
    how = {"video": os.path.basename(args.video), "overwrite": args.overwrite}
    paths = write_explanation(explanation, args.output, formats, **how)
    missing = (f"without: {text}" for text in explanation.missing)
    write_lines(*_table(explanation.predictions), *missing, *paths)
    return 0


def add_watch(parser: Any) -> None:
    """Scores a video of any length, or a camera, in windows that slide over it, and writes the
    timeline as it grows: to the terminal, or with --output as JSON lines, a table, subtitles and a
    plot. A run into a folder that was stopped continues with --resume.
    """
    parser.set_defaults(run=_run_watch)
    text = "path of a video file, - for standard input, an address such as rtsp://HOST/PATH, or "
    text += "a camera such as /dev/video0"
    parser.add_argument("video", metavar="VIDEO_OR_CAMERA", help=text)
    arguments.add_weights(parser)
    arguments.add_labels(parser)
    option(parser, "--top", "N", "classes to name on the terminal", 1)
    arguments.shared(parser, "--window")
    text = "segments from one window to the next; a window has as many as the model"
    option(parser, "--stride", "SEGMENTS", text, 1)
    option(parser, "--json", None, "print a JSON object for each window")
    files = parser.add_argument_group("files")
    text = "folder to write timeline.jsonl to, and what --outputs asks for"
    option(files, "--output", "DIR", text)
    text = f"what to write: some of csv, srt, vtt and page (default: {TIMELINE_OUTPUTS})"
    option(files, "--outputs", "NAME,NAME,...", text)
    option(files, "--min-score", "SCORE", "leave out subtitles with a lower score (default: 0)")
    arguments.add_earlier_results(files)
    add = functools.partial(option, parser.add_argument_group("for cameras and addresses"))
    text = "FFmpeg's name of the container or device, for example v4l2 (default: detected)"
    add("--input-format", "NAME", text)
    text = "one of FFmpeg's options, for example video_size=640x480; may be repeated"
    add("--input-option", "NAME=VALUE", text, [], action="append")
    text = "leave out segments when the model is slower than the video (default: for cameras and "
    text += "addresses whose sender does not wait)"
    add("--live", None, text, action=argparse.BooleanOptionalAction)
    add("--timeout", "SECONDS", "how long to wait for a sender", 20.0)
    add("--decode-threads", "N", "threads for decoding", 1)
    arguments.add_model_arguments(parser)
    arguments.shared(parser, "--quiet")


def _run_watch(args: argparse.Namespace) -> int:
    from keras_tdn.watching import StreamOptions

    _check_output_options(args)
    options = _input_options(args.input_option)
    how = StreamOptions(args.input_format, options, args.live, args.timeout, args.decode_threads)
    model, labels = loading.load(args)
    write = _write_windows if args.output is None else _write_timeline
    report = write(args, model, labels, how)
    sys.stderr.write("".join(f"keras-tdn: {line}\n" for line in report.lines()))
    return 0


def _check_output_options(args: argparse.Namespace) -> None:
    if args.output is not None:
        if args.json:
            raise ValueError("--json is for the terminal; --output DIR writes JSON lines anyway.")
        return
    for name in ("outputs", "min_score", "resume", "overwrite"):
        # A score of 0 is one, too.
        if not (getattr(args, name) is None or getattr(args, name) is False):
            raise ValueError(
                f"--{name.replace('_', '-')} is about --output DIR. Pass it as well, or leave this "
                "out."
            )


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


def _write_timeline(args: argparse.Namespace, model: Any, labels: Any, how: Any) -> Any:
    from keras_tdn.watching import record_timeline
    from keras_tdn.watching.recording import output_paths

    named = TIMELINE_OUTPUTS if args.outputs is None else args.outputs
    outputs = tuple(named.split(",")) if named else ()
    options = arguments.given(args, "stride", "resume", "overwrite")
    options |= {"window_seconds": args.window, "min_score": args.min_score or 0.0, "how": how}
    report = record_timeline(
        model, args.video, args.output, outputs=outputs, labels=labels, **options
    )
    done = f"{report.num_windows} windows, {report.num_frames} frames, {report.seconds:.1f} s"
    write_lines(done, *output_paths(args.output, outputs))
    return report


def _write_windows(args: argparse.Namespace, model: Any, labels: Any, how: Any) -> Any:
    from keras_tdn.prediction import decode_predictions
    from keras_tdn.watching import Watch

    names = labels or getattr(model, "labels", None)
    with Watch(model, args.video, args.window, args.stride, how=how) as windows:
        for window in windows:
            found = decode_predictions(window.scores[None], args.top, names)[0]
            if args.json:
                times = {"window": window.index, "start": window.start, "end": window.end}
                write_lines(json.dumps({**times, **_described(found)}))
            else:
                scores = "  ".join(f"{item.label} {item.score:.3f}" for item in found)
                write_lines(f"{window.start:9.2f} {window.end:9.2f}  {scores}")
    return windows.report
