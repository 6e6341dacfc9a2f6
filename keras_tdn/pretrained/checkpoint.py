"""Reading the authors' checkpoints without running anything that is in them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.pretrained.checkpoint_scan import RefusedNameError, ScanError, scan_checkpoint

STATE_DICT = "state_dict"

DOWNLOAD_HINT = (
    "Download it again and compare its size with the source's: file-sharing pages often give a "
    "web page or a part of the file instead."
)
# A checkpoint keeps its best accuracy as a NumPy scalar. The function that rebuilds one is known
# under two names, of NumPy 2 and of the NumPy that the published files were written with.
SCALAR_NAMES = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")
SCALAR_TYPES = (np.float16, np.float32, np.float64, np.int32, np.int64)

# Tensors may be parts of one storage, some of them of the same part.
MAX_SHARING = 4

# What PyTorch says of a file that asks for an object off its list.
REFUSAL_SIGNS = ("GLOBAL", "Can only build", "Trying to call")


def read_official_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors of a checkpoint that was written with `torch.save`.

    Both of PyTorch's serialisations are read, with the tensors under `state_dict`, as the authors
    write them, or bare. Only tensors, plain containers and numbers are rebuilt; a file that asks
    for anything else is refused, so that files from untrusted sources are safe to try.

    Args:
        path: The file, for example `best.pth.tar`.

    Returns:
        Name to array, names as they are in the file. Half precision becomes float32.

    Raises:
        ValueError: if there is no such file, or if it is not such a checkpoint.
        ImportError: if PyTorch is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no checkpoint file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise ValueError(f"The checkpoint {str(path)!r} is an empty file. {DOWNLOAD_HINT}")
    content = _load(path)
    state = content.get(STATE_DICT, content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state:
        raise ValueError(
            f"The checkpoint {str(path)!r} holds no tensors by name: expected a dict of tensors, "
            f"or a dict with such a one under {STATE_DICT!r}. Received: {_summary(content)}"
        )
    for name, tensor in state.items():
        _check(name, tensor, path)
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > MAX_SHARING * path.stat().st_size:
        raise ValueError(
            _damage(path, f"its tensors would take {total} bytes, far more than the file has")
        )
    return {name: _array(tensor) for name, tensor in state.items()}


def import_torch() -> Any:
    """Imports PyTorch, or raises an error that says how to install it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading the authors' checkpoints needs PyTorch. "
            'Install it with: pip install "keras-tdn[convert]"'
        ) from error
    return torch


def _load(path: Path) -> Any:
    torch = import_torch()
    try:
        scan_checkpoint(path)
    except RefusedNameError as error:
        raise ValueError(_refusal(path, f"It asks for {error}.")) from None
    except ScanError as error:
        raise ValueError(_damage(path, str(error))) from error
    scalar = np.float64(0).__reduce__()[0]
    harmless: list[Any] = [(scalar, name) for name in SCALAR_NAMES]
    harmless += [np.dtype, *(type(np.dtype(kind)) for kind in SCALAR_TYPES)]
    try:
        with torch.serialization.safe_globals(harmless):
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # PyTorch lets whatever the parsing of a damaged file ran into through: KeyError for a text,
    # OSError for half a zip archive, and so on.
    except Exception as error:
        if any(sign in str(error) for sign in REFUSAL_SIGNS):
            # Without the original, which advises to switch the protection off.
            raise ValueError(_refusal(path, _reason(error))) from None
        raise ValueError(_damage(path, f"{type(error).__name__}: {_reason(error)}")) from error


def _refusal(path: Path, reason: str) -> str:
    return (
        f"The checkpoint {str(path)!r} is refused: it holds more than tensors and numbers, and "
        f"rebuilding that would run code from the file. {reason} If you trust where it comes from, "
        "save it there again as torch.save({'state_dict': model.state_dict()}, path)."
    )


def _damage(path: Path, reason: str) -> str:
    with path.open("rb") as file:
        start = file.read(256).lstrip()
    if start.startswith(b"<"):
        return f"The checkpoint {str(path)!r} is a web page, not a file of PyTorch. {DOWNLOAD_HINT}"
    return (
        f"The checkpoint {str(path)!r} is damaged or was not written by torch.save: "
        f"{reason.rstrip('.')[:200]}. {DOWNLOAD_HINT}"
    )


def _reason(error: Exception) -> str:
    """Returns what PyTorch found, without its advice."""
    sentences = re.split(r"(?<=[.!]) ", " ".join(str(error).split()))
    telling = [text for text in sentences if any(sign in text for sign in REFUSAL_SIGNS)]
    reason = (telling or sentences)[0].partition("WeightsUnpickler error: ")
    reason = (reason[2] or reason[0]).partition("Check the documentation")[0]
    return f"{reason[:160].strip().rstrip('.') or 'no details'}."


def _check(name: object, tensor: Any, path: Path) -> None:
    """Raises unless a tensor is a plain one, with a name and no more numbers than it stores."""
    torch = import_torch()
    if not isinstance(name, str):
        raise ValueError(
            f"The checkpoint {str(path)!r} has an entry that is not called by a string: {name!r}."
        )
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(
            f"The checkpoint {str(path)!r} has more than tensors among its weights: {name!r} is of "
            f"type {type(tensor).__name__}. Expected a state dict, bare or under {STATE_DICT!r}."
        )
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        raise ValueError(
            f"The checkpoint {str(path)!r} holds {name!r} as a sparse, quantized or complex "
            f"tensor ({tensor.layout}, {tensor.dtype}). Expected plain floating-point tensors."
        )
    stored = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > stored:
        raise ValueError(
            f"The checkpoint {str(path)!r} stores {stored} bytes for {name!r}, whose shape "
            f"{tuple(tensor.shape)} needs {tensor.numel() * tensor.element_size()}. Save it again "
            "with its tensors made contiguous."
        )


def _array(tensor: Any) -> np.ndarray:
    torch = import_torch()
    tensor = tensor.detach()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float32)
    return tensor.numpy()


def _summary(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict with the entries {sorted(map(str, content))[:8]}"
    return f"an object of type {type(content).__name__}"
