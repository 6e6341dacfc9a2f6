"""The examples of the pages on training and of the docstrings run as they are written.

With a small network and few steps in place of hours. Docstrings take longer than all pages
together and run with `KERAS_TDN_DOCSTRINGS=1`.
"""

import dataclasses
import doctest
import importlib
import os
import pkgutil
import re
from pathlib import Path

import keras
import pytest
import synthetic_videos
from data_service import Service

import keras_tdn
import keras_tdn.training
from keras_tdn.data import load_records, make_dataset
from keras_tdn.data.dataset import order
from keras_tdn.data.dataset.order import BatchPositions
from keras_tdn.training import callbacks, recipes

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ("training.md", "distributed_training.md")
SERVICE_ADDRESS = "10.0.0.5:5050"
# It waits for the others; test_distribution.py has two processes join.
NOT_RUN = ("join_processes",)
ALL_EXAMPLES = bool(os.environ.get("KERAS_TDN_DOCSTRINGS"))
STEPS = 2
RECIPE = dataclasses.replace(
    recipes.finetune_small, batch_size=2, epochs=1, warmup_epochs=0.0, crop_size=32
)


def small_network(weights=None, classes=3, **arguments):
    assert weights == "imagenet"
    without = dict.fromkeys(("short_term", "long_term", "temporal_shift"), False)
    shape = {"num_segments": 2, "input_shape": (10, 32, 32, 3)}
    return keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, classes=classes, **shape, **without, **arguments
    )


def smaller_network():
    """For examples that any model would do for."""
    clips = keras.Input((10, 32, 32, 3), name="clips")
    x = keras.layers.GlobalAveragePooling3D(name="pooling")(clips)
    x = keras.layers.Dense(3, activation="softmax", name="classifier")(x)
    model = keras.Model(clips, x)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Videos and lists in the current folder, and a small network under a large one's name."""
    for number in range(6):
        content = synthetic_videos.encode_video(12, size=(32, 48), first=9 * number)
        (tmp_path / f"{number}.mp4").write_bytes(content)
    for name, numbers in (("train", range(4)), ("validate", range(4, 6))):
        lines = [f"{number}.mp4 {('jump', 'run')[number % 2]}\n" for number in numbers]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras_tdn, "TDNResNet50", small_network)
    monkeypatch.setattr(recipes, "finetune_small", RECIPE)
    fit = keras.Model.fit

    def short_fit(self, x, **options):
        options["epochs"] = min(options.get("epochs", 1), 2)
        options["steps_per_epoch"] = min(options.get("steps_per_epoch") or STEPS, STEPS)
        return fit(self, x, **options)

    monkeypatch.setattr(keras.Model, "fit", short_fit)
    compile_as_asked = keras.Model.compile

    def quick_compile(self, *arguments, **options):
        # Less work than tracing, for so few steps.
        quick = {"run_eagerly": True, "jit_compile": False}
        on_jax = keras.backend.backend() == "jax"
        compile_as_asked(self, *arguments, **(options if on_jax else options | quick))

    monkeypatch.setattr(keras.Model, "compile", quick_compile)


@pytest.fixture
def service(tmp_path):
    service = Service(tmp_path)
    service.add_worker()
    yield service
    service.stop()


# The second page starts processes of its own.
@pytest.mark.parametrize("page", [PAGES[0], pytest.param(PAGES[1], marks=pytest.mark.slow)])
def test_page(page, request):
    text = (DOCS / page).read_text()
    if SERVICE_ADDRESS in text:
        text = text.replace(SERVICE_ADDRESS, request.getfixturevalue("service").address)
    blocks = BLOCK.findall(text)
    assert len(blocks) >= 2
    names = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}, block {number}", "exec"), names)


def modules():
    package = keras_tdn.training
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [order, *(importlib.import_module(module.name) for module in found)]


def names_for(module):
    """What the examples of a module take for granted."""
    records, validation = (load_records(f"{name}.txt") for name in ("train", "validate"))
    large = small_network("imagenet", classes=2)
    spec = large.clip_spec
    names = {
        **{name: getattr(keras_tdn.training, name) for name in keras_tdn.training.__all__},
        **{name: getattr(callbacks, name) for name in callbacks.__all__},
        **vars(module),
        **{"keras": keras, "keras_tdn": keras_tdn, "dataclasses": dataclasses},
        **{"load_records": load_records, "make_dataset": make_dataset, "spec": spec},
        **{"records": records, "BatchPositions": BatchPositions, "recipe": RECIPE},
        **{"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        **{"epochs": 2, "steps": STEPS, "validation": validation},
    }
    if module.__name__.endswith("training_run"):
        return {**names, "model": large}
    train = RECIPE.make_dataset(records, spec, training=True)
    names |= {"train": train, "dataset": train}
    names["validation"] = RECIPE.make_dataset(validation, spec, training=False)
    of_any_model = module.__name__.startswith(f"{callbacks.__name__}.")
    names["model"] = smaller_network() if of_any_model else large
    if module is callbacks:
        RECIPE.compile(large, STEPS)
    if of_any_model:
        metric = keras.metrics.SparseCategoricalAccuracy(name="top1")
        names["model"].compile("sgd", names["loss"], metrics=[metric])
    return names


class Checker(doctest.OutputChecker):
    """An example that shows no output may have some: `fit` gives back its history."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


def examples():
    finder = doctest.DocTestFinder(recurse=True)
    for module in modules():
        for test in finder.find(module, module.__name__):
            if test.examples and not test.name.endswith(NOT_RUN):
                yield pytest.param(module, test, id=test.name.removeprefix("keras_tdn."))


@pytest.mark.skipif(not ALL_EXAMPLES, reason="takes long: set KERAS_TDN_DOCSTRINGS=1")
@pytest.mark.parametrize(("module", "test"), list(examples()) if ALL_EXAMPLES else [])
def test_docstring(module, test):
    test.globs = names_for(module)
    if "load_checkpoint" in test.name:
        callbacks.Checkpoints("run").set_model(test.globs["model"])
        test.globs["model"].fit(
            test.globs["train"],
            validation_data=test.globs["validation"],
            callbacks=[callbacks.Checkpoints("run")],
            verbose=0,
        )
    complaints = []
    runner = doctest.DocTestRunner(Checker(), verbose=False)
    runner.run(test, out=complaints.append)
    assert not complaints, "".join(complaints)
