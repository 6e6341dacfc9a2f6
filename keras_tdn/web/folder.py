"""Where uploads are, and when they are gone."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# Of the place where Gradio keeps files.
FOLDER_VARIABLE = "GRADIO_TEMP_DIR"
KEEP_SECONDS = 900
SWEEP_SECONDS = 60


@contextlib.contextmanager
def upload_folder(
    keep_seconds: float = KEEP_SECONDS, sweep_seconds: float = SWEEP_SECONDS
) -> Iterator[str]:
    """A folder that only this user can read; files in it are removed when they are old.

    Gradio forgets about some, such as those of a browser that leaves during an upload. All of
    Python's temporary files are made there meanwhile. At the end all of it goes.

    Args:
        keep_seconds: How old a file may get.
        sweep_seconds: How often old ones are looked for.
    """
    variable, place = os.environ.get(FOLDER_VARIABLE), tempfile.tempdir
    stopped = threading.Event()
    with tempfile.TemporaryDirectory(
        prefix="keras_tdn_web_", ignore_cleanup_errors=True
    ) as folder:  # fmt: skip

        def sweep() -> None:
            while not stopped.wait(sweep_seconds):
                remove_older(folder, time.time() - keep_seconds)

        thread = threading.Thread(target=sweep, name="keras_tdn uploads", daemon=True)
        os.environ[FOLDER_VARIABLE] = tempfile.tempdir = folder
        thread.start()
        try:
            yield folder
        finally:
            stopped.set()
            thread.join()
            tempfile.tempdir = place
            os.environ.pop(FOLDER_VARIABLE)
            if variable is not None:
                os.environ[FOLDER_VARIABLE] = variable


def remove_older(folder: str, moment: float) -> None:
    """Removes files that were last changed before a moment, in seconds since 1970."""
    for path in Path(folder).rglob("*"):
        # Others may remove them too.
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_ctime < moment:
                path.unlink()
