"""Checkpoints as the authors' code writes them, with synthetic weights."""

import goldens
import numpy as np
from backends import import_or_skip


def save(path, tensors, prefix="module.", zipped=False, bare=False, best_prec1=64.5):
    """Saves `tensors`, name to array, with everything that the authors' training script adds."""
    torch = import_or_skip("torch")
    state = {f"{prefix}{name}": torch.from_numpy(array) for name, array in tensors.items()}
    momentum = {0: {"momentum_buffer": torch.ones(3)}}
    content = {
        "epoch": 60,
        "arch": "resnet50",
        "state_dict": state,
        "optimizer": {"state": momentum, "param_groups": [{"lr": 0.01, "params": [0]}]},
        "best_prec1": best_prec1,
        "lr": 0.01,
    }
    torch.save(state if bare else content, path, _use_new_zipfile_serialization=zipped)
    return path


def small(path, width=goldens.WIDTH, **changes):
    """A network with one block in each stage and 10 classes; `None` takes a tensor out."""
    tensors = goldens.state("depth1111", classes=10, width=width) | changes
    return save(path, {name: array for name, array in tensors.items() if array is not None})


def perturbed(tensors, name, factor=1.01):
    return tensors | {name: np.float32(factor) * tensors[name]}
