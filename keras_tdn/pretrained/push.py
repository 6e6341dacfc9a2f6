"""Publishing a preset on the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from keras_tdn.pretrained.preset_files import (
    FILES,
    HUB_PREFIX,
    SUMS_FILE,
    open_folder,
    sha256_of,
    split_source,
)
from keras_tdn.pretrained.preset_verification import PresetReport, verify_preset


@dataclasses.dataclass(frozen=True)
class PushFile:
    """A file that goes, or went, to the Hub."""

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class PushReport:
    """What a push did, or would do.

    Args:
        repo: The repository, `"organisation/name"`.
        private: Whether the repository is made private if it is not there yet.
        files: What goes.
        checks: What `verify_preset` found before.
        commit: The commit that holds the files; `None` after a dry run.
    """

    repo: str
    private: bool
    files: tuple[PushFile, ...]
    checks: PresetReport
    commit: str | None = None

    @property
    def sums_sha256(self) -> str:
        """SHA-256 of `SHA256SUMS`, which the catalog pins a preset by."""
        return next(file.sha256 for file in self.files if file.name == SUMS_FILE)

    def __str__(self) -> str:
        title = f"To {self.repo}{' (private)' if self.private else ''}"
        lines = [f"  {file.size:>11,}  {file.sha256}  {file.name}" for file in self.files]
        if self.commit is None:
            return "\n".join([f"{title} would go, and nothing else:", *lines])
        return "\n".join([f"{title} went, as commit {self.commit}:", *lines])


def push_preset(
    folder: str | os.PathLike[str],
    repo: str,
    *,
    dry_run: bool = True,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> PushReport:
    """Uploads a preset folder to the Hugging Face Hub, after verifying it.

    Token and endpoint are huggingface_hub's: `hf auth login` or `HF_TOKEN`, and `HF_ENDPOINT`. All
    files go in one commit, and nothing else that may lie in the folder.

    Args:
        folder: What `save_preset` wrote.
        repo: The repository, `"organisation/name"`; it is made if it is not there.
        dry_run: Whether only to tell what would go. Nothing is sent then.
        private: Whether a new repository is private.
        revision: Branch to push to; `None` is `main`.
        message: The commit's message.

    Returns:
        A `PushReport`; `str` of it is readable.

    Raises:
        ValueError: if the preset fails a check.
        OSError: if the Hub refuses it or cannot be reached.

    Example:

    >>> print(keras_tdn.pretrained.push_preset("my_preset", "my-lab/my_preset"))
    """
    repo, pinned = split_source(f"{HUB_PREFIX}{repo.removeprefix(HUB_PREFIX)}")
    if pinned is not None:
        raise ValueError(
            f"Pass the branch to push to as `revision`. Received: repo='{repo}@{pinned}'"
        )
    folder = Path(folder)
    open_folder(folder)
    checks = verify_preset(folder)
    if not checks.passed:
        raise ValueError(f"The preset is not published, because it fails a check.\n{checks}")
    names = (*FILES, SUMS_FILE)
    files = tuple(
        PushFile(name, (folder / name).stat().st_size, sha256_of(folder / name)) for name in names
    )
    report = PushReport(repo, private, files, checks)
    if dry_run:
        return report
    commit = _upload(folder, repo, private, revision, message or f"Preset {folder.name}")
    return dataclasses.replace(report, commit=commit)


def _upload(folder: Path, repo: str, private: bool, revision: str | None, message: str) -> str:
    import huggingface_hub
    from huggingface_hub import errors

    api = huggingface_hub.HfApi()
    operations = [
        huggingface_hub.CommitOperationAdd(name, folder / name) for name in (*FILES, SUMS_FILE)
    ]
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        return api.create_commit(repo, operations, commit_message=message, revision=revision).oid
    except (OSError, *errors.HfHubHTTPError.__bases__) as error:
        raise OSError(
            f"The Hugging Face Hub did not take the preset for {repo!r} ({error}): log in with "
            "`hf auth login` (or set HF_TOKEN) with a token that may write there, and check the "
            "organisation's name."
        ) from error
