"""The whole account of a model's cost: what a clip takes, and how long."""

from __future__ import annotations

import dataclasses
import json
import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras

from keras_tdn.files.atomic import write_beside
from keras_tdn.pages.plots import PALETTE, drawing
from keras_tdn.pages.texts import printable
from keras_tdn.profiling import costs as counting
from keras_tdn.profiling.costs import Cost
from keras_tdn.profiling.latency import REPEATS, Latency, Machine, measure_latency, this_machine
from keras_tdn.specs import DEFAULT_CROP_SIZE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONVENTION = (
    "MACs are multiply-accumulates of convolutions, dense layers and the temporal shift, as in the "
    "paper; norms, pooling, resizing, differences and activation functions are not counted. "
    "Activations are the numbers that leave those layers. One clip, in inference."
)


@dataclasses.dataclass(frozen=True)
class ModelProfile:
    """What one clip costs a model, and how long it takes; `profile_model` makes one.

    Args:
        model: Name of the model.
        clip_shape: Shape of the clip, `(frames, height, width, 3)`.
        total: All of it.
        by_stage: By stage of the network.
        by_module: By kind of module.
        uncounted: Layers whose MACs are not in it because their kind is not known; none of a TDN.
        latencies: Measured times by batch size; empty if none were asked for.
        machine: What they were taken on; `None` without them.
        convention: What is counted.
    """

    model: str
    clip_shape: tuple[int, ...]
    total: Cost
    by_stage: tuple[Cost, ...]
    by_module: tuple[Cost, ...]
    uncounted: tuple[str, ...] = ()
    latencies: tuple[Latency, ...] = ()
    machine: Machine | None = None
    convention: str = CONVENTION

    def summary(self) -> str:
        """All numbers as tables of text."""
        frames, height, width, _ = self.clip_shape
        lines = [f"{self.model}: one clip of {frames} frames of {width}x{height} pixels", ""]
        lines += _cost_table("stage", self.by_stage, self.total)
        lines += ["", *_cost_table("module", self.by_module, self.total)]
        lines += ["", *_wrapped(self.convention)]
        if self.total.statistics:
            lines += _wrapped(
                f"Parameters are learned numbers; {self.total.statistics:,} running statistics of "
                "norms come on top."
            )
        if self.uncounted:
            lines += _wrapped(f"Not counted, of a kind not known: {', '.join(self.uncounted)}.")
        if self.latencies and self.machine is not None:
            lines += ["", *_latency_table(self.latencies)]
            machine = self.machine
            devices = f", devices {', '.join(machine.devices)}" if machine.devices else ""
            lines += _wrapped(
                f"{machine.versions} on {machine.processor}, {machine.cores} cores{devices}. From "
                "pixels in memory to scores in memory, warm-up not counted."
            )
        return "".join(f"{line}\n" for line in lines)

    def to_json(self) -> str:
        """A JSON text: every field, and clips per second with the latencies."""
        fields = dataclasses.asdict(self)
        for entry, latency in zip(fields["latencies"], self.latencies, strict=True):
            entry["clips_per_second"] = latency.clips_per_second
        return json.dumps(fields, indent=1) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_json` to a file, which is replaced as a whole or not at all."""
        write_beside(path, self.to_json().encode())


def plot_profile(profile: ModelProfile) -> Figure:
    """Draws the multiply-accumulates of a profile by stage and by kind of module.

    Use it in a notebook: the figure is matplotlib's.

    Example:

    >>> plot_profile(profile_model(model, 224)).savefig("costs.pdf")
    """
    size, unit = _unit(profile.total.macs)
    tables = profile.by_stage, profile.by_module
    heights = [max(len(costs), 1) for costs in tables]
    with drawing((640, 30 * sum(map(len, tables)) + 110)) as figure:
        parts = figure.subplots(2, sharex=True, height_ratios=heights)
        for axes, costs in zip(parts, tables, strict=True):
            values = [cost.macs / size for cost in costs]
            names = [printable(cost.name) for cost in costs]
            bars = axes.barh(names, values, color=PALETTE["bar"])
            shares = [f"{cost.macs / max(profile.total.macs, 1):.1%}" for cost in costs]
            axes.bar_label(bars, shares, padding=4, color=PALETTE["muted"])
            axes.grid(visible=False)
            axes.invert_yaxis()
            axes.margins(x=0.12)
        parts[-1].set_xlabel(f"{unit}MACs")
    return figure


def profile_model(
    model: keras.Model,
    size: int | tuple[int, int] | None = None,
    *,
    batch_sizes: Sequence[int] = (),
    repeats: int = REPEATS,
) -> ModelProfile:
    """Counts what one clip costs a model, and measures how long batches take.

    Use it to choose a model, a number of segments or a frame size. Counts are equal on every
    backend. One 224-pixel view of 8 segments is 35.64 GMACs with ResNet50 and 65.84 with ResNet101,
    as published. Convolutions of the long-term TDMs count once for each direction, and the
    classifier once for each segment; what else counts, the profile's `convention` says.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071.

    Args:
        model: A model from clips to scores or features.
        size: Height and width of the frames in pixels, or one number for both. `None` takes the
            model's own, or those of its `clip_spec`.
        batch_sizes: Clips in the batches to be timed; none by default, which measures nothing.
        repeats: Batches to time for each size.

    Raises:
        ValueError: if the model does not take clips of that size, or a number is not positive.

    Example:

    >>> profile = profile_model(keras_tdn.TDNResNet50(classes=174), 224)
    >>> round(profile.total.macs / 1e9, 2)
    35.64
    """
    shape = _clip_shape(model, size)
    calls = counting.trace_calls(model, shape)
    total, stages = counting.add_up(calls), counting.stages_of(model)

    def stage_of(layer: keras.layers.Layer) -> str:
        return stages.get(id(layer), counting.OTHER)

    def module_of(layer: keras.layers.Layer) -> str:
        return counting.module_of(layer, stage_of(layer))

    latencies = measure_latency(model, shape, batch_sizes, repeats=repeats)
    return ModelProfile(
        model=model.name,
        clip_shape=shape,
        total=total[0] if total else Cost("total", 0, 0, 0, 0, 0),
        by_stage=counting.add_up(calls, stage_of, counting.STAGE_ORDER),
        by_module=counting.add_up(calls, module_of, counting.MODULE_ORDER),
        uncounted=counting.uncounted(calls),
        latencies=latencies,
        machine=this_machine() if latencies else None,
    )


def _clip_shape(model: keras.Model, size: int | tuple[int, int] | None) -> tuple[int, ...]:
    own = getattr(model, "input_shape", None)
    if not isinstance(own, tuple) or len(own) != 5 or own[1] is None or not model.built:
        raise ValueError(
            "A profile is of a built model that takes clips of shape (batch, frames, height, "
            f"width, 3), with a known number of frames. Received a model with the input shape {own}"
        )
    if size is None:
        spec = getattr(model, "clip_spec", None)
        given = (spec.height, spec.width) if spec else (DEFAULT_CROP_SIZE, DEFAULT_CROP_SIZE)
        size = (own[2] or given[0], own[3] or given[1])
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    if len(sizes) != 2 or not all(type(side) is int and side > 0 for side in sizes):
        raise ValueError(
            "The frames' `size` is (height, width) in pixels, or one positive integer for both. "
            f"Received: size={size!r}"
        )
    least = 32 if hasattr(model, "stage_depths") else 1
    if any(fixed not in (None, side) for fixed, side in zip(own[2:4], sizes, strict=True)):
        raise ValueError(
            f"The model takes frames of {own[3]}x{own[2]} pixels only (width x height). "
            f"Received: size={size!r}. Build it for other sizes, or for any with "
            "input_shape=(frames, None, None, 3)."
        )
    if min(sizes) < least:
        raise ValueError(
            f"The model takes frames of at least {least} pixels in height and width. "
            f"Received: size={size!r}"
        )
    return (own[1], *sizes, own[4])


def _cost_table(name: str, costs: Sequence[Cost], total: Cost) -> list[str]:
    macs, macs_unit = _unit(total.macs)
    parameters, parameters_unit = _unit(total.parameters)
    values, values_unit = _unit(total.activations)
    header = name, f"{macs_unit}MACs", "share", f"{parameters_unit} parameters"
    rows = [(*header, f"{values_unit} activations", "MiB of them")]
    for cost in (*costs, total):
        share = f"{100 * cost.macs / max(total.macs, 1):.1f} %"
        learned, left = f"{cost.parameters / parameters:.3f}", f"{cost.activations / values:.2f}"
        size = f"{cost.activation_bytes / 2**20:.1f}"
        rows.append((cost.name, f"{cost.macs / macs:.3f}", share, learned, left, size))
    return _table(rows)


def _unit(number: int) -> tuple[float, str]:
    if number >= 1e9:
        return 1e9, "G"
    return (1e6, "M") if number >= 1e6 else (1e3, "k")


def _latency_table(latencies: Sequence[Latency]) -> list[str]:
    table: list[tuple[str, ...]] = [("batch", "median ms", "p10 ms", "p90 ms", "clips/s", "runs")]
    for item in latencies:
        times = [f"{1e3 * seconds:.1f}" for seconds in (item.median, item.p10, item.p90)]
        table.append((str(item.batch_size), *times, f"{item.clips_per_second:.2f}", str(item.runs)))
    return _table(table)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([name.ljust(first), *map(str.rjust, cells, others)]) for name, *cells in rows]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100)
