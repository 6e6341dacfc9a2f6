"""The page: what is on it, and Gradio without its requests to other servers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

from keras_tdn.pages.rendering import render_part

MAX_WAITING = 16
QUEUE = "model"
NOTHING = '<p class="note">What the model makes of a video appears here.</p>'
# Read by Gradio when it is imported; some are not to be had in another way in all of its releases.
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """What changed on the page, as HTML; `None` leaves a part as it is, empty clears it.

    Args:
        state: What is going on, or what is wrong.
        answer: The highest scores.
        timeline: Scores over time.
        maps: What the model sees.
    """

    state: str | None = None
    answer: str | None = None
    timeline: str | None = None
    maps: str | None = None


def working(text: str) -> str:
    """Returns what the page shows while something goes on."""
    return render_part("web.html", "working", text)


def build_page(
    gradio: Any,
    show: Callable[[str | None], Iterator[Shown]],
    *,
    about: str,
    example: Callable[[], str] | None = None,
) -> Any:
    """Lays out the page, a `gradio.Blocks`.

    `show` is called with an upload's path, or `None` when it is taken away; `about` is a sentence
    below the heading, Markdown; `example` makes a video for a button and returns its path.
    """
    with gradio.Blocks(title="keras_tdn", analytics_enabled=False) as page:
        gradio.Markdown(f"# What happens in a video?\n{about}")
        with gradio.Row():
            with gradio.Column(min_width=320):
                video = gradio.Video(
                    label="Video", sources=["upload"], height=300, elem_id="video", loop=True
                )
                if example is not None:
                    button = gradio.Button("Render an example", elem_id="example")
            with gradio.Column(min_width=320):
                state = gradio.HTML(NOTHING, elem_id="state", elem_classes="tdn")
                answer = gradio.HTML(elem_id="answer", elem_classes="tdn")
        timeline = gradio.HTML(elem_id="timeline", elem_classes="tdn")
        maps = gradio.HTML(elem_id="maps", elem_classes="tdn")

        def wait() -> str:
            return working("Waiting for the model")

        def run(path: str | None) -> Iterator[tuple[Any, ...]]:
            for shown in show(path):
                parts = dataclasses.astuple(shown)
                yield tuple(gradio.skip() if part is None else part for part in parts)

        # One video at a time, whoever asks; nothing of it is offered to programs.
        common = {"show_progress": "hidden", "api_visibility": "private"}
        queued = {**common, "concurrency_id": QUEUE, "concurrency_limit": 1}
        at_once = {**common, "queue": False}
        outputs = [state, answer, timeline, maps]
        running = [video.upload(wait, None, state, **at_once).then(run, video, outputs, **queued)]
        if example is not None:
            made = button.click(wait, None, state, **at_once).then(example, None, video, **queued)
            running += [made, made.then(run, video, outputs, **queued)]
        video.clear(lambda: (NOTHING, "", "", ""), None, outputs, cancels=running, **at_once)
    # What is queued cannot be called past the queue.
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    return page


def import_gradio() -> Any:
    """Imports the module, which then neither reports what it is used for nor keeps a history."""
    os.environ.update(SETTINGS)
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            f"The web demo needs Gradio ({error}): pip install 'keras-tdn[web]'"
        ) from error
    return gradio
