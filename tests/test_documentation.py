"""Pages of the documentation and the README run as they are written, one block after the other.

Pages on training and labelling have tests of their own, beside those of what they document.
"""

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import keras
import pytest
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.cli import main
from keras_tdn.datasets.motion import MOTION_LABELS, make_motion_dataset
from keras_tdn.training import recipes

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What an example says that it prints.
PRINTED = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)

pytestmark = [
    pytest.mark.usefixtures("eager_models"),
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="once is enough"),
]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """What the pages take for granted: lists, presets, and single videos."""
    folder = tmp_path_factory.mktemp("videos")
    make_motion_dataset(folder, num_train=24, num_validation=12, workers=1)
    shutil.copy(next(folder.rglob("*.mp4")), folder / "video.mp4")
    shutil.copy(folder / "video.mp4", folder / "match.mp4")
    for seed, name in enumerate(("my_preset", "other_preset")):
        keras.utils.set_random_seed(seed)
        shape = {"num_segments": 2, "input_shape": (10, None, None, 3)}
        model = keras_tdn.TDNResNet(
            (1, 1, 1, 1), width=8, classes=12, labels=MOTION_LABELS, **shape
        )
        model.clip_spec = keras_tdn.ClipSpec.for_crop(2, 5, 32, 32)
        keras_tdn.pretrained.save_preset(model, folder / name)
    return folder


@pytest.fixture
def place(videos, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(videos, folder)
    monkeypatch.chdir(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("page", "commands"),
    [
        ("data.md", ("check", "browse", "pack")),
        ("evaluation.md", ("evaluate", "ensemble", "compare", "explain")),
    ],
)
def test_page(page, commands, capsys):
    text = (DOCS / page).read_text()
    names = {}
    run = 0
    for number, (language, block) in enumerate(BLOCK.findall(text)):
        if language == "sh":
            for line in block.splitlines():
                words = shlex.split(line)
                if words[:1] == ["keras-tdn"] and words[1] in commands and "..." not in words:
                    assert main(words[1:]) == 0, line
                    run += 1
            continue
        capsys.readouterr()
        exec(compile(block, f"{page}, block {number}", "exec"), names)
        printed = capsys.readouterr().out.splitlines()
        for expected in PRINTED.findall(block):
            if not expected.startswith("first frame"):
                assert expected in printed
    assert run >= len(commands)


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_watching(capsys):
    page = (DOCS / "watching.md").read_text()
    (block,) = (code for language, code in BLOCK.findall(page) if language == "python")
    # The rendered video is shorter than what is watched on the page.
    block = block.replace("window_seconds=4.0", "window_seconds=0.5")
    exec(compile(block, "watching.md", "exec"), {"keras_tdn": keras_tdn})
    assert len(capsys.readouterr().out.splitlines()) >= 2


def small_network(weights, classes, labels):
    assert weights == "imagenet"
    off = {"short_term": False, "long_term": False, "temporal_shift": False}
    return keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, num_segments=2, classes=classes, labels=labels, **off
    )


def test_the_fine_tuned_model_of_the_readme_knows_its_classes(tmp_path, monkeypatch, capsys):
    text = (DOCS.parent / "README.md").read_text()
    block = next(code for _, code in BLOCK.findall(text) if "model.fit(" in code)
    for number in range(4):
        (tmp_path / f"{number}.mp4").write_bytes(encode_video(12, size=(32, 48)))
    lines = [f"{number}.mp4 {('jump', 'run')[number % 2]}\n" for number in range(4)]
    (tmp_path / "train.txt").write_text("".join(lines))
    shutil.copy(tmp_path / "0.mp4", tmp_path / "video.mp4")
    monkeypatch.chdir(tmp_path)
    # A network and a recipe that take seconds instead of hours, and no tracing for one step.
    monkeypatch.setattr(keras_tdn, "TDNResNet50", small_network)
    recipe = dataclasses.replace(recipes.finetune_small, batch_size=4, epochs=1, crop_size=40)
    monkeypatch.setattr(recipes, "finetune_small", recipe)
    compile_as_asked = keras.Model.compile
    monkeypatch.setattr(
        keras.Model,
        "compile",
        lambda self, *arguments, **options: compile_as_asked(
            self, *arguments, **options, run_eagerly=True
        ),
    )
    names = {"keras_tdn": keras_tdn}
    exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in printed if line.endswith(tuple("0123456789"))} >= {
        "jump",
        "run",
    }
    assert names["model"].labels == ("jump", "run")
    assert (names["model"].clip_spec.height, names["model"].clip_spec.short_side) == (40, 46)
