"""The parts of a demo's page that show videos and what two networks say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_tdn import html
from keras_tdn.data.records import RecordList
from keras_tdn.datasets.motion import MotionConfig
from keras_tdn.demo import pictures
from keras_tdn.demo.fresh_video import FreshVideo
from keras_tdn.demo.learning import LearnedModel
from keras_tdn.demo.result import DemoResult

TDN, TSN = "TDN", "single frames (TSN)"
MAX_POINTS = 12
# For the parts below, after the common one.
STYLE = """
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
      padding: .6rem .9rem; overflow-x: auto; font-size: .86rem; line-height: 1.55;
      margin: .3rem 0 .9rem; }
.frames { overflow-x: auto; }
.frames .strip { flex-wrap: nowrap; } .frames img { max-width: none; }
.classes { display: grid; grid-template-columns: minmax(6rem, max-content) max-content;
           gap: .25rem 1.1rem; align-items: center; }
.classes .strip { margin: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 31rem), 1fr));
        gap: 1rem 2.4rem; align-items: start; }
.pair > * { min-width: 0; }
.pair .bars > div { grid-template-columns: 12.6rem minmax(3rem, 1fr) 3.6rem; }
.pair .bars .name { font-size: .88rem; }
.pair table.heat td { width: 1.95rem; height: 1.65rem; font-size: .78rem; }
.pair table.heat th { font-size: .82rem; padding: .1rem .4rem .1rem 0; }
.right { color: var(--good); } .wrong { color: var(--bad); }
"""


def data_section(result: DemoResult, held_out: RecordList, decoder: Any) -> str:
    """Pictures of a video of each class."""
    rows = "".join(
        f"<span>{html.escape(label)}</span>{strip}"
        for label, strip in pictures.class_strips(held_out, decoder)
    )
    settings, config = result.settings, MotionConfig()
    note = (
        f"{settings.num_train} videos to learn from and {settings.num_validation} others to "
        f"measure on: H.264 files of {config.num_frames} frames of {config.size} x {config.size} "
        "pixels. Textures, objects, colours, light and places are drawn anew for each, and its "
        "class decides nothing but how things move: no single picture tells it. Try to name a row "
        "by one of its pictures."
    )
    return html.section("The videos", f'<div class="frames classes">{rows}</div>', note)


def accuracy_section(result: DemoResult, tdn: LearnedModel, tsn: LearnedModel) -> str:
    """What each network labels right, by class."""
    charts = []
    for name, learned, marked in ((TDN, tdn, False), (TSN, tsn, True)):
        bars = [
            html.Bar(each.name, each.accuracy, f"{each.correct} / {each.count}", marked=marked)
            for each in learned.report.classes
        ]
        heading = f"{name}: {html.percent(learned.report.top1)}"
        charts.append(f"<div><h3>{html.escape(heading)}</h3>{html.bar_chart(bars)}</div>")
    note = (
        f"{tdn.report.num_scored} videos that neither network has seen, one clip and one crop "
        f"each. Guessing gives {html.percent(result.chance)}. The two networks differ in their "
        f"temporal modules alone ({_parameters(tdn)} and {_parameters(tsn)} parameters) and were "
        "trained alike: same videos, same draws, same recipe, as many epochs, the last epoch's "
        "weights."
    )
    return html.section(
        "Held-out videos labelled right", f'<div class="pair">{"".join(charts)}</div>', note
    )


def confusion_section(tdn: LearnedModel, tsn: LearnedModel) -> str:
    """Which classes each network takes for which."""
    tables = [
        f"<div><h3>{html.escape(name)}</h3>"
        + html.heat_table(
            learned.report.confusion,
            learned.report.class_names,
            row_name="what a video shows",
            column_name="what the network says",
        )
        + "</div>"
        for name, learned in ((TDN, tdn), (TSN, tsn))
    ]
    return html.section("What is taken for what", f'<div class="pair">{"".join(tables)}</div>')


def fresh_section(fresh: FreshVideo) -> str:
    """A video that is in no list, and what the export says of it."""
    best = fresh.answer[0]
    kind = "right" if best.label == fresh.label else "wrong"
    bars = [html.Bar(item.label, item.score) for item in fresh.answer]
    body = (
        _scrolling(pictures.video_strip(fresh.frames, f"a video of {fresh.label}"))
        + f'<p>It shows <b>{html.escape(fresh.label)}</b>, and the answer is <b class="{kind}">'
        f"{html.escape(best.label)}</b>.</p>" + html.bar_chart(bars)
    )
    note = (
        "Rendered after training, of a moving class that the seed draws. The exported network, "
        "loaded by TensorFlow alone, was sent the frames as JPEG files, as a server would be. Its "
        "scores differ from those of predict_video on the mp4 file by "
        f"{fresh.jpeg_difference:.4f} at most; sent raw pixels, by {fresh.raw_difference:.0e}, so "
        "that the rest is what JPEG loses."
    )
    return html.section("A fresh video, labelled by the export", body, note)


def difference_section(tdn: LearnedModel, fresh: FreshVideo) -> str:
    """A segment, and the differences of its frames."""
    frames, differences = pictures.segment_and_differences(fresh.frames, tdn.model.clip_spec)
    body = _scrolling(
        html.picture_strip(frames, "neighbouring frames", height=112)
        + html.picture_strip(differences, "differences of neighbouring frames", height=112)
    )
    note = (
        "The five neighbouring frames of one segment, and below them what each adds to the one "
        f"before, {pictures.GAIN} times as strong, on grey. The network of single frames sees the "
        "middle one alone."
    )
    return html.section("What the short-term module sees", body, note)


def training_section(result: DemoResult, tdn: LearnedModel, tsn: LearnedModel) -> str:
    """How both networks learned."""
    lines = [
        html.Line(name, [(row["epoch"], row["top1"]) for row in _thinned(learned)])
        for name, learned in ((TDN, tdn), (TSN, tsn))
    ]
    chart = html.line_chart(
        lines,
        "epoch",
        "clips labelled right in training",
        description="share of clips that are labelled right in each epoch of training",
        y_range=(0.0, 1.12),
        y_text=lambda share: html.percent(share, 0),
        width=720,
    )
    recipe = result.settings.recipe
    note = (
        f"The recipe {recipe.name!r}: {recipe.epochs} epochs in batches of {recipe.batch_size}, "
        f"learning rate {recipe.learning_rate:g} with warm-up and cosine, from random weights. "
        "Clips are drawn anew in every epoch: frames, crop, mirroring."
    )
    return html.section("Learning", chart, note)


def _thinned(learned: LearnedModel) -> list[Mapping[str, float]]:
    """Epochs at equal steps up to the last, few enough for their values to stand side by side."""
    history = learned.training.history
    step = -(-len(history) // MAX_POINTS)
    return list(history[::-1][::step][::-1])


def _scrolling(strips: str) -> str:
    """Pictures that stay in a row where the window is narrow."""
    return f'<div class="frames">{strips}</div>'


def _parameters(learned: LearnedModel) -> str:
    return f"{learned.model.count_params() / 1e3:.0f} thousand"
