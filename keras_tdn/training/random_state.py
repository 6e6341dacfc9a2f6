"""Random numbers that are no variable of the model."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

GROUP = "random"


def random_arrays() -> dict[str, np.ndarray]:
    """The state of generators that training draws from, besides those of its layers.

    On PyTorch, Keras' dropout draws from PyTorch's own generators unless it was given a seed; on
    the other backends there are none.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"{GROUP}/{index:05d}": state.numpy().copy() for index, state in enumerate(states)}


def assign_random_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Gives generators the state that `random_arrays` took; those of other devices stay."""
    states = [arrays[name] for name in sorted(arrays) if name.startswith(f"{GROUP}/")]
    if not states or keras.backend.backend() != "torch":
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states[0]))
    for device, state in enumerate(states[1 : 1 + torch.cuda.device_count()]):
        torch.cuda.set_rng_state(torch.from_numpy(state), device)
