"""What importing the package costs, what is found in it, and how Keras finds its classes."""

import ast
import copy
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_tdn
from keras_tdn import saved_classes
from keras_tdn.saved_classes import CLASSES

ROOT = Path(keras_tdn.__file__).parent


def run(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, **environment}
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout.split()


def test_import_loads_next_to_nothing():
    code = "import sys, keras_tdn; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = set(run(code))
    assert "keras_tdn" in found
    known = {"keras_tdn", "lazy_loader", "_distutils_hack", "__main__"}
    assert not found - set(sys.stdlib_module_names) - known


@pytest.mark.parametrize("name", keras_tdn.__all__)
def test_every_public_name_is_there(name):
    assert getattr(keras_tdn, name) is not None
    assert name in dir(keras_tdn)


def name_of(stub):
    return ".".join(stub.relative_to(ROOT.parent).parent.parts)


@pytest.mark.parametrize("stub", sorted(ROOT.rglob("__init__.pyi")), ids=name_of)
def test_every_name_of_a_stub_is_there(stub):
    """The program and type checkers read the same list."""
    package = importlib.import_module(name_of(stub))
    names = set()
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        for alias in node.names:
            assert alias.asname == alias.name
            expected = importlib.import_module(f"{name_of(stub)}.{node.module or alias.name}")
            if node.module:
                expected = getattr(expected, alias.name)
            assert getattr(package, alias.name) is expected
            names.add(alias.name)
    assert names == set(package.__all__) <= set(dir(package))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="No keras_tdn attribute TDNResNet34"):
        _ = keras_tdn.TDNResNet34


# === Saved files ===


def registered_classes():
    for file in ROOT.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and any(
                "register_keras_serializable" in ast.unparse(decorator)
                for decorator in node.decorator_list
            ):
                yield node.name, ".".join(file.relative_to(ROOT).with_suffix("").parts)


def test_keras_is_told_of_every_class_that_is_registered():
    assert dict(registered_classes()) == CLASSES


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A compiled model, with our optimizer and metrics, and a model of layers of ours."""
    folder = tmp_path_factory.mktemp("saved")
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=3, num_segments=2)
    training, evaluation = keras_tdn.training, keras_tdn.evaluation
    schedule = training.WarmUp(keras.optimizers.schedules.CosineDecay(0.1, 10), 0.1, 5)
    model.compile(
        training.CoupledSGD(schedule),
        "sparse_categorical_crossentropy",
        [evaluation.MeanClassAccuracy(3), evaluation.ExpectedCalibrationError()],
    )
    model.save(folder / "model.keras")
    frames = keras.Input((8, 8, 16), batch_size=4)
    outputs = keras_tdn.layers.TemporalShift(2)(keras_tdn.layers.LongTermTDM(2)(frames))
    keras.Model(frames, outputs).save(folder / "layers.keras")
    return folder


ORDERS = {
    "ours first": "import keras_tdn, keras; load = keras.saving.load_model",
    "keras first": "import keras, keras_tdn; load = keras.models.load_model",
    "a module of keras": "import keras_tdn; from keras.models import load_model as load",
    "looked for before": "import keras_tdn, importlib.util; importlib.util.find_spec('keras')\n"
    "from keras.saving import load_model as load",
    # It is what imports Keras, and is not finished when Keras is.
    "a module of ours": "import keras_tdn.layers.layer_helpers\n"
    "from keras.saving import load_model as load",
}


def test_a_compiled_model_loads(files):
    code = f"""
import sys
{ORDERS["ours first"]}
assert "keras_tdn.models" not in sys.modules
model = load(sys.argv[1], safe_mode=True)
print(type(model).__name__, model.num_segments)
optimizer = model.get_compile_config()["optimizer"]
print(optimizer["class_name"], optimizer["config"]["learning_rate"]["class_name"])
"""
    found = run(code, str(files / "model.keras"), KERAS_BACKEND="tensorflow")
    assert found == ["TDNResNet", "2", "CoupledSGD", "WarmUp"]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_our_layers_load_whatever_is_imported_first(files, backend):
    """Keras' backend is imported once, and what is looked at again and again."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = f"""
import sys
finders = list(sys.meta_path)
for number, order in enumerate({list(ORDERS.values())}):
    names = {{}}
    exec(order, names)
    model = names["load"](sys.argv[1], safe_mode=True)
    print(number, *(type(layer).__name__ for layer in model.layers))
    sys.modules["keras"].saving.get_custom_objects().clear()
    sys.meta_path[:] = finders
    for name in list(sys.modules):
        package, _, module = name.partition(".")
        if package == "keras_tdn" or (package == "keras" and module.split(".")[0] != "src"):
            del sys.modules[name]
"""
    found = run(code, str(files / "layers.keras"), KERAS_BACKEND=backend)
    layers = ["InputLayer", "LongTermTDM", "TemporalShift"]
    assert found == [word for number in range(len(ORDERS)) for word in (str(number), *layers)]


def test_every_class_is_found_by_its_name():
    """A stand-in takes the place of a class until it is imported; here all are."""
    for name, module in CLASSES.items():
        stand_in = saved_classes._StandIn(name, module)
        cls = getattr(importlib.import_module(f"keras_tdn.{module}"), name)
        assert keras.saving.get_registered_object(f"keras_tdn>{name}") is cls
        assert keras.saving.get_registered_name(cls) == f"keras_tdn>{name}"
        assert stand_in.from_config == cls.from_config
        assert stand_in.__name__ == name
        assert repr(stand_in) == f"<keras_tdn.{module}.{name}>"
        assert copy.deepcopy(stand_in).from_config == cls.from_config
    assert isinstance(stand_in(keras.optimizers.schedules.CosineDecay(0.1, 10), 0.1, 5), cls)
