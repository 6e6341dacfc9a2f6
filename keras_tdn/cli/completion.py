"""`keras-tdn --print-completion`: commands, options and files, completed by the shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

SHELLS = ("bash", "zsh", "fish", "tcsh")
# By their names in the help texts: arguments that are files, and arguments that are folders. Where
# both are possible it says files, because shells offer folders among them.
FILES = (
    *("CHECKPOINT", "FILE", "FILE.csv", "LIST", "NAME_OR_FILE", "OUT", "PAGE.html_OR_DIR"),
    *("PRESET", "PRESET_OR_FILE", "REPORT", "SCORES", "VIDEO", "VIDEO_OR_CAMERA", "WEIGHTS"),
)
FOLDERS = ("DIR", "DIR/VERSION", "FOLDER")


def add_completion_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option to the parser of `keras-tdn`."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        metavar="SHELL",
        help=f"print a script that completes this command in a shell: {', '.join(SHELLS)}",
    )


class _PrintCompletion(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        del namespace, option_string
        import shtab

        for action in _actions(parser):
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar in FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif isinstance(action, argparse._SubParsersAction):
                # What some shells say beside a command: one line instead of a paragraph.
                for command in action._choices_actions:
                    action.choices[command.dest].description = command.help
        sys.stdout.write(shtab.complete(parser, values) + "\n")
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All of a parser's and of its commands'."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
