"""Filling a model from a Keras weights file: all of the file, all of the model, or nothing.

`Model.load_weights` finds layers by their class and position and passes over what a file has in
excess, so that another depth can go unnoticed. Here layers are found by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

from keras_tdn.pretrained.binding import MAX_LISTED

LAYERS = "layers"
VARIABLES = "vars"
BFLOAT16 = "bfloat16"
# Dropout keeps the state of its random numbers, which is none of the model's weights.
RANDOM_STATE = "seed_generator"
HEAD = "classifier/"
DAMAGE_ERRORS = (OSError, KeyError, RuntimeError, TypeError, AttributeError, OverflowError)
# What Keras writes; a damaged type description would have its numbers read as others.
FLOATS = tuple(np.dtype(kind) for kind in ("<f2", "<f4", "<f8"))


def load_weights_file(
    model: Any, file: str | BinaryIO, origin: str, *, free_head: bool = False
) -> tuple[str, ...]:
    """Fills `model` from a `.weights.h5` file.

    Args:
        model: A built Keras model.
        file: Path or open file.
        origin: What to call the file in errors.
        free_head: Whether the classifier may differ: left out of a model without one, and left as
            it is in a model with another number of classes.

    Returns:
        Paths of the variables that were left as they are.

    Raises:
        ValueError: if the file is damaged or is not such a file, or if anything is missing, left
            over, of another shape or not finite, all of it listed. The model is unchanged then.
    """
    try:
        with h5py.File(file, "r") as content:
            datasets = dict(_datasets(content))
            variables = _variables(model)
            skipped = _take_head_off(variables, datasets) if free_head else ()
            _check_fit(variables, datasets, origin)
            values = {key: _read(datasets[key]) for key in variables}
    # h5py raises any of these for a file that is cut off or is no HDF5 at all.
    except (*DAMAGE_ERRORS, ValueError) as error:
        if isinstance(error, _MisfitError):
            raise ValueError(str(error)) from None
        raise ValueError(
            f"{origin} is damaged or is no Keras weights file ({_short(error)}). Expected what "
            "`model.save_weights` writes. Copy or download it again."
        ) from error
    broken = [key for key, value in values.items() if not np.all(np.isfinite(value))]
    if broken:
        raise ValueError(_refusal(origin, [_listed("not finite", broken)]))
    for key, variable in variables.items():
        variable.assign(values[key])
    return skipped


class _MisfitError(ValueError):
    """A file that can be read and belongs to another model."""


def _take_head_off(variables: dict[str, Any], datasets: dict[str, Any]) -> tuple[str, ...]:
    """Removes a classifier that does not fit from both; what the model's variables are called."""
    ours = {key: tuple(variables[key].shape) for key in variables if key.startswith(HEAD)}
    theirs = {key: datasets[key].shape for key in datasets if key.startswith(HEAD)}
    fits = {key: shape[:-1] for key, shape in ours.items()}
    if ours and (ours == theirs or (theirs and fits != {k: v[:-1] for k, v in theirs.items()})):
        return ()
    for key in theirs:
        del datasets[key]
    return tuple(variables.pop(key).path for key in ours)


def _variables(model: Any) -> dict[str, Any]:
    """`layer/sublayer/index` to variable; the index counts within a layer, as in the file."""
    variables: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for variable in model.weights:
        owner = variable.path.rpartition("/")[0]
        variables[f"{owner}/{counts.get(owner, 0)}"] = variable
        counts[owner] = counts.get(owner, 0) + 1
    return variables


def _datasets(content: Any) -> Iterator[tuple[str, Any]]:
    """The same keys to the file's arrays."""
    for group in _children(content[LAYERS]):
        name = group[VARIABLES].attrs["name"]
        yield from _walk(group, name.decode() if isinstance(name, bytes) else str(name))


def _walk(group: Any, owner: str) -> Iterator[tuple[str, Any]]:
    for child in _children(group):
        name = child.name.rpartition("/")[2]
        if name == VARIABLES:
            for array in _children(child):
                yield f"{owner}/{array.name.rpartition('/')[2]}", array
        elif name != RANDOM_STATE:
            yield from _walk(child, f"{owner}/{name}")


def _children(group: Any) -> Iterator[Any]:
    for name in group:
        # HDF5 can point to other files, which a weights file has no reason to.
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise TypeError(f"{group.name}/{name} is a link")
        child = group[name]
        if isinstance(child, h5py.Dataset) and (child.external or child.is_virtual):
            raise TypeError(f"{child.name} is stored elsewhere")
        yield child


def _check_fit(variables: dict[str, Any], datasets: dict[str, Any], origin: str) -> None:
    problems = {
        "missing from the file": [
            variable.path for key, variable in variables.items() if key not in datasets
        ],
        "left over (the model has no place for them)": sorted(set(datasets) - set(variables)),
        "of another shape": [
            f"{variable.path} {datasets[key].shape}, the model needs {tuple(variable.shape)}"
            for key, variable in variables.items()
            if key in datasets and datasets[key].shape != tuple(variable.shape)
        ],
    }
    lines = [_listed(title, entries) for title, entries in problems.items() if entries]
    if not lines:
        return
    classifier = datasets.get("classifier/1")
    fix = "Build the model with the arguments of the one that the file was saved from."
    if classifier is not None and "classifier/1" in variables:
        received, expected = classifier.shape[0], variables["classifier/1"].shape[0]
        if received != expected:
            fix = (
                f"The file has {received} classes and the model {expected}: build the model "
                f"with classes={received}."
            )
    raise _MisfitError(_refusal(origin, [*lines, fix]))


def _read(dataset: Any) -> np.ndarray:
    if dataset.dtype not in FLOATS and dataset.attrs.get("dtype") != BFLOAT16:
        raise TypeError(f"{dataset.name} holds {dataset.dtype}")
    array = dataset[()]
    if dataset.attrs.get("dtype") == BFLOAT16:
        # HDF5 has no bfloat16; Keras writes its bits, the upper half of a float32, and a note.
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array


def _refusal(origin: str, lines: list[str]) -> str:
    return "\n".join(
        [f"The weights of {origin} do not fit the model, and no variable was changed.", *lines]
    )


def _listed(title: str, entries: list[str]) -> str:
    more = len(entries) - MAX_LISTED
    listed = ", ".join(entries[:MAX_LISTED]) + (f", and {more} more" if more > 0 else "")
    return f"  {title} ({len(entries)}): {listed}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
