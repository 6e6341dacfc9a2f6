"""The files of a preset, in a folder or on the Hub; each is checked before it is opened."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tdn.files.atomic import restore_replaced, sha256_of
from keras_tdn.specs import check_field

if TYPE_CHECKING:
    from keras_tdn.pretrained.catalog import CatalogEntry

SHA256 = re.compile(r"[0-9a-f]{64}")
# Of Git, which names commits and contents by it.
SHA1 = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(f"{SHA256.pattern}|{SHA1.pattern}")
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
LOGITS_FILE = "recorded_logits.json"
README_FILE = "README.md"
SUMS_FILE = "SHA256SUMS"
FILES = (CONFIG_FILE, WEIGHTS_FILE, LOGITS_FILE, README_FILE)
# The model card is for people; a hub's editor may have changed it since.
NEEDED_FILES = (CONFIG_FILE, WEIGHTS_FILE, LOGITS_FILE)
# A line of `sha256sum`; "*" marks a binary file where the two kinds differ.
SUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
# Of what is read whole: texts. A preset's are a few hundred kilobytes at most.
MAX_TEXT_BYTES = 16 << 20
HUB_PREFIX = "hf://"


@dataclasses.dataclass(frozen=True)
class HubFile:
    """A file in a repository of the Hugging Face Hub; by default of the newest commit of `main`.

    Without a SHA-256, the digest that the hub declares takes its place. The size is for messages.
    """

    repo: str
    filename: str
    revision: str | None = None
    sha256: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        is_digest = self.sha256 is None or SHA256.fullmatch(self.sha256) is not None
        check_field(self, "sha256", is_digest, "64 lower-case hexadecimal digits")
        check_file_name(self.filename)

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        size = f" ({self.size / 1e6:.0f} MB)" if self.size else ""
        return f"'{self.repo}{revision}/{self.filename}'{size}"


def check_file_name(name: str) -> None:
    """Raises unless `name` is a path that stays inside the folder that it is taken in."""
    parts = name.split("/")
    if "\\" in name or ":" in name or not name.isprintable() or {"", ".", ".."} & {*parts}:
        raise ValueError(
            "A file's name in a repository or preset is a relative path inside it, with '/' "
            f"between its parts. Received: {name!r}, which is refused. Do not use this copy: it "
            "may be made to reach other files."
        )


def fetch_file(file: HubFile) -> Path:
    """Returns the path of a file of the hub in the local cache; downloads it if needed.

    A cached file with a known SHA-256 is used without a request. Any other is asked for, so that a
    newer revision is seen; without a network the cached one is used. A file with another digest is
    removed from the cache. Cache, endpoint, token and offline mode are huggingface_hub's.
    """
    import huggingface_hub

    where: Any = {"repo_id": file.repo, "filename": file.filename, "revision": file.revision}
    cached = huggingface_hub.try_to_load_from_cache(**where) if file.sha256 else None
    if isinstance(cached, str):
        if sha256_of(cached) == file.sha256:
            return Path(cached)
        _remove(Path(cached))
    path = Path(_ask(file, lambda: huggingface_hub.hf_hub_download(**where)))
    expected = file.sha256 or _declared_digest(file, path)
    if SHA256.fullmatch(expected):
        actual = sha256_of(path)
    else:
        # What the hub declares there is Git's name for the contents, no protection of ours.
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, lambda: digest).hexdigest()
    if actual != expected:
        _remove(path)
        raise ValueError(
            f"{file} is not the file expected, and was removed from the cache: its digest is "
            f"{actual}, expected {expected}. If a second download ends alike, the copy at that "
            "endpoint is damaged or was tampered with: get the file elsewhere and pass its path."
        )
    return path


def _declared_digest(file: HubFile, path: Path) -> str:
    """Returns the SHA-256 of a large file, or Git's SHA-1 of a small one."""
    # The cache names a file's contents by the declared digest, except where links cannot be made.
    name = path.resolve().name
    if DIGEST.fullmatch(name):
        return name
    import huggingface_hub

    url = huggingface_hub.hf_hub_url(file.repo, file.filename, revision=file.revision)
    declared = _ask(file, lambda: huggingface_hub.get_hf_file_metadata(url).etag)
    if not declared or not DIGEST.fullmatch(declared):
        _remove(path)
        raise ValueError(
            f"The hub declares no digest for {file}, so that it cannot be checked "
            f"(received {declared!r}): download the file by hand and pass its path."
        )
    return declared


def _remove(path: Path) -> None:
    # The contents, and the link of the revision.
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _ask(file: HubFile, question: Callable[[], Any]) -> Any:
    from huggingface_hub import errors

    fix = "download the file by hand and pass its path, or set HF_ENDPOINT to a mirror that works."
    try:
        return _repeated(question)
    except errors.LocalEntryNotFoundError as error:
        status = _status(error.__cause__)
        offline = "there is no network or HF_HUB_OFFLINE is set"
        because = f"it answers with status {status}" if status else offline
        raise ConnectionError(
            f"{file} is not in the cache, and the Hugging Face Hub could not be asked for it, "
            f"because {because}: try later, or {fix}"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ValueError(
            f"The Hugging Face Hub has no repository or revision for {file}, or shows it only to "
            f"others: check the name, log in with `hf auth login` (or set HF_TOKEN), or {fix}"
        ) from error
    except errors.EntryNotFoundError as error:
        raise ValueError(
            f"The Hugging Face Hub has the repository but not the file {file}: check the name and "
            f"the revision, or {fix}"
        ) from error
    # The client's transport raises errors of its own, which are no OSError in every release.
    except (OSError, *errors.HfHubHTTPError.__bases__) as error:
        if (status := _status(error)) in (401, 403):
            raise OSError(
                f"The Hugging Face Hub refuses {file} to the token that was sent (status {status}):"
                f" log in again with `hf auth login`, correct or unset HF_TOKEN, or {fix}"
            ) from error
        raise OSError(f"{file} could not be downloaded ({error}): try later, or {fix}") from error


def _repeated(question: Callable[[], Any]) -> Any:
    # The client passes on an error of the server's in the middle of a download.
    for wait in (1.0, 2.0, 4.0):
        try:
            return question()
        except OSError as error:
            if (_status(error) or 0) < 500:
                raise
        time.sleep(wait)
    return question()


def _status(error: BaseException | None) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


class PresetFiles:
    """A preset's files, each checked against `SHA256SUMS` before it is handed out.

    `find` gives a file's path by name and SHA-256, which is `None` for `SHA256SUMS` itself. `entry`
    is the catalog's entry that led here.
    """

    def __init__(self, origin: str, find: Callable[[str, str | None], Path], fix: str) -> None:
        self.origin, self._find, self._fix = origin, find, fix
        self.entry: CatalogEntry | None = None
        lines = _read_text(find(SUMS_FILE, None), self).decode(errors="replace").splitlines()
        matches = [SUM_LINE.fullmatch(line) for line in lines]
        self.sums = {match[2]: match[1].lower() for match in matches if match}
        for name in self.sums:
            check_file_name(name)
        unlisted = [name for name in FILES if name not in self.sums]
        foreign = [name for name in self.sums if name not in FILES]
        if None in matches or unlisted or foreign or len(self.sums) != len(lines):
            raise ValueError(
                f"{self.title} has a {SUMS_FILE} that does not fit: expected one line 'HASH  NAME' "
                f"for each of {', '.join(FILES)} and no other. Received {len(lines)} lines; not "
                f"listed: {unlisted}; listed but no part of a preset: {foreign}"
            )

    @property
    def title(self) -> str:
        """`origin` at the start of a sentence."""
        return self.origin[0].upper() + self.origin[1:]

    def path(self, name: str) -> Path:
        """Returns the path of a file after checking its SHA-256."""
        path = self._find(name, self.sums[name])
        self._check(name, sha256_of(path))
        return path

    def text(self, name: str) -> bytes:
        """Returns the contents of a small file: the very bytes that were checked."""
        content = _read_text(self._find(name, self.sums[name]), self)
        self._check(name, hashlib.sha256(content).hexdigest())
        return content

    def _check(self, name: str, actual: str) -> None:
        if actual != self.sums[name]:
            raise ValueError(
                f"{self.title} was changed or damaged: {name} has the SHA-256 {actual}, and "
                f"{SUMS_FILE} says {self.sums[name]}. {self._fix}"
            )


def open_folder(folder: str | os.PathLike[str]) -> PresetFiles:
    """Opens a preset folder."""
    folder = Path(folder)
    restore_replaced(folder)
    if missing := [name for name in (*NEEDED_FILES, SUMS_FILE) if not (folder / name).is_file()]:
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
        home, real = folder.resolve(), path.resolve()
        # In the Hub's cache a revision's files are links to contents beside the revisions.
        shared = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
        if real.parent not in (home, shared):
            raise ValueError(
                f"{name} of the preset {str(folder)!r} is a link to {str(real)!r}, outside of it, "
                "and is refused. Copy the file itself into the folder."
            )
        return path

    fix = "Download or copy it again, or save it anew."
    return PresetFiles(f"the preset {str(folder)!r}", find, fix)


def open_repository(
    repo: str, revision: str | None = None, sums_sha256: str | None = None
) -> PresetFiles:
    """Opens a preset on the Hugging Face Hub, whose files are downloaded when they are read.

    All are of one commit. With it and the SHA-256 of `SHA256SUMS`, cached ones need no request.
    """
    commit = revision

    def find(name: str, sha256: str | None) -> Path:
        nonlocal commit
        digest = sums_sha256 if sha256 is None else sha256
        path = fetch_file(HubFile(repo, name, revision=commit, sha256=digest))
        if sha256 is None and SHA1.fullmatch(path.parent.name):
            commit = path.parent.name
        return path

    shown = f"{repo}@{revision}" if revision else repo
    return PresetFiles(f"the preset 'hf://{shown}'", find, "Load it again.")


def split_source(source: str) -> tuple[str, str | None]:
    """Splits `"hf://org/name[@revision]"` into repository and revision."""
    pattern = r"hf://([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)(?:@([A-Za-z0-9._/-]+))?"
    match = re.fullmatch(pattern, source)
    if match is None or ".." in source:
        raise ValueError(
            f"A repository of the Hugging Face Hub is written 'hf://organisation/name', or "
            f"'hf://organisation/name@revision' with a commit, tag or branch. Received: {source!r}"
        )
    return match[1], match[2]


def check_listed(path: str | os.PathLike[str]) -> None:
    """Checks a file against a `SHA256SUMS` that lies beside it and lists it."""
    path = Path(path)
    sums = path.parent / SUMS_FILE
    if not sums.is_file():
        return
    if sums.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(
            f"{str(sums)!r} is no list of hashes: it is larger than 16 MiB. Remove it."
        )
    matches = map(SUM_LINE.fullmatch, sums.read_text("utf-8", errors="replace").splitlines())
    expected = [match[1].lower() for match in matches if match and match[2] == path.name]
    if expected and (actual := sha256_of(path)) not in expected:
        raise ValueError(
            f"{str(path)!r} was changed or damaged: its SHA-256 is {actual}, and {SUMS_FILE} "
            f"beside it says {expected[0]}. Copy or download it again."
        )


def _read_text(path: Path, preset: PresetFiles) -> bytes:
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(
            f"{preset.title} has a {path.name} of {path.stat().st_size} bytes, where a few "
            f"kilobytes are expected and {MAX_TEXT_BYTES} allowed: it is damaged or none of ours."
        )
    return path.read_bytes()
