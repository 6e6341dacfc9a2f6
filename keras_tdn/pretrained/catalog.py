"""The catalog of published models: accuracy, the authors' checkpoints, converted copies."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re

from keras_tdn.models.tdn_resnet import RESNET50_DEPTHS, RESNET101_DEPTHS
from keras_tdn.pretrained.preset_config import TDN_CITATION, Accuracy, PresetCard
from keras_tdn.specs import check_field

OFFICIAL_REPOSITORY = "https://github.com/MCG-NJU/TDN"
HUB_VARIABLE = "KERAS_TDN_HUB"

CONSTRUCTORS: dict[tuple[int, ...], str] = {
    RESNET50_DEPTHS: "TDNResNet50",
    RESNET101_DEPTHS: "TDNResNet101",
}
CLASSES = {"something_something_v1": 174, "something_something_v2": 174, "kinetics400": 400}
# Presets that come with the package, by the names of their folders.
SHIPPED_FOLDER = pathlib.Path(__file__).parent / "shipped"
SHIPPED = ("motion",)
_SSV1, _SSV2, _K400 = CLASSES
_R50, _R101 = CONSTRUCTORS
# Addresses and accuracies as the README of the authors' repository gives them. The numbers of an
# evaluation are its crops and clips, top-1 and top-5.
_CHECKPOINTS = (
    (_SSV1, _R50, 8, "drive/folders/12RpThsHQ-3F04fSu8hduM5b7FGnkEfnE", (1, 1, 52.3, 80.6)),
    (_SSV1, _R50, 16, "drive/folders/1__HhId-WGIkrL7funwt9x8-PvA0jHs_2", (1, 1, 53.9, 82.1)),
    (_SSV2, _R50, 8, "drive/folders/14pZ1W_Mh8nR4e1ziEz7AFpgbz-79HpIC", (1, 1, 64.0, 88.8)),
    (_SSV2, _R50, 16, "drive/folders/1AQOyCiRR9I50YIKHYc5E9q29J1ROe22A", (1, 1, 65.3, 89.7)),
    (_SSV2, _R101, 8, "drive/folders/1N4EojVdHFfNbEU_4WIkT_26d_mSHimmo",
     (1, 1, 65.8, 90.2), (3, 1, 67.1, 90.5)),
    (_SSV2, _R101, 16, "file/d/1RBzJvE2tGZgnN8Yl4EGj2uFwMECTbIdn/view",
     (1, 1, 66.9, 90.9), (3, 1, 68.2, 91.6)),
    (_K400, _R50, 8, "drive/folders/1UALrg2ABFq-HGPdy8vgZ9mxqkSkuqWET", (3, 10, 76.6, 92.8)),
    (_K400, _R50, 16, "drive/folders/1p7NC4JjxaLzwfj1JUa4kkHd_KZBxBBYR", (3, 10, 77.5, 93.2)),
    (_K400, _R101, 8, "drive/folders/19KPmxPrdp0VS8fsliOr_8kLj1yfhoqRb", (3, 10, 77.5, 93.6)),
    (_K400, _R101, 16, "drive/folders/1a82RenTMhmtPI66Y21Xyrr00iVKL8GOC", (3, 10, 78.5, 93.9)),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class HubPreset:
    """A preset on the Hub, pinned by a commit and the SHA-256 of its `SHA256SUMS`."""

    repo: str
    revision: str
    sums_sha256: str
    size: int

    def __post_init__(self) -> None:
        for field, length in (("revision", 40), ("sums_sha256", 64)):
            is_digest = re.fullmatch(rf"[0-9a-f]{{{length}}}", getattr(self, field)) is not None
            wanted = f"what cannot change, {length} lower-case hexadecimal digits"
            check_field(self, field, is_digest, wanted)


@dataclasses.dataclass(frozen=True)
class CatalogEntry:
    """A published model, with the accuracy that the authors report, that of their table first.

    `measured` is of the converted preset; `hub` is that preset, once it is hosted.
    """

    dataset: str
    stage_depths: tuple[int, ...]
    num_segments: int
    published: tuple[Accuracy, ...]
    checkpoint: str
    measured: tuple[Accuracy, ...] = ()
    hub: HubPreset | None = None

    def __post_init__(self) -> None:
        if self.dataset not in CLASSES or self.stage_depths not in CONSTRUCTORS:
            raise ValueError(
                f"A catalog entry is for one of {sorted(CLASSES)} and one of the depths "
                f"{list(CONSTRUCTORS)}. Received: {self.dataset!r}, {self.stage_depths}"
            )

    @property
    def constructor(self) -> str:
        return CONSTRUCTORS[self.stage_depths]

    @property
    def name(self) -> str:
        """The name of its preset, for example `"tdn_resnet50_8_kinetics400"`."""
        depth = self.constructor.removeprefix("TDN").lower()
        return f"tdn_{depth}_{self.num_segments}_{self.dataset}"

    @property
    def classes(self) -> int:
        return CLASSES[self.dataset]

    @property
    def card(self) -> PresetCard:
        return PresetCard(
            dataset=self.dataset,
            licence="Apache-2.0",
            source=f"{OFFICIAL_REPOSITORY}, checkpoint {self.checkpoint}",
            published=self.published,
            measured=self.measured,
            citation=TDN_CITATION,
        )

    @property
    def local_folder(self) -> pathlib.Path:
        """Where a converted copy is looked for on this machine."""
        return presets_folder() / self.name


def presets_folder() -> pathlib.Path:
    """Returns the folder of local presets: `KERAS_TDN_PRESETS`, or one in Keras' folder."""
    if given := os.environ.get("KERAS_TDN_PRESETS"):
        return pathlib.Path(given)
    keras_home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    return pathlib.Path(keras_home) / "keras_tdn" / "presets"


def local_presets() -> tuple[str, ...]:
    """Returns the names of the presets in the folder of local presets, sorted."""
    folders = presets_folder().glob("*/config.json")
    return tuple(sorted(file.parent.name for file in folders))


def hub_organisation() -> str | None:
    """Returns `KERAS_TDN_HUB`: an organisation on the Hub that replaces the catalog's addresses."""
    given = os.environ.get(HUB_VARIABLE)
    if given and not re.fullmatch(r"[A-Za-z0-9._-]+", given):
        raise ValueError(
            f"{HUB_VARIABLE} names an organisation or user of the Hugging Face Hub that has the "
            f"presets as repositories, such as 'my-lab' for 'my-lab/{CATALOG[0].name}'. "
            f"Received: {given!r}"
        )
    return given or None


def entry_by_name(name: str) -> CatalogEntry | None:
    """Returns the entry of that name, or `None`."""
    return next((entry for entry in CATALOG if entry.name == name), None)


def not_hosted(name: str, entry: CatalogEntry) -> str:
    """Returns the message that `name`, which means `entry`, cannot be downloaded yet."""
    return (
        f"The weights {name!r} are not hosted yet: no repository of ours on the Hugging Face Hub "
        "holds a converted copy, and there is none in the folder of local presets, "
        f"{str(presets_folder())!r}. The authors ({OFFICIAL_REPOSITORY}) host their checkpoints "
        f"at\n  {entry.name}: {entry.checkpoint}\n"
        f"Download best.pth.tar there by hand, then run\n"
        f'  pip install "keras-tdn[convert]"\n'
        f"  {convert_command(entry)}\n"
        "and the same call works. A repository that holds a copy is loaded with "
        f"weights='hf://organisation/name', or by name after setting {HUB_VARIABLE}. "
        f"Received: weights={name!r}"
    )


def convert_command(entry: CatalogEntry) -> str:
    """Returns the command that makes a local preset of an entry."""
    return (
        f"keras-tdn convert best.pth.tar {str(entry.local_folder)!r} "
        f"--segments {entry.num_segments} --labels {entry.dataset}"
    )


CATALOG = tuple(
    CatalogEntry(
        dataset,
        stage_depths,
        num_segments,
        tuple(Accuracy(num_segments, *evaluation) for evaluation in evaluations),
        f"https://drive.google.com/{checkpoint}",
    )
    for dataset, stage_depths, num_segments, checkpoint, *evaluations in _CHECKPOINTS
)
