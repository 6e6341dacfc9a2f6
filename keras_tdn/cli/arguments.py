"""Options that several commands share: one name, one meaning and one help text for each."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import MODEL_SUFFIX, RECORD_FORMATS, WEIGHTS_SUFFIX
from keras_tdn.specs import CLIP_MODES, ViewSpec

if TYPE_CHECKING:
    from keras_tdn.data.records import RecordList

# Published models, by the names of the functions that build them, as the command line spells them.
MODELS = {"tdn_resnet50": "TDNResNet50", "tdn_resnet101": "TDNResNet101"}
DEFAULT_MODEL = "tdn_resnet50"
DEFAULT_SEGMENTS = 8
WEIGHTS_HELP = (
    "preset (a folder, hf://ORGANISATION/NAME, or a name from `keras-tdn presets list`), "
    f"{MODEL_SUFFIX} file or {WEIGHTS_SUFFIX} file"
)
LABELS_HELP = "class names: a data set's name or a text file with one per line"
LIST_HELP = "list, annotation file or folder of videos"
PACKED_HELP = f"{LIST_HELP}, or folder that `keras-tdn pack` wrote"
SPLIT_HELP = "train, val, test or all, where it has several"
SIZE_METAVAR = "PIXELS_OR_HxW"
SIZE = re.compile(r"(\d+)(?:x(\d+))?")
VIEWS = re.compile(r"(\d+)x(\d+)")


# === A model ===


def add_weights(parser: Any, note: str = "", **options: Any) -> None:
    """Adds `--weights`, required unless a default is among the options of `add_argument`."""
    options.setdefault("required", "default" not in options)
    parser.add_argument(
        "--weights", metavar="PRESET_OR_FILE", help=f"{WEIGHTS_HELP}{note}", **options
    )


def add_labels(group: Any, come_with_weights: bool = True) -> None:
    """Adds `--labels`."""
    note = " (default: those that come with the weights)" if come_with_weights else ""
    group.add_argument("--labels", metavar="NAME_OR_FILE", help=f"{LABELS_HELP}{note}")


def add_top(group: Any, default: int = 5, what: str = "classes to name") -> None:
    """Adds `--top`."""
    group.add_argument(
        "--top", type=int, default=default, metavar="N", help=f"{what} (default: %(default)s)"
    )


def add_architecture(group: Any) -> None:
    """Adds `--model` and `--segments`."""
    group.add_argument(
        "--model", choices=sorted(MODELS), help=f"architecture (default: {DEFAULT_MODEL})"
    )
    group.add_argument(
        "--segments",
        type=int,
        metavar="N",
        help=f"segments per video (default: {DEFAULT_SEGMENTS})",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what weights may leave open: the model that they are for, and how its clips are cut."""
    bare = parser.add_argument_group(
        f"for a {WEIGHTS_SUFFIX} file of another program, or a data set's name",
        "neither of which says what model it is for",
    )
    add_architecture(bare)
    bare.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes (default: as many as there are labels)",
    )
    clips = parser.add_argument_group("clips, if they are not cut as the weights say")
    clips.add_argument(
        "--size",
        dest="clip_size",
        metavar=SIZE_METAVAR,
        help="size of a clip's frames: a side, or height and width, such as 112 or 96x128",
    )
    clips.add_argument(
        "--short-side",
        type=int,
        metavar="PIXELS",
        help="size that a video's short side is resized to before the clip is cut out (default "
        "with --size: 256 for 224, other sizes in proportion)",
    )


def parse_size(option: str, text: str) -> tuple[int, int]:
    """Height and width of `112` or `96x128`.

    Raises:
        ValueError: if it is neither.
    """
    sides = SIZE.fullmatch(text)
    if sides is None:
        raise ValueError(
            f"{option} is a number of pixels, or HEIGHTxWIDTH such as 256x256. Received: {text!r}"
        )
    return int(sides[1]), int(sides[2] or sides[1])


# === Videos ===


def add_list_arguments(
    parser: argparse.ArgumentParser, packed: bool = False, nargs: str | None = None
) -> None:
    """Adds what names one list of records.

    Args:
        parser: The command's.
        packed: Whether the command takes packed videos too.
        nargs: For a command that finds the list itself.
    """
    parser.add_argument(
        "list", metavar="LIST", nargs=nargs, help=PACKED_HELP if packed else LIST_HELP
    )
    group = parser.add_argument_group("list of videos")
    add_reading_options(group)
    if not packed:
        # Commands that take packed videos have a model, which knows.
        add_classes_option(group)
    group.add_argument(
        "--split", metavar="NAME", help=f"part of the data set that LIST describes: {SPLIT_HELP}"
    )


def add_reading_options(group: Any) -> None:
    """Adds what lists have in common that one command reads."""
    group.add_argument(
        "--format",
        choices=RECORD_FORMATS,
        metavar="FORMAT",
        help=f"format of the list: {', '.join(RECORD_FORMATS)} (default: detected)",
    )
    group.add_argument(
        "--root",
        metavar="DIR",
        help="folder that relative paths start from (default: the list's own)",
    )
    add_labels(group, come_with_weights=False)
    group.add_argument(
        "--fold", type=int, metavar="N", help="number of the HMDB51 split to use (default: 1)"
    )


def add_classes_option(group: Any) -> None:
    """Adds what a list leaves open whose labels are numbers."""
    group.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes of a list whose labels are numbers without names (default: the "
        "largest label plus one)",
    )


def add_skip_missing(group: Any) -> None:
    """Adds `--skip-missing`."""
    group.add_argument(
        "--skip-missing", action="store_true", help="leave out videos whose files are missing"
    )


def load_list(args: argparse.Namespace, **options: Any) -> RecordList:
    """Returns the records that the arguments name; `options` are those of `load_records`."""
    from keras_tdn.data.records.load import load_records

    return load_records(
        args.list,
        format=args.format,
        root=args.root,
        labels=args.labels,
        num_classes=args.classes,
        split=args.split,
        fold=args.fold,
        **options,
    )


# === Views ===


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says which views are taken and how they are averaged."""
    parser.add_argument(
        "--views",
        default="1x1",
        metavar="CLIPSxCROPS",
        help="clips of each video times crops of each clip (1, 3 or 10 crops). Default: 1x1, the "
        "centre; the paper's thirty views are 10x3",
    )
    parser.add_argument(
        "--clip-mode",
        choices=CLIP_MODES,
        default="uniform",
        help="how several clips are placed in the video (default: %(default)s)",
    )
    parser.add_argument(
        "--always-across",
        action="store_true",
        help="place three crops side by side in portrait videos too, where they coincide, as the "
        "paper's authors do",
    )
    parser.add_argument(
        "--crop-size",
        metavar=SIZE_METAVAR,
        help="size of the crops (default: that of the model's clips; for three crops, the short "
        "side)",
    )
    parser.add_argument(
        "--average",
        choices=("softmax", "logits"),
        default="softmax",
        help="what is averaged over views (default: %(default)s)",
    )


def views_of(args: argparse.Namespace) -> ViewSpec:
    """Returns the views that the arguments name.

    Raises:
        ValueError: if they name none.
    """
    match = VIEWS.fullmatch(args.views)
    if match is None:
        raise ValueError(
            f"--views is CLIPSxCROPS, such as 1x1, 1x3 or 10x3. Received: {args.views!r}"
        )
    return ViewSpec(
        num_clips=int(match[1]),
        num_crops=int(match[2]),
        clip_mode=args.clip_mode,
        always_across=args.always_across,
        crop_size=None if args.crop_size is None else parse_size("--crop-size", args.crop_size),
    )


# === A run ===


def add_earlier_results(parser: Any, what: str) -> None:
    """Adds `--resume` and `--overwrite`, which exclude each other.

    Args:
        parser: The command's.
        what: What is continued, as in "an evaluation".
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--resume",
        action="store_true",
        help=f"continue {what} that was stopped, from what is in DIR",
    )
    add_overwrite(group)


def add_overwrite(group: Any, what: str = "replace the results in DIR") -> None:
    """Adds `--overwrite`."""
    group.add_argument("--overwrite", action="store_true", help=what)


def check_about_output(args: argparse.Namespace) -> None:
    """Raises if `--resume` or `--overwrite` is given without `--output`."""
    if (args.resume or args.overwrite) and not args.output:
        raise ValueError("--resume and --overwrite are about --output DIR. Pass it as well.")


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds how videos are read and scored."""
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="views scored at once (default: 8)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="videos read side by side (default: one per processor, at most 8)",
    )
    add_seed(parser)


def add_seed(group: Any) -> None:
    """Adds `--seed`."""
    group.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")


def add_processes(group: Any) -> None:
    """Adds `--processes`."""
    group.add_argument(
        "--processes", type=int, metavar="N", help="number of processes (default: one per core)"
    )


def add_max_failure_share(group: Any) -> None:
    """Adds `--max-failure-share`."""
    group.add_argument(
        "--max-failure-share",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="stop if a larger share of the videos cannot be read (default: %(default)s)",
    )


def add_retry_failures(group: Any) -> None:
    """Adds `--retry-failures`."""
    group.add_argument(
        "--retry-failures", action="store_true", help="try again the videos that failed before"
    )


def add_json(group: Any, what: str) -> None:
    """Adds `--json`."""
    group.add_argument("--json", action="store_true", help=f"print {what}")


def add_beam(parser: argparse.ArgumentParser) -> None:
    """Adds `--beam`, which takes what remains of the command line."""
    parser.add_argument(
        "--beam",
        nargs=argparse.REMAINDER,
        metavar="OPTION",
        help="run as an Apache Beam pipeline with these options; must come last: --beam "
        "--runner=FlinkRunner ... (needs the extra [beam])",
    )
