"""TDN's inference in plain PyTorch, on the authors' tensor names.

A second implementation to measure the Keras models against: it shares no code with them, works in
float32 or float64, and records every place where the two are compared. It is for checking, not for
use: nothing here is fast or trainable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

FRAMES_PER_SEGMENT = 5
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
NORM_EPSILON = 1e-5
PREFIX = "module."
NUM_STAGES = 4


def forward(
    state_dict: Mapping[str, Any], clips: np.ndarray, num_segments: int, dtype: str = "float32"
) -> dict[str, np.ndarray]:
    """Runs a TDN with the authors' weights and returns what it computes on the way.

    Args:
        state_dict: The authors' names, with or without `module.` in front, to arrays.
        clips: Pixels in [0, 255], `(batch, num_segments * 5, height, width, 3)`. Height and width
            of at least 64 pixels: the authors' network fails on smaller ones.
        num_segments: Segments per clip. 8 weighs the two paths alike, any other number favours
            appearance.
        dtype: `"float32"` or `"float64"`, for weights and arithmetic.

    Returns:
        Name of the tap to array, in the order of computation: stems, fusions, every block with its
        temporal modules (`stage3_block5_ltdm`, `stage3_block5_shift`, `stage3_block5`), stages,
        `segment_logits` `(batch * num_segments, classes)` and `logits` `(batch, classes)`. Maps are
        channels-last with segments on the batch axis.
    """
    precision = {"float32": torch.float32, "float64": torch.float64}[dtype]
    tensors = {
        name.removeprefix(PREFIX): torch.from_numpy(np.array(array)).to(precision)
        for name, array in state_dict.items()
    }
    with torch.no_grad():
        taps = _Network(tensors, num_segments).run(_normalized(clips, precision))
    return {
        name: (tap.permute(0, 2, 3, 1) if tap.ndim == 4 else tap).contiguous().numpy()
        for name, tap in taps.items()
    }


def _normalized(clips: np.ndarray, precision: torch.dtype) -> torch.Tensor:
    """`(pixel / 255 - mean) / std` as `(segments, frames, 3, height, width)`."""
    pixels = torch.from_numpy(np.array(clips)).to(precision) / 255
    mean, std = torch.tensor(MEAN, dtype=precision), torch.tensor(STD, dtype=precision)
    frames = ((pixels - mean) / std).permute(0, 1, 4, 2, 3)
    return frames.reshape(-1, FRAMES_PER_SEGMENT, *frames.shape[2:])


class _Network:
    """The forward pass; `name` is a tensor's name without its last part."""

    def __init__(self, tensors: dict[str, torch.Tensor], num_segments: int) -> None:
        self.tensors = tensors
        self.num_segments = num_segments
        self.appearance, self.motion = (0.5, 0.5) if num_segments == 8 else (0.75, 0.25)
        self.taps: dict[str, torch.Tensor] = {}

    def run(self, segments: torch.Tensor) -> dict[str, torch.Tensor]:
        center = segments[:, FRAMES_PER_SEGMENT // 2]
        differences = (segments[:, 1:] - segments[:, :-1]).flatten(1, 2)

        # Short-term TDM: the motion path.
        motion = F.avg_pool2d(differences, 2)
        motion = self.conv(motion, "base_model.conv1_5.0", stride=2, padding=3)
        motion = self.tap("difference_stem", F.relu(self.norm(motion, "base_model.conv1_5.1")))
        motion = self.tap("difference_pool", F.max_pool2d(motion, 3, stride=2, padding=1))
        motion1 = self.stage(motion, "base_model.resnext_layer1", "motion_stage1")
        self.tap("difference_stage1", motion1)

        # Appearance path, joined by the motion path twice.
        x = self.conv(center, "base_model.conv1", stride=2, padding=3)
        x = F.relu(self.norm(x, "base_model.bn1"))
        x = self.tap("appearance_pool", F.max_pool2d(x, 3, stride=2, padding=1))
        x = self.tap("stem_fusion", self.fuse(x, motion))
        x = self.tap("stage1", self.stage(x, "base_model.layer1_bak", "stage1"))
        x = self.tap("stage1_fusion", self.fuse(x, motion1))
        for stage in range(2, NUM_STAGES + 1):
            name, label = f"base_model.layer{stage}_bak", f"stage{stage}"
            x = self.tap(label, self.stage(x, name, label, stride=2))

        features = x.mean(dim=(2, 3))
        head = "new_fc" if "new_fc.weight" in self.tensors else "base_model.fc"
        scores = F.linear(features, self.tensors[f"{head}.weight"], self.tensors[f"{head}.bias"])
        self.tap("segment_logits", scores)
        self.tap("logits", scores.unflatten(0, (-1, self.num_segments)).mean(dim=1))
        return self.taps

    def tap(self, name: str, x: torch.Tensor) -> torch.Tensor:
        self.taps[name] = x
        return x

    def conv(
        self, x: torch.Tensor, name: str, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> torch.Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, scale, shift = (
            self.tensors[f"{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=NORM_EPSILON)

    def fuse(self, x: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        return self.appearance * x + self.motion * F.interpolate(motion, size=x.shape[2:])

    def stage(self, x: torch.Tensor, name: str, label: str, stride: int = 1) -> torch.Tensor:
        blocks = {key.split(".")[2] for key in self.tensors if key.startswith(f"{name}.")}
        for block in range(len(blocks)):
            tap = f"{label}_block{block}"
            x = self.bottleneck(x, f"{name}.{block}", 1 if block else stride, tap)
            self.tap(tap, x)
        return x

    def bottleneck(self, x: torch.Tensor, name: str, stride: int, tap: str) -> torch.Tensor:
        y = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1"))
        if f"{name}.mse.conv1.weight" in self.tensors:
            y = self.tap(f"{tap}_ltdm", self.long_term(y, f"{name}.mse"))
            y = self.tap(f"{tap}_shift", self.shift(y, f"{name}.shift.conv"))
        y = self.conv(y, f"{name}.conv2", stride=stride, padding=1)
        y = F.relu(self.norm(y, f"{name}.bn2"))
        y = self.norm(self.conv(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in self.tensors:
            x = self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return F.relu(x + y)

    def long_term(self, x: torch.Tensor, name: str) -> torch.Tensor:
        squeezed = self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1")
        smoothed = self.conv(squeezed, f"{name}.conv2", padding=1, groups=squeezed.shape[1])
        f, g = (part.unflatten(0, (-1, self.num_segments)) for part in (squeezed, smoothed))
        forward, backward = torch.zeros_like(f), torch.zeros_like(f)
        forward[:, :-1] = g[:, 1:] - f[:, :-1]
        backward[:, 1:] = g[:, :-1] - f[:, 1:]
        gates = [self.gate(d.flatten(0, 1), name) for d in (forward, backward)]
        return x + x * (gates[0] + gates[1]) / 2

    def gate(self, d: torch.Tensor, name: str) -> torch.Tensor:
        half = self.conv(F.avg_pool2d(d, 2), f"{name}.conv3_smallscale2", padding=1)
        half = F.interpolate(self.norm(half, f"{name}.bn3_smallscale2"), size=d.shape[2:])
        full = self.conv(d, f"{name}.conv3_smallscale4", padding=1)
        full = self.norm(full, f"{name}.bn3_smallscale4")
        pyramid = (d + half + full) / 3
        return torch.sigmoid(self.norm(self.conv(pyramid, f"{name}.conv3"), f"{name}.bn3")) - 0.5

    def shift(self, x: torch.Tensor, name: str) -> torch.Tensor:
        x = x.unflatten(0, (-1, self.num_segments))
        before, here, after = self.tensors[f"{name}.weight"][:, 0, :, None, None].unbind(1)
        # As conv1d in groups of one channel, which takes many times as long.
        shifted = here * x
        shifted[:, 1:] += before * x[:, :-1]
        shifted[:, :-1] += after * x[:, 1:]
        return shifted.flatten(0, 1)
