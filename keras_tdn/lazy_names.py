"""Packages that import their names when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], modules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    Args:
        package: The package's name.
        homes: For names of functions and classes, the module in the package that has them, with a
            dot in front the one beside it. Other names in the package's `__all__` are modules
            themselves.
        modules: Further modules that are reached as attributes, though not part of `__all__`.

    Returns:
        Two functions, for the package to bind to `__getattr__` and `__dir__`.

    Example:

    >>> __getattr__, __dir__ = lazy_names(__name__, {"read_frames": "decoding"})
    """

    def get_name(name: str) -> Any:
        module = sys.modules[package]
        if name in homes:
            value = getattr(importlib.import_module(f".{homes[name]}", package), name)
        elif name in module.__all__ or name in modules:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(module, name, value)
        return value

    def list_names() -> list[str]:
        module = sys.modules[package]
        return sorted({*vars(module), *module.__all__, *modules})

    return get_name, list_names
