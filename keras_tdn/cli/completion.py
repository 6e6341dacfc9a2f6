"""`keras-tdn --print-completion`: commands, options and files, completed by the shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from keras_tdn.cli.parser import FILES, FOLDERS

SHELLS = ("bash", "zsh", "fish", "tcsh")


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
