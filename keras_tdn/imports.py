"""What happens around the first import of another package, such as Keras or TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def around_import(name: str, context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Has a top-level package run in a context manager when it is first imported.

    The package is in `sys.modules` when the context manager exits. If it is imported already,
    nothing happens.
    """
    if name not in sys.modules:
        sys.meta_path.insert(0, _Finder(name, context))


class _Finder:
    """Finds one package as the other finders do, and has its loader wrapped.

    It stays in `sys.meta_path`, which another thread may be going through.
    """

    def __init__(self, name: str, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._name = name
        self._context = context

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._wrap(spec.loader)
                return spec
        return None

    def _wrap(self, loader: Any) -> None:
        """Has a loader run its module in the context; it is as it was from then on."""
        # A folder without code has a loader of another kind, and nothing to run.
        run = getattr(loader, "exec_module", None)
        if run is None:
            return

        def run_in_context(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            with self._context():
                run(module)

        loader.exec_module = run_in_context
