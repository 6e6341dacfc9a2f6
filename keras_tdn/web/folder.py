"""Where uploads are, and when they are gone."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator

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
    ) as made:  # fmt: skip
        # As files in it are named, whatever link led here.
        folder = os.path.realpath(made)

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
    """Removes what was last changed before a moment, in seconds since 1970."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = os.path.join(parent, name)
            # Others may remove them too, and a folder goes only if nothing is in it.
            with contextlib.suppress(OSError):
                if os.lstat(path).st_ctime < moment:
                    (os.rmdir if name in folders else os.unlink)(path)
