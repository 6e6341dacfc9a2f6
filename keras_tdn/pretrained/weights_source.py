"""What `weights=` and `--weights` mean: one function decides, for models, presets and commands."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_tdn.choices import MODEL_SUFFIX, WEIGHTS_SUFFIX
from keras_tdn.files.atomic import restore_replaced
from keras_tdn.labels import load_labels
from keras_tdn.pretrained import catalog, preset_files
from keras_tdn.pretrained.preset_config import PresetConfig

IMAGENET = "imagenet"
DATASETS = tuple(catalog.CLASSES)
# Of the published models.
FRAMES_PER_SEGMENT = 5
WIDTH = 64
SWITCHES = ("short_term", "long_term", "temporal_shift")

ACCEPTED = (
    f"None; {IMAGENET!r}; a data set, {', '.join(map(repr, DATASETS))}; a preset of this model as "
    "a folder, as 'hf://organisation/name[@revision]' or by its name in `keras-tdn presets list`; "
    f"a {WEIGHTS_SUFFIX} or {MODEL_SUFFIX} file of this model; a .safetensors or .h5 file of a "
    "ResNet trained on ImageNet"
)


class WeightsKind(enum.Enum):
    """What weights can be."""

    IMAGENET = "the ImageNet weights that are downloaded"
    DATASET = "a data set of several presets"
    PRESET = "a preset"
    WEIGHTS_FILE = "a file of weights"
    MODEL_FILE = "a file of a whole model"
    IMAGENET_FILE = "a file of a ResNet trained on ImageNet"


@dataclasses.dataclass(frozen=True)
class WeightsSource:
    """Weights that a user named, the catalog's entry if it is one, and where they are.

    `location` is a path, the folder or `hf://` address of a preset, or else the name.
    """

    kind: WeightsKind
    name: str
    location: str
    entry: catalog.CatalogEntry | None = None

    def open_preset(self) -> preset_files.PresetFiles:
        if self.kind is WeightsKind.DATASET:
            several = ", ".join(each.name for each in catalog.CATALOG if each.dataset == self.name)
            raise ValueError(
                f"{self.name!r} is the data set of several presets: pass one of {several}, or "
                f"build the model with weights={self.name!r}, which chooses by architecture and "
                "segments."
            )
        if self.kind is not WeightsKind.PRESET:
            raise ValueError(f"There is no preset at {self.name!r}, which is {self.kind.value}.")
        if self.entry is not None:
            return open_entry(self.entry, self.name)
        if self.location.startswith(preset_files.HUB_PREFIX):
            return preset_files.open_repository(*preset_files.split_source(self.location))
        return preset_files.open_folder(self.location)


def resolve_weights(weights: str | os.PathLike[str] | None) -> WeightsSource | None:
    """Decides what weights are meant, without reading any; `None` means random values."""
    # A file or preset folder of that name comes before a preset of that name, and any other folder
    # last: videos may lie in a folder that is called like a data set.
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"`weights` must be one of: {ACCEPTED}. Received: weights={weights!r}")
    name = os.fspath(weights)
    if (found := _find(name)) is None:
        raise ValueError(
            f"There are no weights {name!r}, and no such file or folder.{_suggestion(name)} "
            f"`weights` must be one of: {ACCEPTED}."
        )
    return found


def open_preset(source: str | os.PathLike[str]) -> preset_files.PresetFiles:
    """Returns the files of a preset by folder, `hf://` address or name."""
    name = os.fspath(source)
    if (found := _find(name)) is None:
        raise ValueError(
            f"There is no preset at {name!r}, and none of that name.{_suggestion(name)} "
            "`keras-tdn presets list` lists the names."
        )
    return found.open_preset()


def open_entry(entry: catalog.CatalogEntry, asked: str) -> preset_files.PresetFiles:
    """Returns the files of a catalog entry, or raises that `asked` is not hosted."""
    # `KERAS_TDN_HUB` comes before the entry's repository, and that before local presets.
    if (organisation := catalog.hub_organisation()) is not None:
        files = preset_files.open_repository(f"{organisation}/{entry.name}")
    elif (hub := entry.hub) is not None:
        files = preset_files.open_repository(hub.repo, hub.revision, hub.sums_sha256)
    elif entry.local_folder.is_dir():
        files = preset_files.open_folder(entry.local_folder)
    else:
        raise ValueError(catalog.not_hosted(asked, entry))
    files.entry = entry
    return files


def entry_differences(
    entry: catalog.CatalogEntry, arguments: Mapping[str, Any], labels: Sequence[str] | None
) -> list[str]:
    """Returns where a model differs from an entry's, by those of its arguments that are known."""
    expected: dict[str, Any] = {
        "stage_depths": entry.stage_depths,
        "width": WIDTH,
        "num_segments": entry.num_segments,
        "frames_per_segment": FRAMES_PER_SEGMENT,
        "classes": entry.classes,
        "include_top": True,
        **dict.fromkeys(SWITCHES, True),
    }
    given = {**arguments, "stage_depths": tuple(arguments["stage_depths"])}
    wrong = [
        f"{name} is {given[name]!r} and must be {value!r}"
        for name, value in expected.items()
        if given.get(name, value) != value
    ]
    if labels != load_labels(entry.dataset):
        wrong.append(f"its labels are not those of {entry.dataset} in their order")
    return wrong


def check_entry(entry: catalog.CatalogEntry, config: PresetConfig, origin: str) -> None:
    """Raises unless a preset that a name led to is the model of that name."""
    # Whoever converted it may have taken another checkpoint, number of segments or label list.
    if wrong := entry_differences(entry, config.arguments, config.labels):
        raise ValueError(
            f"{origin} is not {entry.name!r}, which it is called: {'; '.join(wrong)}. Convert the "
            f"authors' checkpoint again: keras-tdn convert best.pth.tar ... "
            f"--segments {entry.num_segments} --labels {entry.dataset} --overwrite"
        )


def preset_folder_of(path: str | os.PathLike[str]) -> Path | None:
    """Returns the preset folder that a file of weights belongs to, if it does."""
    folder, name = os.path.split(path)
    others = preset_files.CONFIG_FILE, preset_files.SUMS_FILE
    is_part = all(os.path.isfile(os.path.join(folder, other)) for other in others)
    return Path(folder) if name == preset_files.WEIGHTS_FILE and is_part else None


def _find(name: str) -> WeightsSource | None:
    def source(kind: WeightsKind, location: object = name) -> WeightsSource:
        return WeightsSource(kind, name, str(location))

    if name == IMAGENET:
        return source(WeightsKind.IMAGENET)
    config = os.path.join(name, preset_files.CONFIG_FILE)
    if name.startswith(preset_files.HUB_PREFIX) or (name and os.path.isfile(config)):
        return source(WeightsKind.PRESET)
    if os.path.isfile(name):
        if (folder := preset_folder_of(name)) is not None:
            return source(WeightsKind.PRESET, folder)
        return source(_kind_of_file(name))
    if name in DATASETS:
        return source(WeightsKind.DATASET)
    if name in catalog.SHIPPED:
        return source(WeightsKind.PRESET, catalog.SHIPPED_FOLDER / name)
    if (entry := catalog.entry_by_name(name)) is not None:
        return WeightsSource(WeightsKind.PRESET, name, name, entry)
    if name in catalog.local_presets():
        return source(WeightsKind.PRESET, catalog.presets_folder() / name)
    # A process may have been killed while it replaced the folder.
    restore_replaced(Path(name))
    return source(WeightsKind.PRESET) if os.path.isdir(name) else None


def _kind_of_file(name: str) -> WeightsKind:
    if name.endswith(WEIGHTS_SUFFIX):
        return WeightsKind.WEIGHTS_FILE
    if name.endswith(MODEL_SUFFIX):
        return WeightsKind.MODEL_FILE
    if name.endswith((".safetensors", ".h5", ".hdf5")):
        return WeightsKind.IMAGENET_FILE
    raise ValueError(
        f"`weights` must be one of: {ACCEPTED}. A checkpoint of the authors' is converted first: "
        f"keras-tdn convert {os.path.basename(name)} my_preset. Received: weights={name!r}"
    )


def _suggestion(name: str) -> str:
    """Names the weights, or the file or folder, whose name is the nearest."""
    folder, file = os.path.split(name)
    published = (entry.name for entry in catalog.CATALOG)
    names = [IMAGENET, *DATASETS, *catalog.SHIPPED, *published, *catalog.local_presets()]
    nearest = difflib.get_close_matches(name, names, n=1)
    if not nearest and os.path.isdir(folder or "."):
        files = difflib.get_close_matches(file, os.listdir(folder or "."), n=1)
        nearest = [os.path.join(folder, entry) for entry in files]
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
