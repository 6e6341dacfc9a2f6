"""`keras-tdn export` and `profile`: a model for other software, and what it costs."""

from __future__ import annotations

import argparse
import os
import re
import sys
from argparse import BooleanOptionalAction
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import FOLDED_DTYPES, WEIGHTS_SUFFIX, check_folded_dtype
from keras_tdn.cli import arguments, loading
from keras_tdn.cli.arguments import option, write_lines
from keras_tdn.export.formats import PORTABLE_FORMATS, SAVED_MODEL

if TYPE_CHECKING:
    import keras

FORMATS = (SAVED_MODEL, *PORTABLE_FORMATS)
_STORED = (dtype for kind in PORTABLE_FORMATS.values() for dtype in kind.dtypes)
ALL_DTYPES = tuple(dict.fromkeys([*FOLDED_DTYPES, *_STORED]))
MEGABYTE = 1e6

DEFAULT_SIZE = "224"
DEFAULT_CLASSES = 400
_BATCH_SIZES = re.compile(r"\d+(,\d+)*")


def add_export(parser: Any) -> None:
    """Writes a SavedModel that takes raw or JPEG frames and answers with labels and scores, and
    needs TensorFlow alone to load; or a folder with a model for another runtime, which takes raw
    frames and gives scores.
    """
    parser.set_defaults(run=_run_export)
    arguments.add_weights(parser)
    arguments.add_labels(parser)
    option(parser, "--top", "N", "classes to name in an answer", 5)
    option(parser, "--format", FORMATS, "format to write", FORMATS[0])
    text = "precision. SavedModel: float32 or bfloat16, which takes about half the time where the "
    text += "processor has instructions for it. OpenVINO: stored weights in float32 or float16. "
    text += "LiteRT: the same, or int8"
    option(parser, "--dtype", ALL_DTYPES, text, FOLDED_DTYPES[0])
    text = "include requests that a server warms up with (default: if the extra keras-tdn[serving] "
    option(parser, "--warm-up", None, f"{text}is installed)", action=BooleanOptionalAction)
    text = "folder to write; for a SavedModel, its name is a version number, as TensorFlow Serving "
    option(parser, "--output", "DIR/VERSION", f"{text}expects: exported/tdn/1", required=True)
    arguments.add_model_arguments(parser)


def _run_export(args: argparse.Namespace) -> int:
    from keras_tdn.export.saved_model import check_version_folder

    if args.format == SAVED_MODEL:
        check_version_folder(args.output)
        check_folded_dtype(args.dtype)
    else:
        PORTABLE_FORMATS[args.format].check(args.dtype)
    model, labels = loading.load(args)
    from keras_tdn import export

    spec: Any = model.clip_spec
    clips = f"clips uint8 (batch, {spec.num_frames}, {spec.height}, {spec.width}, 3)"
    if args.format == SAVED_MODEL:
        how = arguments.given(args, "top", "dtype", "warm_up")
        path = export.export_saved_model(model, args.output, labels=labels, **how)
        answer = "scores, labels, top_scores"
        lines = [
            f"serving_default  {clips} -> {answer}",
            f"encoded_frames   encoded_frames JPEG (batch, {spec.num_frames}) -> {answer}",
            f"features         {clips} -> features",
            "describe         request string (batch,) -> manifest",
        ]
    else:
        how = {"dtype": args.dtype, "labels": labels}
        path = export.export_portable(model, args.output, args.format, **how)
        lines = [f"{PORTABLE_FORMATS[args.format].file}  {clips} -> scores"]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    lines.append(f"Wrote {path} ({size / MEGABYTE:.1f} MB)")
    write_lines(*lines)
    return 0


def add_profile(parser: Any) -> None:
    """Counts multiply-accumulates, parameters and activations by stage and by kind of module, and
    measures latency and throughput on this machine.
    """
    parser.set_defaults(run=_run_profile)
    arguments.add_weights(parser, required=False)
    arguments.shared(parser, "--model", "--segments")
    frames = f"frames in a segment (default: {arguments.FRAMES_PER_SEGMENT})"
    option(parser, "--frames-per-segment", "N", frames)
    option(parser, "--classes", "N", f"number of classes (default: {DEFAULT_CLASSES})")
    size = f"size of a frame (default: {DEFAULT_SIZE}, or that of the weights' clips)"
    option(parser, "--size", arguments.SIZE_METAVAR, size)
    option(parser, "--batch-sizes", "N,N,...", "batch sizes to time", "1,2,4")
    option(parser, "--repeats", "N", "batches to time for each size", 10)
    option(parser, "--no-latency", None, "only count, without timing")
    option(parser, "--report", "FILE", "also write all numbers as JSON")


def _run_profile(args: argparse.Namespace) -> int:
    size = None if args.size is None else arguments.parse_size("--size", args.size)
    if _BATCH_SIZES.fullmatch(args.batch_sizes) is None:
        raise ValueError(
            "--batch-sizes is numbers with commas between them, such as 1,2,4. Received: "
            f"{args.batch_sizes!r}"
        )
    batch_sizes = () if args.no_latency else tuple(map(int, args.batch_sizes.split(",")))
    if args.report is not None and os.path.isdir(args.report):
        raise ValueError(f"--report names a file to write, and {args.report!r} is a folder.")
    model = _profiled_model(args, size)
    from keras_tdn.profiling import profile_model

    profile = profile_model(model, size, batch_sizes=batch_sizes, repeats=args.repeats)
    if args.report is not None:
        profile.save(args.report)
    sys.stdout.write(profile.summary())
    return 0


def _profiled_model(args: argparse.Namespace, size: tuple[int, int] | None) -> keras.Model:
    from keras_tdn.pretrained.weights_source import DATASETS

    if args.weights is None:
        frames = args.frames_per_segment
        return loading.builder(args.model)(
            num_segments=arguments.DEFAULT_SEGMENTS if args.segments is None else args.segments,
            frames_per_segment=arguments.FRAMES_PER_SEGMENT if frames is None else frames,
            classes=DEFAULT_CLASSES if args.classes is None else args.classes,
            input_shape=(None, *(size or (int(DEFAULT_SIZE),) * 2), 3),
        )
    if args.weights.endswith(WEIGHTS_SUFFIX):
        model = loading.load_model(args, None)
    else:
        # What the weights bring along is compared with what is asked for, and not asked for.
        bare = argparse.Namespace(weights=args.weights, model=None, segments=None, classes=None)
        if args.weights in DATASETS:
            bare.model, bare.segments = args.model, args.segments
        model = loading.load_model(bare, None)
    advice = "Leave the option out, or leave --weights out to profile another architecture."
    loading.check_fit(args, model, args.weights, advice)
    return model
