"""`keras-tdn presets`: which there are, what one says, whether it is right, and publishing it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tdn.pretrained.catalog import CatalogEntry

EXIT_FAILED = 1
SOURCE_HELP = "folder, hf://organisation/name[@revision], or a name from `keras-tdn presets list`"
LABELS_SHOWN = 5


def add_parser(subparsers: Any) -> None:
    """Adds this command to the parser of `keras-tdn`."""
    parser = subparsers.add_parser(
        "presets",
        help="list, show, verify and publish pretrained weights",
        description="Pretrained weights: which are published, what a preset says about itself, "
        "whether it computes here what it should, and publishing one on the Hugging Face Hub.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = actions.add_parser("list", help="list the published models and where they load from")
    action.set_defaults(run=run_list)

    action = actions.add_parser("show", help="show what a preset says about itself")
    action.add_argument("preset", metavar="PRESET", help=SOURCE_HELP)
    action.set_defaults(run=run_show)

    action = actions.add_parser(
        "verify", help="check hashes, labels, and the scores computed on this machine"
    )
    action.add_argument("preset", metavar="PRESET", help=SOURCE_HELP)
    action.set_defaults(run=run_verify)

    action = actions.add_parser(
        "push",
        help="publish a preset folder on the Hugging Face Hub",
        description="Verifies a preset folder and shows what would be uploaded; --yes uploads it. "
        "Token and endpoint come from `hf auth login`, HF_TOKEN and HF_ENDPOINT.",
    )
    action.add_argument(
        "folder", metavar="FOLDER", help="preset folder, such as `keras-tdn convert` writes"
    )
    action.add_argument("repo", metavar="ORG/NAME", help="repository, created if it does not exist")
    action.add_argument(
        "--yes", action="store_true", help="upload, instead of only showing what would be"
    )
    action.add_argument("--private", action="store_true", help="make a new repository private")
    action.add_argument("--revision", metavar="BRANCH", help="branch to push to (default: main)")
    action.add_argument("--message", metavar="TEXT", help="commit message")
    action.set_defaults(run=run_push)


def run_list(args: argparse.Namespace) -> int:
    """Prints the shipped presets, the catalog, and other presets in the folder of local ones."""
    from keras_tdn.pretrained.catalog import (
        CATALOG,
        SHIPPED,
        convert_command,
        entry_by_name,
        local_presets,
        presets_folder,
    )
    from keras_tdn.pretrained.presets import read_preset
    from keras_tdn.pretrained.weights_source import open_preset

    lines = [f"{'name':<40} {'published top-1 / top-5':<28} loads from"]
    for name in SHIPPED:
        config, _ = read_preset(open_preset(name))
        accuracy = str(config.card.measured[0])
        lines.append(f"{name:<40} {accuracy:<28} the package (measured, not published)")
    for entry in CATALOG:
        accuracies = [str(accuracy) for accuracy in entry.published]
        lines.append(f"{entry.name:<40} {accuracies[0]:<28} {_origin(entry)}")
        lines += [f"{'':<40} {accuracy}" for accuracy in accuracies[1:]]
    for name in local_presets():
        if entry_by_name(name) is None:
            lines.append(f"{name:<40} {_measured(name):<28} {presets_folder() / name}")
    missing = [entry for entry in CATALOG if _origin(entry).startswith("nowhere")]
    if missing:
        lines += [
            "",
            "No repository of ours holds a converted copy of those that load from nowhere yet.",
            "The authors' checkpoints are downloaded by hand; `keras-tdn presets show NAME` says",
            "where. Then they are converted, for example:",
            f"  {convert_command(missing[0])}",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Prints what a preset says about itself."""
    from keras_tdn.pretrained.presets import read_preset
    from keras_tdn.pretrained.weights_source import open_preset

    files = open_preset(args.preset)
    config, _ = read_preset(files)
    sys.stdout.write("\n".join([files.title, *_described(config)]) + "\n")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Prints a check a line; the exit status is 1 if one failed."""
    from keras_tdn.pretrained.preset_publishing import verify_preset

    report = verify_preset(args.preset)
    sys.stdout.write(f"{report}\n{'Passed.' if report.passed else 'FAILED.'}\n")
    return 0 if report.passed else EXIT_FAILED


def run_push(args: argparse.Namespace) -> int:
    """Prints what goes to the Hub, and sends it with `--yes`."""
    from keras_tdn.pretrained.preset_publishing import push_preset

    report = push_preset(
        args.folder,
        args.repo,
        dry_run=not args.yes,
        private=args.private,
        revision=args.revision,
        message=args.message,
    )
    lines = [str(report.checks), str(report)]
    if report.commit is None:
        lines.append("Nothing was sent. Add --yes to send it.")
    else:
        lines.append(
            f"Load it: weights='hf://{report.repo}@{report.commit}'\n"
            f"For the catalog: HubPreset({report.repo!r}, {report.commit!r}, "
            f"{report.sums_sha256!r}, {report.files[1].size})"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _measured(name: str) -> str:
    """Returns what a local preset says of its accuracy."""
    from keras_tdn.pretrained.presets import read_preset
    from keras_tdn.pretrained.weights_source import open_preset

    try:
        card = read_preset(open_preset(name))[0].card
    except (ValueError, OSError):
        return "damaged: see `show`"
    accuracies = (*card.published, *card.measured)
    return str(accuracies[0]) if accuracies else "not stated"


def _origin(entry: CatalogEntry) -> str:
    from keras_tdn.pretrained.catalog import hub_organisation

    organisation = hub_organisation()
    if organisation is not None:
        return f"hf://{organisation}/{entry.name}"
    if entry.hub is not None:
        return f"hf://{entry.hub.repo}@{entry.hub.revision[:8]} ({entry.hub.size / 1e6:.0f} MB)"
    if entry.local_folder.is_dir():
        return str(entry.local_folder)
    return "nowhere yet"


def _described(config: Any) -> Iterator[str]:
    arguments, spec, card = config.arguments, config.clip_spec, config.card
    yield f"  model      {arguments['name']}, stages of {tuple(arguments['stage_depths'])} blocks"
    yield f"  clip       {spec.num_segments} segments of {spec.frames_per_segment} frames"
    yield f"  frames     short side {spec.short_side}, crop {spec.height}x{spec.width}"
    names = config.labels
    labels = "" if names is None else f": {', '.join(names[:LABELS_SHOWN])}"
    more = ", ..." if names is not None and len(names) > LABELS_SHOWN else ""
    classes = (
        f"{arguments['classes']}{labels}{more}" if arguments["include_top"] else "no classifier"
    )
    yield f"  classes    {classes}"
    for title, value in (
        ("data set", card.dataset),
        ("licence", card.licence),
        ("source", card.source),
        ("published", "; ".join(map(str, card.published))),
        ("measured", "; ".join(map(str, card.measured))),
    ):
        yield f"  {title:<10} {value or 'not stated'}"
