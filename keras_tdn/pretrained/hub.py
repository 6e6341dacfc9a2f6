"""Downloading files from the Hugging Face Hub, checked before they are opened."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import re
import time
from collections.abc import Callable
from typing import Any

SHA256_LENGTH = 64
GIT_SHA1_LENGTH = 40
DIGEST = re.compile(rf"[0-9a-f]{{{SHA256_LENGTH}}}|[0-9a-f]{{{GIT_SHA1_LENGTH}}}")
CHUNK_BYTES = 1 << 20

# The client repeats what breaks off, and a first question that fails; an error of the server's in
# the middle of a download it passes on.
SERVER_ERROR_WAITS = (1.0, 2.0, 4.0)


@dataclasses.dataclass(frozen=True)
class HubFile:
    """A file in a repository of the Hugging Face Hub.

    Args:
        repo: The repository, `"organisation/name"`.
        filename: The file's path inside it.
        revision: A commit, tag or branch; `None` is the newest commit of `main`.
        sha256: The file's SHA-256. `None` if it is not known beforehand; the digest that the hub
            declares for the file takes its place then.
        size: The file's bytes, for messages.
    """

    repo: str
    filename: str
    revision: str | None = None
    sha256: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and not re.fullmatch(
            rf"[0-9a-f]{{{SHA256_LENGTH}}}", self.sha256
        ):
            raise ValueError(
                f"HubFile needs `sha256` as {SHA256_LENGTH} lower-case hexadecimal digits. "
                f"Received: sha256={self.sha256!r}"
            )
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


def fetch_file(file: HubFile) -> pathlib.Path:
    """Returns the path of a file of the hub in the local cache; downloads it if needed.

    A file with a known SHA-256 that is in the cache is used without a request. Any other is asked
    for, so that a newer revision is seen; without a network the cached one is used. Cache,
    endpoint, token and offline mode are huggingface_hub's, with its environment variables.

    Args:
        file: Which file.

    Returns:
        The path of a file with the SHA-256 asked for, or else the digest that the hub declares.

    Raises:
        ValueError: if there is no such file, or its digest is another one. The file is removed
            from the cache then.
        OSError: if it could not be downloaded.
    """
    cached = _cached(file)
    if cached is not None and _digest(cached, file.sha256) == file.sha256:
        return cached
    if cached is not None:
        _remove(cached)
    path = _download(file)
    expected = file.sha256 or _declared_digest(file, path)
    actual = _digest(path, expected)
    if actual != expected:
        _remove(path)
        raise ValueError(
            f"{file} is not the file expected, and was removed from the cache: its digest is "
            f"{actual}, expected {expected}. If a second download ends alike, the copy at that "
            "endpoint is damaged or was tampered with: get the file elsewhere and pass its path."
        )
    return path


def _cached(file: HubFile) -> pathlib.Path | None:
    if file.sha256 is None:
        return None
    import huggingface_hub

    path = huggingface_hub.try_to_load_from_cache(file.repo, file.filename, revision=file.revision)
    return pathlib.Path(path) if isinstance(path, str) else None


def _download(file: HubFile) -> pathlib.Path:
    import huggingface_hub

    return pathlib.Path(
        _ask(
            file,
            lambda: huggingface_hub.hf_hub_download(
                file.repo, file.filename, revision=file.revision
            ),
        )
    )


def _declared_digest(file: HubFile, path: pathlib.Path) -> str:
    """Returns the SHA-256 of a large file, or Git's SHA-1 of a small one."""
    # The cache names a file's contents by the declared digest, except where links cannot be made.
    name = path.resolve().name
    if DIGEST.fullmatch(name):
        return name
    import huggingface_hub

    url = huggingface_hub.hf_hub_url(file.repo, file.filename, revision=file.revision)
    declared = _ask(file, lambda: huggingface_hub.get_hf_file_metadata(url).etag)
    if declared is None or not DIGEST.fullmatch(declared):
        _remove(path)
        raise ValueError(
            f"The hub declares no digest for {file}, so that it cannot be checked "
            f"(received {declared!r}): download the file by hand and pass its path."
        )
    return declared


def _digest(path: pathlib.Path, like: str | None) -> str:
    """Returns the file's digest, of the kind that `like` is."""
    if like is not None and len(like) == GIT_SHA1_LENGTH:
        # What the hub declares there is Git's name for the contents, no protection of ours.
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _remove(path: pathlib.Path) -> None:
    """Removes a file from the cache: the contents and the link of the revision."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _ask(file: HubFile, question: Callable[[], Any]) -> Any:
    from huggingface_hub import errors

    fix = (
        "download the file by hand and pass its path, or set HF_ENDPOINT to a mirror that can be "
        "reached."
    )
    try:
        return _repeated(question)
    except errors.LocalEntryNotFoundError as error:
        status = _status(error.__cause__)
        because = (
            f"it answers with status {status}"
            if status
            else "there is no network or HF_HUB_OFFLINE is set"
        )
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
        if _status(error) in (401, 403):
            raise OSError(
                f"The Hugging Face Hub refuses {file} to the token that was sent (status "
                f"{_status(error)}): log in again with `hf auth login`, correct or unset HF_TOKEN, "
                f"or {fix}"
            ) from error
        raise OSError(f"{file} could not be downloaded ({error}): try later, or {fix}") from error


def _repeated(question: Callable[[], Any]) -> Any:
    for wait in SERVER_ERROR_WAITS:
        try:
            return question()
        except OSError as error:
            if (_status(error) or 0) < 500:
                raise
        time.sleep(wait)
    return question()


def _status(error: BaseException | None) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
