"""The page itself, and no more than that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from keras_tdn.web.folder import KEEP_SECONDS, SWEEP_SECONDS
from keras_tdn.web.showing import NOTHING, WAITING, Shown

TITLE = "keras_tdn"
MAX_WAITING = 16
QUEUE = "model"


def build_page(
    gradio: Any,
    show: Callable[[str | None], Iterator[Shown]],
    *,
    about: str,
    example: Callable[[], str] | None = None,
) -> Any:
    """Lays out the page.

    Args:
        gradio: The module, from `import_gradio`.
        show: Called with an upload's path, or `None` when it is taken away.
        about: A sentence below the heading, Markdown.
        example: Makes a video and gives its path. `None` leaves the button out.

    Returns:
        A `gradio.Blocks`.
    """
    with gradio.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEEP_SECONDS)
    ) as page:
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

        def run(path: str | None) -> Iterator[tuple[Any, ...]]:
            for shown in show(path):
                parts = (shown.state, shown.answer, shown.timeline, shown.maps)
                yield tuple(gradio.skip() if part is None else part for part in parts)

        # One video at a time, whoever asks; nothing of it is offered to programs.
        common = {"show_progress": "hidden", "api_visibility": "private"}
        queued = {**common, "concurrency_id": QUEUE, "concurrency_limit": 1}
        outputs = [state, answer, timeline, maps]
        waiting = video.upload(lambda: WAITING, None, state, queue=False, **common)
        running = [waiting.then(run, video, outputs, **queued)]
        if example is not None:
            waiting = button.click(lambda: WAITING, None, state, queue=False, **common)
            made = waiting.then(example, None, video, **queued)
            running += [made, made.then(run, video, outputs, **queued)]
        video.clear(
            lambda: (NOTHING, "", "", ""), None, outputs, queue=False, cancels=running, **common
        )
    # What is queued cannot be called past the queue.
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    return page
