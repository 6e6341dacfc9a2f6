"""The files of a preset: which there are, their hashes, and how they are found and checked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keras_tdn.files.atomic import restore_replaced
from keras_tdn.pretrained.hub import HubFile, check_file_name, fetch_file

if TYPE_CHECKING:
    from keras_tdn.pretrained.catalog import CatalogEntry

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
LOGITS_FILE = "recorded_logits.json"
README_FILE = "README.md"
SUMS_FILE = "SHA256SUMS"
FILES = (CONFIG_FILE, WEIGHTS_FILE, LOGITS_FILE, README_FILE)
# The model card is for people; a hub's editor may have changed it since.
NEEDED_FILES = (CONFIG_FILE, WEIGHTS_FILE, LOGITS_FILE)

# A line of `sha256sum`; "*" marks a binary file where the two kinds differ.
SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
# Of what is read whole: texts. A preset's are a few hundred kilobytes at most.
MAX_TEXT_BYTES = 16 << 20

HUB_PREFIX = "hf://"
HUB_SOURCE = re.compile(r"hf://([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)(?:@([A-Za-z0-9._/-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")


class PresetFiles:
    """A preset's files, each of which is checked against `SHA256SUMS` before it is handed out.

    Args:
        origin: What to call the preset in errors.
        find: Path of a file by name and SHA-256 (`None` for `SHA256SUMS` itself).
        mend: What to do about a file that was changed.

    Attributes:
        entry: The catalog's entry that led here, which the preset then has to be.
    """

    def __init__(
        self, origin: str, find: Callable[[str, str | None], Path], mend: str = ""
    ) -> None:
        self.origin = origin
        self.entry: CatalogEntry | None = None
        self._find = find
        self._mend = mend
        self.sums = _parse_sums(_read_text(find(SUMS_FILE, None), self), self)

    @property
    def title(self) -> str:
        """`origin` at the start of a sentence."""
        return self.origin[0].upper() + self.origin[1:]

    def path(self, name: str) -> Path:
        """Path of a file whose SHA-256 was found right just now.

        Raises:
            ValueError: if it is another one.
        """
        path = self._find(name, self.sums[name])
        with path.open("rb") as file:
            self._check(name, hashlib.file_digest(file, "sha256").hexdigest())
        return path

    def text(self, name: str) -> bytes:
        """Contents of a small file, the very bytes that were checked."""
        content = _read_text(self._find(name, self.sums[name]), self)
        self._check(name, hashlib.sha256(content).hexdigest())
        return content

    def _check(self, name: str, actual: str) -> None:
        if actual != self.sums[name]:
            raise ValueError(
                f"{self.title} was changed or damaged: {name} has the SHA-256 {actual}, and "
                f"{SUMS_FILE} says {self.sums[name]}. {self._mend}"
            )


def open_folder(folder: str | os.PathLike[str]) -> PresetFiles:
    """The files of a preset folder.

    Raises:
        ValueError: if it is none, or if one of its files is a link out of it.
    """
    folder = Path(folder)
    restore_replaced(folder)
    missing = [name for name in (*NEEDED_FILES, SUMS_FILE) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"There is no preset at {str(folder)!r}: expected a folder with "
            f"{', '.join(NEEDED_FILES)} and {SUMS_FILE}. Missing: {', '.join(missing)}"
        )

    def find(name: str, sha256: str | None) -> Path:
        path = folder / name
        if not path.is_file():
            raise ValueError(
                f"The preset {str(folder)!r} has no file {name}, and its {SUMS_FILE} lists it. "
                "Copy or download the preset again."
            )
        _check_inside(path, folder)
        return path

    return PresetFiles(
        f"the preset {str(folder)!r}", find, "Download or copy it again, or save it anew."
    )


def open_repository(
    repo: str, revision: str | None = None, sums_sha256: str | None = None
) -> PresetFiles:
    """The files of a preset on the Hugging Face Hub, downloaded when they are asked for.

    All of them are of one commit, whatever happens to the branch meanwhile. With a known SHA-256 of
    `SHA256SUMS` and a commit, cached files are used without a request.

    Args:
        repo: The repository, `"organisation/name"`.
        revision: Commit, tag or branch; `None` is the newest commit of `main`.
        sums_sha256: The SHA-256 of `SHA256SUMS`, which pins every other file.

    Raises:
        ValueError: if there is no such preset or if a digest is another one.
        OSError: if it could not be downloaded.
    """
    commit = revision

    def find(name: str, sha256: str | None) -> Path:
        nonlocal commit
        digest = sums_sha256 if sha256 is None else sha256
        path = fetch_file(HubFile(repo, name, revision=commit, sha256=digest))
        if sha256 is None and COMMIT.fullmatch(path.parent.name):
            commit = path.parent.name
        return path

    shown = f"{repo}@{revision}" if revision else repo
    return PresetFiles(f"the preset 'hf://{shown}'", find, "Load it again.")


def split_source(source: str) -> tuple[str, str | None]:
    """Repository and revision of `"hf://org/name[@revision]"`.

    Raises:
        ValueError: if it has another form.
    """
    match = HUB_SOURCE.fullmatch(source)
    if match is None or ".." in source:
        raise ValueError(
            f"A repository of the Hugging Face Hub is written 'hf://organisation/name', or "
            f"'hf://organisation/name@revision' with a commit, tag or branch. Received: {source!r}"
        )
    return match[1], match[2]


def format_sums(sums: Mapping[str, str]) -> str:
    """What `sha256sum` prints."""
    return "".join(f"{sums[name]}  {name}\n" for name in FILES)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_text(path: Path, preset: PresetFiles) -> bytes:
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(
            f"{preset.title} has a {path.name} of {path.stat().st_size} bytes, where a few "
            f"kilobytes are expected and {MAX_TEXT_BYTES} allowed: it is damaged or none of ours."
        )
    return path.read_bytes()


def _parse_sums(content: bytes, preset: PresetFiles) -> dict[str, str]:
    lines = content.decode(errors="replace").splitlines()
    matches = [SUM_LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in matches if match}
    for name in sums:
        check_file_name(name)
    unlisted = [name for name in FILES if name not in sums]
    foreign = [name for name in sums if name not in FILES]
    if None in matches or unlisted or foreign or len(sums) != len(lines):
        raise ValueError(
            f"{preset.title} has a {SUMS_FILE} that does not fit: expected one line 'HASH  NAME' "
            f"for each of {', '.join(FILES)} and no other. Received {len(lines)} lines; not "
            f"listed: {unlisted}; listed but no part of a preset: {foreign}"
        )
    return sums


def _check_inside(path: Path, folder: Path) -> None:
    home, real = folder.resolve(), path.resolve()
    # In the Hub's cache a revision's files are links to contents beside the revisions.
    shared = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    if real.parent not in (home, shared):
        raise ValueError(
            f"{path.name} of the preset {str(folder)!r} is a link to {str(real)!r}, outside of it, "
            "and is refused. Copy the file itself into the folder."
        )
