"""Every option says what it is for, to somebody who reads that line alone."""

import argparse

import pytest

from keras_tdn import cli


def parsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


PARSERS = {parser.prog: parser for parser in parsers(cli._parser())}


def test_all_commands_are_there():
    assert {f"keras-tdn {name}" for name in ("train", "label", "presets push")} <= set(PARSERS)


@pytest.mark.parametrize("name", PARSERS)
def test_help_texts(name):
    for action in PARSERS[name]._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        assert action.help, action.dest
        assert not action.help.startswith(("(", "of ")), action.dest
    assert PARSERS[name].format_help()
