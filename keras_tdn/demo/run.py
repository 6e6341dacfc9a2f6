"""The demo from end to end."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from keras_tdn.choices import DEMO_OUTPUT
from keras_tdn.data.records import RecordList
from keras_tdn.datasets import FramesInMemory
from keras_tdn.datasets.motion import make_motion_dataset
from keras_tdn.demo.demo_page import write_page
from keras_tdn.demo.folder import PAGE_FILE, demo_folder
from keras_tdn.demo.fresh_video import FreshVideo, ask_export, write_fresh_video
from keras_tdn.demo.learning import LearnedModel, card_of, learn, measure
from keras_tdn.demo.result import EXPORT, PRESET, RESULT_FILE, VIDEO, VIDEOS, DemoResult, Stopwatch
from keras_tdn.demo.settings import DemoSettings
from keras_tdn.export import export_saved_model
from keras_tdn.pretrained import save_preset
from keras_tdn.progress import Progress

# In the order in which they are trained: whether it has temporal modules, and what it is called.
MODELS = (
    ("tdn", True, "the TDN"),
    ("tsn", False, "the same network of single frames, without temporal differences (TSN)"),
)


def run_demo(
    output: str | os.PathLike[str] = DEMO_OUTPUT,
    settings: DemoSettings = DemoSettings(),  # noqa: B008
    *,
    tell: Callable[[str], None] | None = None,
    progress: bool = True,
) -> DemoResult:
    """Makes a data set, learns from it, measures, exports, and writes a page of what happened.

    Use it to see in a few minutes, and without a download, that everything works on this machine,
    and what temporal differences are for: the classes of the data set differ by motion alone, and
    next to the TDN the same network is trained without its temporal modules, which sees single
    frames. The whole takes less than three minutes on two processor cores, 2 GB of memory and
    100 MB of disk. With the same seed, a machine gives the same figures again.

    Args:
        output: Folder for the results, empty or not there yet: `index.html`, the preset, the
            SavedModel, the videos, both trainings, and `demo.json` with the figures. What failed or
            was interrupted leaves nothing there.
        settings: How large it is.
        tell: Is called with lines of text on the way; `None` is silent.
        progress: Whether to show bars on standard error, where that is a terminal, and a line for
            each epoch.

    Returns:
        A `DemoResult`.

    Raises:
        ValueError: if the folder is not empty or cannot be written to.
        OSError: if the disk is full.

    Example:

    >>> result = run_demo("demo")
    >>> result.top1, result.baseline_top1
    (0.99, 0.09)
    """
    with demo_folder(output) as place:
        demo = _Demo(place, settings, tell or (lambda line: None), progress)
        return demo.run(Path(os.path.abspath(output)))


class _Demo:
    """The steps, and what they share.

    Args:
        place: Folder to write to.
        settings: How large it is.
        say: Is called with lines of text.
        progress: Whether to show bars.
    """

    def __init__(
        self, place: Path, settings: DemoSettings, say: Callable[[str], None], progress: bool
    ) -> None:
        self._place = place
        self._settings = settings
        self._say = say
        self._progress = progress
        self._clock = Stopwatch()
        # Each video is decoded once, for both models and all epochs.
        self._decoder = FramesInMemory()

    def run(self, folder: Path) -> DemoResult:
        """All steps; the results come to `folder` in the end."""
        train_records, held_out = self._render()
        learned = self._learn(train_records, held_out)
        fresh = self._export(learned["tdn"])
        self._say("6/6  Writing the page")
        result = DemoResult(
            folder=folder,
            settings=self._settings,
            top1=learned["tdn"].report.top1,
            baseline_top1=learned["tsn"].report.top1,
            chance=1 / len(learned["tdn"].report.classes),
            label=fresh.label,
            answer=tuple((item.label, item.score) for item in fresh.answer),
            steps=tuple(self._clock.steps),
            total=self._clock.total,
        )
        page = write_page(result, learned["tdn"], learned["tsn"], fresh, held_out, self._decoder)
        (self._place / PAGE_FILE).write_text(page, encoding="utf-8")
        result = dataclasses.replace(result, total=self._clock.total)
        (self._place / RESULT_FILE).write_text(result.to_json(), encoding="utf-8")
        return result

    def _render(self) -> tuple[RecordList, RecordList]:
        settings = self._settings
        self._say(
            f"1/6  Rendering {settings.num_train} videos to learn from and "
            f"{settings.num_validation} to measure on"
        )
        with (
            self._clock.step("rendering videos"),
            Progress("keras-tdn demo", None, shown=self._progress) as progress,
        ):
            return make_motion_dataset(
                self._place / VIDEOS,
                settings.num_train,
                settings.num_validation,
                seed=settings.seed,
                progress=progress.update,
            )

    def _learn(self, train_records: RecordList, held_out: RecordList) -> dict[str, LearnedModel]:
        trained = {}
        for number, (name, temporal, what) in enumerate(MODELS, start=2):
            self._say(f"{number}/6  Training {what}")
            with self._clock.step(f"training the {name.upper()}"):
                trained[name] = learn(
                    temporal,
                    train_records,
                    self._settings,
                    self._place / "training" / name,
                    self._decoder,
                    self._progress,
                )
        self._say(f"4/6  Labelling {len(held_out)} held-out videos")
        learned = {}
        with self._clock.step("labelling held-out videos"):
            for name, (model, training) in trained.items():
                report = measure(model, held_out, self._decoder, self._progress)
                learned[name] = LearnedModel(model, training, report)
        shares = [learned[name].report.top1 for name, _, _ in MODELS]
        self._say(f"     right: TDN {shares[0]:.1%}, single frames {shares[1]:.1%}")
        return learned

    def _export(self, tdn: LearnedModel) -> FreshVideo:
        self._say("5/6  Exporting the TDN, and asking the export about a fresh video")
        with self._clock.step("exporting, and labelling a fresh video"):
            save_preset(tdn.model, self._place / PRESET, card=card_of(tdn, self._settings))
            export_saved_model(tdn.model, self._place / EXPORT)
            video = self._place / VIDEO
            label = write_fresh_video(video, self._settings.seed)
            fresh = ask_export(self._place / EXPORT, tdn.model, video, label)
        best = fresh.answer[0]
        self._say(f"     it shows {label!r}, and the answer is {best.label!r}, {best.score:.1%}")
        return fresh
