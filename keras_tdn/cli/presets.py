"""`keras-tdn presets` and `convert`: pretrained weights, and those of the paper's authors."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.cli import arguments
from keras_tdn.cli.arguments import option, write_lines

if TYPE_CHECKING:
    from keras_tdn.pretrained import ConversionReport
    from keras_tdn.pretrained.catalog import CatalogEntry

EXIT_FAILED = 1
SOURCE_HELP = "folder, hf://organisation/name[@revision], or a name from `keras-tdn presets list`"
LABELS_SHOWN = 5
_NOWHERE = "nowhere yet"
MIN_SIZE = 32


def add_presets(parser: Any) -> None:
    """Pretrained weights: which are published, what a preset says about itself, whether it computes
    here what it should, and publishing one on the Hugging Face Hub.
    """
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = actions.add_parser("list", help="list the published models and where they load from")
    action.set_defaults(run=_run_list)

    action = actions.add_parser("show", help="show what a preset says about itself")
    action.add_argument("preset", metavar="PRESET", help=SOURCE_HELP)
    action.set_defaults(run=_run_show)

    text = "check hashes, labels, and the scores computed on this machine"
    action = actions.add_parser("verify", help=text)
    action.add_argument("preset", metavar="PRESET", help=SOURCE_HELP)
    action.set_defaults(run=_run_verify)

    what = "publish a preset folder on the Hugging Face Hub"
    text = "Verifies a preset folder and shows what would be uploaded; --yes uploads it. Token and "
    text += "endpoint come from `hf auth login`, HF_TOKEN and HF_ENDPOINT."
    action = actions.add_parser("push", help=what, description=text)
    text = "preset folder, such as `keras-tdn convert` writes"
    action.add_argument("folder", metavar="FOLDER", help=text)
    action.add_argument("repo", metavar="ORG/NAME", help="repository, created if it does not exist")
    option(action, "--yes", None, "upload, instead of only showing what would be")
    option(action, "--private", None, "make a new repository private")
    option(action, "--revision", "BRANCH", "branch to push to (default: main)")
    option(action, "--message", "TEXT", "commit message")
    action.set_defaults(run=_run_push)


def _run_list(args: argparse.Namespace) -> int:
    from keras_tdn.pretrained import catalog

    organisation = catalog.hub_organisation()

    def origin_of(entry: CatalogEntry) -> str:
        if organisation is not None:
            return f"hf://{organisation}/{entry.name}"
        if entry.hub is not None:
            return f"hf://{entry.hub.repo}@{entry.hub.revision[:8]} ({entry.hub.size / 1e6:.0f} MB)"
        return str(entry.local_folder) if entry.local_folder.is_dir() else _NOWHERE

    rows = [("name", "published top-1 / top-5", "loads from")]
    for name in catalog.SHIPPED:
        rows.append((name, _accuracy(name), "the package (measured, not published)"))
    for entry in catalog.CATALOG:
        first, *others = map(str, entry.published)
        rows.append((entry.name, first, origin_of(entry)))
        rows += [("", accuracy, "") for accuracy in others]
    for name in catalog.local_presets():
        if catalog.entry_by_name(name) is None:
            rows.append((name, _accuracy(name), str(catalog.presets_folder() / name)))
    lines = [f"{name:<40} {accuracy:<28} {origin}".rstrip() for name, accuracy, origin in rows]
    missing = [entry for entry in catalog.CATALOG if origin_of(entry) == _NOWHERE]
    if missing:
        lines += [
            "",
            "No repository of ours holds a converted copy of those that load from nowhere yet.",
            "The authors' checkpoints are downloaded by hand; `keras-tdn presets show NAME` says",
            "where. Then they are converted, for example:",
            f"  {catalog.convert_command(missing[0])}",
        ]
    write_lines(*lines)
    return 0


def _run_show(args: argparse.Namespace) -> int:
    from keras_tdn.pretrained.presets import read_preset
    from keras_tdn.pretrained.weights_source import open_preset

    files = open_preset(args.preset)
    config, _ = read_preset(files)
    write_lines(files.title, *_described(config))
    return 0


def _run_verify(args: argparse.Namespace) -> int:
    from keras_tdn.pretrained.preset_publishing import verify_preset

    report = verify_preset(args.preset)
    write_lines(report, "Passed." if report.passed else "FAILED.")
    return 0 if report.passed else EXIT_FAILED


def _run_push(args: argparse.Namespace) -> int:
    from keras_tdn.pretrained.preset_publishing import push_preset

    how = arguments.given(args, "private", "revision", "message")
    report = push_preset(args.folder, args.repo, dry_run=not args.yes, **how)
    lines = [str(report.checks), str(report)]
    if report.commit is None:
        lines.append("Nothing was sent. Add --yes to send it.")
    else:
        lines.append(
            f"Load it: weights='hf://{report.repo}@{report.commit}'\n"
            f"For the catalog: HubPreset({report.repo!r}, {report.commit!r}, "
            f"{report.sums_sha256!r}, {report.files[1].size})"
        )
    write_lines(*lines)
    return 0


def _accuracy(name: str) -> str:
    from keras_tdn.pretrained.presets import read_preset
    from keras_tdn.pretrained.weights_source import open_preset

    try:
        card = read_preset(open_preset(name))[0].card
    except (ValueError, OSError):
        return "damaged: see `show`"
    accuracies = (*card.published, *card.measured)
    return str(accuracies[0]) if accuracies else "not stated"


def _described(config: Any) -> Iterator[str]:
    arguments, spec, card = config.arguments, config.clip_spec, config.card
    yield f"  model      {arguments['name']}, stages of {tuple(arguments['stage_depths'])} blocks"
    yield f"  clip       {spec.num_segments} segments of {spec.frames_per_segment} frames"
    yield f"  frames     short side {spec.short_side}, crop {spec.height}x{spec.width}"
    names = config.labels or ()
    labels = ", ".join([*names[:LABELS_SHOWN], *(["..."] if len(names) > LABELS_SHOWN else [])])
    classes = f"{arguments['classes']}{': ' if names else ''}{labels}"
    yield f"  classes    {classes if arguments['include_top'] else 'no classifier'}"
    for title, value in (
        ("data set", card.dataset),
        ("licence", card.licence),
        ("source", card.source),
        ("published", "; ".join(map(str, card.published))),
        ("measured", "; ".join(map(str, card.measured))),
    ):
        yield f"  {title:<10} {value or 'not stated'}"


def add_convert(parser: Any) -> None:
    """Converts a checkpoint of the paper's PyTorch code, compares the result with PyTorch, and
    writes it. Needs PyTorch. No code in the checkpoint is run.
    """
    parser.set_defaults(run=_run_convert)
    text = "the file, for example best.pth.tar"
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=text)
    text = f"where to write: a .keras file, a {WEIGHTS_SUFFIX} file, or else a preset folder"
    arguments.add_placed_output(parser, text)
    text = "segments that the checkpoint was trained with, which the file does not say "
    option(parser, "--segments", "N", f"{text}(default: {arguments.DEFAULT_SEGMENTS})")
    arguments.add_labels(parser, "")
    text = "fix the clips' height and width (default: any, with crops of 224)"
    option(parser, "--size", "PIXELS", text)
    option(parser, "--no-verify", None, "do not compare the result with PyTorch")
    arguments.shared(parser, "--overwrite")


def _run_convert(args: argparse.Namespace) -> int:
    segments = arguments.DEFAULT_SEGMENTS if args.segments is None else args.segments
    for name, value, least in (("segments", segments, 1), ("size", args.size, MIN_SIZE)):
        if value is not None and value < least:
            raise ValueError(f"--{name} must be at least {least}. Received: {value}")
    frames = segments * arguments.FRAMES_PER_SEGMENT
    shape = None if args.size is None else (frames, args.size, args.size, 3)
    from keras_tdn.pretrained.conversion import convert_official_checkpoint, format_taps

    how = {"verify": not args.no_verify, **arguments.given(args, "labels", "overwrite")}
    report = convert_official_checkpoint(
        args.checkpoint, args.output, num_segments=segments, input_shape=shape, **how
    )
    stages, assumed = report.stage_depths, args.segments is None
    lines = [
        f"model     {report.model.name}: stages of {stages} blocks, width {report.width}",
        f"classes   {report.classes}",
        f"segments  {report.num_segments}" + (" (ASSUMED)" if assumed else ""),
    ]
    if assumed:
        lines += [
            f"          WARNING: no checkpoint tells its segments; {report.num_segments} is a",
            "          guess and, if wrong, gives wrong scores without an error.",
            "          Pass --segments 16 if it was trained with 16.",
        ]
    lines += [*_label_lines(report), ""]
    if report.verified:
        lines += [
            "Relative errors against PyTorch in float64: each block alone (at most 1e-4), and the",
            "whole network (at most 1e-4, or 10 times what PyTorch's own float32 is off)",
            *(f"  {line}" for line in format_taps(report.taps)),
        ]
    else:
        lines.append("NOT VERIFIED (--no-verify)")
    next_command = f"keras-tdn predict VIDEO --weights {args.output}"
    write_lines(*lines, "", f"Wrote {report.output}", f"Next: {next_command}")
    return 0


def _label_lines(report: ConversionReport) -> list[str]:
    if report.labels is not None:
        return [f"labels    {report.labels[0]}, ... ({len(report.labels)})"]
    from keras_tdn.labels import DATASETS, load_labels

    # A reminder, and no more: numbers do not tell which data set it was.
    names = [name for name in DATASETS if len(load_labels(name)) == report.classes]
    advice = "To add them: --labels FILE, one name per line"
    if names:
        options = " or ".join(f"--labels {name}" for name in names)
        advice = f"{report.classes} classes: if these are that data set's, add {options}"
    return ["labels    none: classes will be called by number", f"          {advice}"]
