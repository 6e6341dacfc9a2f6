"""What a preset is called, and where that leads: a folder, the Hub, the package or the catalog."""

from __future__ import annotations

import os

from keras_tdn.labels import load_labels
from keras_tdn.pretrained.catalog import (
    CATALOG,
    CatalogEntry,
    entry_by_name,
    hub_organisation,
    not_hosted,
    shipped_preset,
)
from keras_tdn.pretrained.preset_config import PresetConfig
from keras_tdn.pretrained.preset_files import (
    CONFIG_FILE,
    HUB_PREFIX,
    PresetFiles,
    open_folder,
    open_repository,
    split_source,
)

# Of the published models.
FRAMES_PER_SEGMENT = 5
WIDTH = 64


def open_preset(source: str | os.PathLike[str]) -> PresetFiles:
    """The files of a preset by folder, `hf://` address or name, shipped or in the catalog.

    Raises:
        ValueError: if there is none.
        OSError: if it could not be downloaded.
    """
    name = os.fspath(source)
    if name.startswith(HUB_PREFIX):
        return open_repository(*split_source(name))
    shipped = shipped_preset(name)
    # Videos may well lie in a folder of the name; a preset there is meant.
    if shipped is not None and not os.path.isfile(os.path.join(name, CONFIG_FILE)):
        return open_folder(shipped)
    entry = entry_by_name(name)
    # A folder of that name in the current folder is meant, as with any other name.
    if entry is not None and not os.path.isdir(name):
        return open_entry(entry, name)
    several = [entry.name for entry in CATALOG if entry.dataset == name]
    if several and not os.path.isdir(name):
        raise ValueError(
            f"{name!r} is the data set of several presets: pass one of {', '.join(several)}, or "
            f"build the model with weights={name!r}, which chooses by architecture and segments."
        )
    return open_folder(name)


def open_entry(entry: CatalogEntry, asked: str) -> PresetFiles:
    """The files of a catalog entry, from the first of these that is set: `KERAS_TDN_HUB`, the
    entry's repository, the folder of local presets.

    Args:
        entry: Which.
        asked: What the user asked for, for the message that there is none.

    Raises:
        ValueError: if none is set.
        OSError: if it could not be downloaded.
    """
    files = _open_entry(entry, asked)
    files.entry = entry
    return files


def _open_entry(entry: CatalogEntry, asked: str) -> PresetFiles:
    organisation = hub_organisation()
    if organisation is not None:
        return open_repository(f"{organisation}/{entry.name}")
    if entry.hub is not None:
        return open_repository(entry.hub.repo, entry.hub.revision, entry.hub.sums_sha256)
    if entry.local_folder.is_dir():
        return open_folder(entry.local_folder)
    raise ValueError(not_hosted(asked, entry))


def check_entry(entry: CatalogEntry, config: PresetConfig, origin: str) -> None:
    """Raises unless a preset that a name led to is the model of that name.

    Whoever converted it may have taken another checkpoint, number of segments or label list.
    """
    arguments = config.arguments
    expected = {
        "stage_depths": list(entry.stage_depths),
        "width": WIDTH,
        "num_segments": entry.num_segments,
        "frames_per_segment": FRAMES_PER_SEGMENT,
        "classes": entry.classes,
        "short_term": True,
        "long_term": True,
        "temporal_shift": True,
        "include_top": True,
    }
    wrong = [
        f"{name} is {arguments[name]!r} and must be {value!r}"
        for name, value in expected.items()
        if arguments[name] != value
    ]
    if config.labels != load_labels(entry.dataset):
        wrong.append(f"its labels are not those of {entry.dataset} in their order")
    if wrong:
        raise ValueError(
            f"{origin} is not {entry.name!r}, which it is called: {'; '.join(wrong)}. Convert the "
            f"authors' checkpoint again: keras-tdn convert best.pth.tar ... "
            f"--segments {entry.num_segments} --labels {entry.dataset} --overwrite"
        )
