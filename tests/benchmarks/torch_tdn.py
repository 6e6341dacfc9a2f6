"""TDN as its authors run it: PyTorch layers, NCHW, eager, a batch norm behind every convolution.

Convolutions of the ResNet have biases, as theirs have. The peer of the latency benchmarks. Its
parameters have the authors' names, so that it takes their state dict and can be checked against the
Keras model before it is timed.
"""

import itertools

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

FRAMES = 5


class LongTerm(nn.Module):
    def __init__(self, channels, segments):
        super().__init__()
        squeezed = channels // 16
        self.segments = segments
        self.conv1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(squeezed)
        self.conv2 = nn.Conv2d(squeezed, squeezed, 3, padding=1, groups=squeezed, bias=False)
        self.conv3_smallscale2 = nn.Conv2d(squeezed, squeezed, 3, padding=1, bias=False)
        self.bn3_smallscale2 = nn.BatchNorm2d(squeezed)
        self.conv3_smallscale4 = nn.Conv2d(squeezed, squeezed, 3, padding=1, bias=False)
        self.bn3_smallscale4 = nn.BatchNorm2d(squeezed)
        self.conv3 = nn.Conv2d(squeezed, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)

    def forward(self, x):
        squeezed = self.bn1(self.conv1(x))
        smoothed = self.conv2(squeezed).unflatten(0, (-1, self.segments))
        current = squeezed.unflatten(0, (-1, self.segments))
        forward = F.pad(smoothed[:, 1:] - current[:, :-1], (0, 0, 0, 0, 0, 0, 0, 1))
        backward = F.pad(smoothed[:, :-1] - current[:, 1:], (0, 0, 0, 0, 0, 0, 1, 0))
        gates = self.gate(forward.flatten(0, 1)), self.gate(backward.flatten(0, 1))
        return x + x * (0.5 * gates[0] + 0.5 * gates[1])

    def gate(self, d):
        half = self.bn3_smallscale2(self.conv3_smallscale2(F.avg_pool2d(d, 2)))
        full = self.bn3_smallscale4(self.conv3_smallscale4(d))
        half = F.interpolate(half, d.shape[2:])
        pyramid = 1.0 / 3.0 * d + 1.0 / 3.0 * half + 1.0 / 3.0 * full
        return torch.sigmoid(self.bn3(self.conv3(pyramid))) - 0.5


class Shift(nn.Module):
    def __init__(self, channels, segments):
        super().__init__()
        self.segments = segments
        self.conv = nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)

    def forward(self, x):
        _, channels, height, width = x.shape
        x = x.unflatten(0, (-1, self.segments)).permute(0, 3, 4, 2, 1).contiguous()
        x = self.conv(x.view(-1, channels, self.segments))
        x = x.view(-1, height, width, channels, self.segments).permute(0, 4, 3, 1, 2)
        return x.contiguous().view(-1, channels, height, width)


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride, project, segments):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        if segments:
            self.mse = LongTerm(width, segments)
            self.shift = Shift(width, segments)
        self.segments = segments
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if project:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        if self.segments:
            y = self.shift(self.mse(y))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


def stage(inputs, width, depth, stride, segments=0):
    return nn.Sequential(
        Bottleneck(inputs, width, stride, True, segments),
        *(Bottleneck(4 * width, width, 1, False, segments) for _ in range(depth - 1)),
    )


class Network(nn.Module):
    def __init__(self, depths, width, segments):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1_5 = nn.Sequential(
            nn.Conv2d(12, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.resnext_layer1 = stage(width, width, depths[0], 1)
        self.layer1_bak = stage(width, width, depths[0], 1)
        for number in (2, 3, 4):
            inner = width * 2 ** (number - 1)
            layers = stage(2 * inner, inner, depths[number - 1], 2, segments)
            setattr(self, f"layer{number}_bak", layers)
        self.appearance, self.motion = (0.5, 0.5) if segments == 8 else (0.75, 0.25)

    def forward(self, x):
        frames = x.split(3, dim=1)
        differences = torch.cat([b - a for a, b in itertools.pairwise(frames)], 1)
        motion = F.max_pool2d(self.conv1_5(F.avg_pool2d(differences, 2)), 3, 2, 1)
        motion1 = self.resnext_layer1(motion)
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(frames[FRAMES // 2])), inplace=True), 3, 2, 1)
        x = self.appearance * x + self.motion * F.interpolate(motion, x.shape[2:])
        x = self.layer1_bak(x)
        x = self.appearance * x + self.motion * F.interpolate(motion1, x.shape[2:])
        return self.layer4_bak(self.layer3_bak(self.layer2_bak(x))).mean((2, 3))


class TorchTDN(nn.Module):
    """Normalised frames `(batch * segments, 5 * 3, height, width)` to logits `(batch, classes)`."""

    def __init__(self, depths, width, segments, classes):
        super().__init__()
        self.segments = segments
        self.base_model = Network(depths, width, segments)
        self.new_fc = nn.Linear(32 * width, classes)

    def forward(self, x):
        return self.new_fc(self.base_model(x)).unflatten(0, (-1, self.segments)).mean(1)
