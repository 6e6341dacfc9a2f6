"""The parser of the command: errors in one line that name what was probably meant, completion."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

PROGRAM = "keras-tdn"
EXIT_ERROR = 2
# By their names in the help texts: arguments that are files, and arguments that are folders. What
# may be either is a file, because shells offer folders among files.
FILES = (
    *("CHECKPOINT", "FILE", "FILE.csv", "LIST", "NAME_OR_FILE", "OUT", "PAGE.html_OR_DIR"),
    *("PRESET", "PRESET_OR_FILE", "REPORT", "SCORES", "VIDEO", "VIDEO_OR_CAMERA"),
)
FOLDERS = ("DIR", "DIR/VERSION", "FOLDER")
SHELLS = ("bash", "zsh", "fish", "tcsh")


class CommandParser(argparse.ArgumentParser):
    """Parses the arguments of the command, or of one of its commands."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("the following arguments are required"):
            # One of them may be there, and misspelt.
            self._refuse_unknown(option for option in self._given if option.startswith("--"))
        mark = "?" if "did you mean" in message else "."
        sys.stderr.write(f"{PROGRAM}: error: {message}{mark} See {self.prog} --help.\n")
        raise SystemExit(EXIT_ERROR)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the base class, which hands on what a command does not know: its options are here."""
        self._given = list(sys.argv[1:] if args is None else args)
        namespace, unknown = super().parse_known_args(args, namespace)
        if hasattr(namespace, "out"):
            self._settle_output(namespace, unknown)
        self._refuse_unknown(unknown)
        return namespace, unknown

    def _settle_output(self, namespace: argparse.Namespace, unknown: list[str]) -> None:
        placed = vars(namespace).pop("out")
        if placed is None and unknown and (unknown[0] == "--" or unknown[0][:1] != "-"):
            # Before 3.13, Python looks for it right behind the other arguments alone.
            if unknown[0] == "--":
                unknown.pop(0)
            placed = unknown.pop(0) if unknown else None
        if placed == "":
            self.error("argument OUT: it is empty")
        if placed is None and namespace.output is None:
            self.error("the following arguments are required: OUT (or --output OUT)")
        if placed is not None and namespace.output is not None:
            self.error(f"there are two outputs: {placed!r} and --output {namespace.output!r}")
        namespace.output = namespace.output if placed is None else placed

    def _refuse_unknown(self, arguments: Iterable[str]) -> None:
        known = self._option_string_actions
        for argument in arguments:
            option = argument.partition("=")[0]
            if option == "--":
                return
            if any(name.startswith(option) for name in known):
                continue
            if option.startswith("-"):
                self.error(f"there is no option {option!r}{_meant(option, known)}")
            self.error(f"there is one argument too many: {argument!r}")

    def _print_message(self, message: str, file: Any = None) -> None:
        # The base class passes over a disk that is full.
        (file or sys.stderr).write(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            meant = _meant(value, action.choices)
            names = f". There are {', '.join(action.choices)}"
            raise argparse.ArgumentError(None, f"there is no command {value!r}{meant or names}")
        if value == "" and action.metavar in (*FILES, *FOLDERS):
            # As from a variable of the shell that is not set. No file is called so.
            raise argparse.ArgumentError(action, "it is empty")
        super()._check_value(action, value)


def _meant(word: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}" if close else ""


# === Completion by the shell ===


def add_completion_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option to the parser of `keras-tdn`."""
    text = f"print a script that completes this command in a shell: {', '.join(SHELLS)}"
    parser.add_argument(
        "--print-completion", action=_PrintCompletion, choices=SHELLS, metavar="SHELL", help=text
    )


class _PrintCompletion(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
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
