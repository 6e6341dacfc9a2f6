"""Options of the commands: one name, one meaning, one help text and one place in the order.

A command adds what it works on first, then what is its own, then where results go, then how videos
are read and scored; the groups for lists, models and clips come last.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import MODEL_SUFFIX, RECORD_FORMATS, WEIGHTS_SUFFIX
from keras_tdn.specs import CLIP_MODES, ViewSpec

if TYPE_CHECKING:
    from keras_tdn.data.records import RecordList

# Published models, by the names of the functions that build them, as the command line spells them.
MODELS = {"tdn_resnet50": "TDNResNet50", "tdn_resnet101": "TDNResNet101"}
DEFAULT_MODEL = "tdn_resnet50"
DEFAULT_SEGMENTS = 8
FRAMES_PER_SEGMENT = 5
PACKED_HELP = "list, annotation file or folder of videos, or folder that `keras-tdn pack` wrote"
SPLIT_HELP = "train, val, test or all, where it has several"
SIZE_METAVAR = "PIXELS_OR_HxW"
# What an option's value is called in the help texts says what it is; others are text.
_TYPES: dict[str, type] = {
    **dict.fromkeys(("N", "PIXELS", "SEGMENTS", "STEPS"), int),
    **dict.fromkeys(("ALPHA", "EPOCHS", "RATE", "SCORE", "SECONDS", "SHARE"), float),
}
_SIZE = re.compile(r"(\d+)(?:x(\d+))?")
_VIEWS = re.compile(r"(\d+)x(\d+)")


def write_lines(*lines: object) -> None:
    """Writes lines to standard output; whoever reads along, reads them now."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Returns arguments by their names, to be handed on as keywords."""
    return {name: getattr(args, name) for name in names}


def option(group: Any, name: str, value: Any, text: str, default: Any = None, **more: Any) -> None:
    """Adds an option to a parser, or to a group of one; the help text names the default.

    `name` may be several, with spaces between. `value` is what the value is called, which also says
    its type; or the values that there are; or `None` for an option without a value. `more` are
    further arguments of `add_argument`.
    """
    if default not in (None, []):
        text += " (default: %(default)s)"
    if value is None:
        more.setdefault("action", "store_true")
    elif isinstance(value, str):
        more = {"metavar": value, "type": _TYPES.get(value), "default": default, **more}
    else:
        more = {"choices": tuple(value), "default": default, **more}
    group.add_argument(*name.split(), help=text, **more)


def shared(group: Any, *names: str) -> None:
    """Adds options that several commands have, by their names."""
    for name in names:
        option(group, name, *_SHARED[name])


# Arguments of `option` behind the name.
_SHARED: dict[str, tuple[Any, ...]] = {
    # A model.
    "--model": (sorted(MODELS), f"architecture (default: {DEFAULT_MODEL})"),
    "--segments": ("N", f"segments per video (default: {DEFAULT_SEGMENTS})"),
    "--window": (
        "SECONDS",
        "length of a window, about as long as the videos that the model was trained on (default: "
        "that of its data set, which the labels name)",
    ),
    "--top": ("N", "classes to name", 5),
    # A list of videos.
    "--format": (RECORD_FORMATS, "format of the list (default: detected)"),
    "--root": ("DIR", "folder that relative paths start from (default: the list's own)"),
    "--fold": ("N", "number of the HMDB51 split to use (default: 1)"),
    "--classes": (
        "N",
        "number of classes of a list whose labels are numbers without names (default: the largest "
        "label plus one)",
    ),
    "--split": ("NAME", f"part of the data set that LIST describes: {SPLIT_HELP}"),
    "--skip-missing": (None, "leave out videos whose files are missing"),
    # Views.
    "--views": (
        "CLIPSxCROPS",
        "clips of each video times crops of each clip (1, 3 or 10 crops); 1x1 is the centre, 10x3 "
        "are the paper's thirty views",
        "1x1",
    ),
    "--clip-mode": (CLIP_MODES, "how several clips are placed in the video", "uniform"),
    "--always-across": (
        None,
        "place three crops side by side in portrait videos too, where they coincide, as the "
        "paper's authors do",
    ),
    "--crop-size": (
        SIZE_METAVAR,
        "size of the crops (default: that of the model's clips; for three crops, the short side)",
    ),
    "--average": (("softmax", "logits"), "what is averaged over views", "softmax"),
    # A run.
    "--resume": (None, "continue a run that was stopped, from what is in the folder"),
    "--overwrite": (None, "replace what is there"),
    "--retry-failures": (None, "with --resume: try again the videos that failed before"),
    "--batch-size": ("N", "views scored at once", 8),
    "--workers": ("N", "videos read side by side (default: one per processor, at most 8)"),
    "--in-processes": (
        None,
        "read videos in processes of their own, so that a bad file crashes or hangs only one",
    ),
    "--time-limit": ("SECONDS", "time that one video may take with --in-processes (default: 300)"),
    "--seed": ("N", "random seed", 0),
    "--processes": ("N", "number of processes (default: one per core)"),
    "--max-failure-share": ("SHARE", "stop if a larger share of the videos cannot be read", 0.1),
    "--quiet": (None, "do not show how far the run is"),
}
# What commands take together.
READING = ("--format", "--root", "--fold", "--skip-missing")
VIEWS = ("--views", "--clip-mode", "--always-across", "--crop-size", "--average")
SCORING = ("--batch-size", "--workers", "--in-processes", "--time-limit", "--seed")


def add_weights(parser: Any, note: str = "", **more: Any) -> None:
    """Adds `--weights`, required unless a default is among the options of `add_argument`."""
    more.setdefault("required", "default" not in more)
    text = "preset (a folder, hf://ORGANISATION/NAME, or a name from `keras-tdn presets list`), "
    text += f"{MODEL_SUFFIX} file or {WEIGHTS_SUFFIX} file{note}"
    parser.add_argument("--weights", metavar="PRESET_OR_FILE", help=text, **more)


def add_labels(group: Any, note: str = " (default: those that come with the weights)") -> None:
    """Adds `--labels`."""
    text = "class names: a data set's name or a text file with one per line"
    option(group, "--labels", "NAME_OR_FILE", text + note)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what weights may leave open: the model that they are for, and how its clips are cut."""
    bare = parser.add_argument_group(
        f"for a {WEIGHTS_SUFFIX} file of another program, or a data set's name",
        "neither of which says what model it is for",
    )
    shared(bare, "--model", "--segments")
    option(bare, "--classes", "N", "number of classes (default: as many as there are labels)")
    clips = parser.add_argument_group("clips, if they are not cut as the weights say")
    text = "size of a clip's frames: a side, or height and width, such as 112 or 96x128"
    option(clips, "--size", SIZE_METAVAR, text, dest="clip_size")
    text = "size that a video's short side is resized to before the clip is cut out (default with "
    option(clips, "--short-side", "PIXELS", f"{text}--size: 256 for 224, others in proportion)")


def parse_size(name: str, text: str) -> tuple[int, int]:
    """Height and width of `112` or `96x128`; a `ValueError` names the option."""
    sides = _SIZE.fullmatch(text)
    if sides is None:
        raise ValueError(
            f"{name} is a number of pixels, or HEIGHTxWIDTH such as 256x256. Received: {text!r}"
        )
    return int(sides[1]), int(sides[2] or sides[1])


def add_list_arguments(
    parser: argparse.ArgumentParser, has_model: bool = False, nargs: str | None = None
) -> None:
    """Adds what names one list of records; a model knows its classes."""
    parser.add_argument("list", metavar="LIST", nargs=nargs, help=PACKED_HELP)
    group = parser.add_argument_group("list of videos")
    shared(group, *READING, "--split")
    add_labels(group, "")
    if not has_model:
        shared(group, "--classes")


def load_list(args: argparse.Namespace, check_shards: bool = True, **options: Any) -> RecordList:
    """Returns the records that the arguments name, packed ones too.

    `check_shards` refuses packed ones whose files are missing or cut short, and `options` win over
    the arguments.
    """
    from keras_tdn.data import load_packed, load_records
    from keras_tdn.data.packing.index import is_packed

    if is_packed(args.list):
        for name in ("format", "root", "classes", "split", "fold"):
            if getattr(args, name, None) is not None:
                raise ValueError(
                    f"--{name} is for lists of videos, and {args.list!r} holds packed videos, of "
                    "which everything is known. Leave it out."
                )
        return load_packed(args.list, check_files=check_shards)
    named = given(args, "format", "root", "labels", "split", "fold", "skip_missing")
    return load_records(args.list, **{"num_classes": args.classes, **named, **options})


def views_of(args: argparse.Namespace) -> ViewSpec:
    """Returns the views that the arguments name; a `ValueError` says that there are none such."""
    match = _VIEWS.fullmatch(args.views)
    if match is None:
        raise ValueError(
            f"--views is CLIPSxCROPS, such as 1x1, 1x3 or 10x3. Received: {args.views!r}"
        )
    size = None if args.crop_size is None else parse_size("--crop-size", args.crop_size)
    how = given(args, "clip_mode", "always_across")
    return ViewSpec(int(match[1]), int(match[2]), crop_size=size, **how)


def add_placed_output(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds `OUT`, and `--output OUT` as another way to say it: see `CommandParser`."""
    parser.add_argument("out", metavar="OUT", nargs="?", help=what)
    option(parser, "--output", "OUT", "the same as OUT")


def add_earlier_results(parser: Any) -> None:
    """Adds `--resume` and `--overwrite`, which exclude each other."""
    shared(parser.add_mutually_exclusive_group(), "--resume", "--overwrite")


def scoring_of(args: argparse.Namespace) -> dict[str, Any]:
    """Returns `SCORING` without the seed, as keywords of `evaluate` and `label_videos`."""
    if args.time_limit is not None and not args.in_processes:
        raise ValueError("--time-limit is for --in-processes: a thread cannot be ended. Pass both.")
    limit = {} if args.time_limit is None else {"time_limit": args.time_limit}
    return {"num_workers": args.workers, **given(args, "batch_size", "in_processes"), **limit}


def add_ensemble_method(group: Any, name: str, what: str, default: str | None = None) -> None:
    """Adds how the scores of several models are joined."""
    text = "mean of probabilities, or the paper authors' sum of logits clipped at zero"
    note = "" if default else " (default: softmax)"
    option(group, name, ("softmax", "clipped_logits"), f"{what}: {text}{note}", default)


def add_beam(parser: argparse.ArgumentParser) -> None:
    """Adds `--beam`, which takes what remains of the command line."""
    text = "run as an Apache Beam pipeline with these options; must come last: --beam "
    text += "--runner=FlinkRunner ... (needs the extra [beam])"
    parser.add_argument("--beam", nargs=argparse.REMAINDER, metavar="OPTION", help=text)
