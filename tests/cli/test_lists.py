"""The options that say how lists are read."""

import argparse

import pytest

from keras_tdn.cli import _parser, train
from keras_tdn.cli.arguments import add_list_arguments, load_list


@pytest.fixture
def listed(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 4000\n")
    return tmp_path / "list.txt"


def parse(add_options, *arguments):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_classes_allow_labels_out_of_proportion(listed):
    with pytest.raises(ValueError, match=r"line 2: with the label 4000 .*command line --classes\)"):
        load_list(parse(add_list_arguments, listed))
    assert load_list(parse(add_list_arguments, listed, "--classes", 5000)).num_classes == 5000
    with pytest.raises(ValueError, match=r"line 2: the label 4000 is not a class: .* 0 to 1999"):
        load_list(parse(add_list_arguments, listed, "--classes", 2000))


def test_training_has_the_option(listed, tmp_path):
    command = ["--train-list", listed, "--no-validation", "--output", tmp_path / "out"]
    args = parse(train.add_train, *command, "--classes", 5000)
    assert train._load(args, "train", None).num_classes == 5000
    with pytest.raises(ValueError, match="out of proportion to the 2 labels"):
        train._load(parse(train.add_train, *command), "train", None)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "index.json").write_text("{}")
    command[1] = tmp_path / "packed"
    with pytest.raises(ValueError, match="--classes is for lists of videos"):
        train._load(parse(train.add_train, *command, "--classes", 5000), "train", None)


@pytest.mark.parametrize(
    "order",
    [
        "LIST OUT --name n",
        "LIST --name n OUT",
        "LIST --name n -- OUT",
        "--output OUT --name n LIST",
        "LIST --output OUT",
    ],
)
def test_the_output_has_a_place_or_an_option(order):
    args = _parser().parse_args(["pack", *order.split()])
    assert (args.list, args.output) == ("LIST", "OUT")
