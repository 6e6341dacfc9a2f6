"""The demo from end to end, in a folder that is checked before any time is spent."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_tdn.choices import DEMO_OUTPUT
from keras_tdn.datasets import FramesInMemory
from keras_tdn.datasets.motion import make_motion_dataset
from keras_tdn.demo import result as places
from keras_tdn.demo.demo_page import write_page
from keras_tdn.demo.learning import LearnedModel, ask_export, card_of, learn, write_fresh_video
from keras_tdn.demo.result import PAGE_FILE, DemoResult, DemoSettings, Stopwatch
from keras_tdn.evaluation import evaluate
from keras_tdn.export import export_saved_model
from keras_tdn.pretrained import save_preset
from keras_tdn.progress import Progress

UNFINISHED = ".unfinished-"
# Videos take half of it.
NEEDED_BYTES = 150_000_000
MEGABYTE = 1e6


def run_demo(
    output: str | os.PathLike[str] = DEMO_OUTPUT,
    settings: DemoSettings = DemoSettings(),  # noqa: B008
    *,
    tell: Callable[[str], None] | None = None,
    progress: bool = True,
) -> DemoResult:
    """Makes a data set, learns from it, measures, exports, and writes a page of what happened.

    Use it to see, without a download, that everything works on this machine, and what temporal
    differences are for: the classes of the data set differ by motion alone, and the same network is
    also trained without its temporal modules, which sees single frames. It takes less than three
    minutes on two processor cores, 2 GB of memory and 100 MB of disk. With the same seed, a machine
    gives the same figures again.

    Args:
        output: Folder for the results, empty or not there yet: `index.html`, the preset, the
            SavedModel, the videos, both trainings, and `demo.json` with the figures. A demo that
            fails or is interrupted leaves nothing there.
        settings: How large it is.
        tell: Called with lines of text on the way; `None` is silent.
        progress: Whether to show on standard error how far it is.

    Raises:
        ValueError: if the folder is not empty or cannot be written to.
        OSError: if the disk is full.

    Example:

    >>> result = run_demo("demo")
    >>> result.top1, result.baseline_top1
    (0.99, 0.09)
    """
    with demo_folder(output) as place:
        say = tell or (lambda line: None)
        return _run(Path(os.path.abspath(output)), place, settings, say, progress)


def _run(
    folder: Path, place: Path, settings: DemoSettings, say: Callable[[str], None], shown: bool
) -> DemoResult:
    """Runs all steps in `place`; the results come to `folder` in the end."""
    clock = Stopwatch()
    # Each video is decoded once, for both models and all epochs.
    decoder = FramesInMemory()
    sizes = settings.num_train, settings.num_validation
    say("1/6  Rendering {} videos to learn from and {} to measure on".format(*sizes))
    with clock.step("rendering videos"), Progress("keras-tdn demo", None, shown=shown) as progress:
        train_records, held_out = make_motion_dataset(
            place / places.VIDEOS, *sizes, seed=settings.seed, progress=progress.update
        )

    trained = []
    single = "the same network of single frames, without temporal differences (TSN)"
    for number, name, what in ((2, "tdn", "the TDN"), (3, "tsn", single)):
        say(f"{number}/6  Training {what}")
        with clock.step(f"training the {name.upper()}"):
            output = place / "training" / name
            trained.append(learn(name == "tdn", train_records, settings, output, decoder, shown))

    say(f"4/6  Labelling {len(held_out)} held-out videos")
    with clock.step("labelling held-out videos"):
        learned = []
        for model, training in trained:
            report = evaluate(model, held_out, batch_size=20, decoder=decoder, progress=shown)
            learned.append(LearnedModel(model, training, report))
        tdn, tsn = learned
    say(f"     right: TDN {tdn.report.top1:.1%}, single frames {tsn.report.top1:.1%}")

    say("5/6  Exporting the TDN, and asking the export about a fresh video")
    with clock.step("exporting, and labelling a fresh video"):
        save_preset(tdn.model, place / places.PRESET, card=card_of(tdn, settings))
        export, video = place / places.EXPORT, place / places.VIDEO
        export_saved_model(tdn.model, export)
        label = write_fresh_video(video, settings.seed)
        fresh = ask_export(export, tdn.model, video, label)
    best = fresh.answer[0]
    say(f"     it shows {label!r}, and the answer is {best.label!r}, {best.score:.1%}")

    say("6/6  Writing the page")
    result = DemoResult(
        folder=folder,
        settings=settings,
        top1=tdn.report.top1,
        baseline_top1=tsn.report.top1,
        chance=1 / len(tdn.report.classes),
        label=fresh.label,
        answer=tuple((item.label, item.score) for item in fresh.answer),
        steps=tuple(clock.steps),
        total=clock.total,
    )
    page = write_page(result, learned, fresh, held_out, decoder)
    (place / PAGE_FILE).write_text(page, encoding="utf-8")
    result = dataclasses.replace(result, total=clock.total)
    (place / places.RESULT_FILE).write_text(result.to_json(), encoding="utf-8")
    return result


@contextlib.contextmanager
def demo_folder(output: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to work in; what is in it comes to `output` if the block succeeds, else goes away.

    It lies inside `output`, because that may be the root of a disk, which nothing can be renamed
    to.
    """
    folder = Path(os.path.abspath(output))
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    moved: list[Path] = []
    try:
        _check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
    except OSError as error:
        _remove_folders(missing)
        raise ValueError(
            f"The demo cannot write to {str(folder)!r}: {error.strerror or error}. Choose another "
            "place with --output."
        ) from error
    try:
        free = shutil.disk_usage(place).free
        if free < NEEDED_BYTES:
            raise ValueError(
                f"The demo needs {NEEDED_BYTES / MEGABYTE:.0f} MB, and on the disk of "
                f"{str(folder)!r} {free / MEGABYTE:.0f} MB are free. Choose another place with "
                "--output."
            )
        yield place
        # The page last: where it is, all is.
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name == PAGE_FILE):
            moved.append(folder / entry.name)
            os.replace(entry, moved[-1])
    except BaseException:
        # Nothing else was in the folder. A demo that is whole stays.
        for entry in moved if not (folder / PAGE_FILE).exists() else ():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(place, ignore_errors=True)
        # Those that have something in them stay.
        _remove_folders(missing)


def _remove_folders(folders: list[Path]) -> None:
    for each in folders:
        with contextlib.suppress(OSError):
            each.rmdir()


def _check_free(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(
            f"{str(folder)!r} is there already and is not a folder. Choose another place with "
            "--output."
        )
    names = sorted(entry.name for entry in folder.iterdir())
    left = [name for name in names if name.startswith(UNFINISHED)]
    if PAGE_FILE in names:
        raise ValueError(
            f"{str(folder)!r} has a finished demo: open {str(folder / PAGE_FILE)!r}. To run it "
            "again, choose another folder with --output, or delete this one."
        )
    if left:
        raise ValueError(
            f"In {str(folder)!r} another demo is running, or one was killed and left {left[0]!r}. "
            "Choose another folder with --output, or, if none is running, delete this one."
        )
    if names:
        raise ValueError(
            f"{str(folder)!r} is not empty: it has {names[0]!r}. The demo wants a folder of its "
            "own; choose another with --output."
        )
