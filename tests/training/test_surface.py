"""What `keras_tdn.training` offers."""

import pkgutil
import types

import pytest

from keras_tdn import training

MODULES = {"callbacks", "recipes"}


@pytest.mark.parametrize("name", training.__all__)
def test_every_public_name_is_there(name):
    value = getattr(training, name)
    assert isinstance(value, types.ModuleType) == (name in MODULES)
    assert name in MODULES or value.__name__ == name


def test_no_module_has_the_name_of_a_function():
    """Python puts a module that is imported in the place of its name, `train` for example."""
    modules = {module.name for module in pkgutil.iter_modules(training.__path__)}
    assert modules & set(training.__all__) == MODULES


def test_unknown_names():
    with pytest.raises(AttributeError, match=r"No keras_tdn\.training attribute trian"):
        _ = training.trian
