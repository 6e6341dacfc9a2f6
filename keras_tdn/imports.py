"""What happens around the first import of another package, such as Keras or TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def around_import(name: str, context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Has a top-level package run in a context manager if it is imported from now on.

    The package is in `sys.modules` when the context manager exits.
    """
    if name not in sys.modules:
        sys.meta_path.insert(0, _Finder(name, context))


class _Finder:
    """Finds one package as the other finders do, and has its loader wrapped."""

    # It stays in `sys.meta_path`, which another thread may be going through.

    def __init__(self, name: str, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._name, self._context = name, context

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            if (spec := finder.find_spec(name, path, target)) is not None:
                # A folder without code has a loader of another kind, and nothing to run.
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._context)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """A loader that runs its module in a context manager, and is otherwise the one it wraps."""

    def __init__(self, loader: Any, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._loader, self._context = loader, context

    def exec_module(self, module: ModuleType) -> None:
        # Sources and data files of the module are looked for with its own loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._context():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
