"""A preset's `README.md`: the model card that the Hub shows, from the preset's config alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

from keras_tdn.pretrained.card import Accuracy
from keras_tdn.pretrained.preset_config import PresetConfig

LIBRARY = "keras_tdn"
PIPELINE = "video-classification"
TAGS = ("keras", "tdn", "action-recognition", "video")
MAX_LABELS_SHOWN = 5


def format_model_card(config: PresetConfig) -> bytes:
    """Metadata that the Hub reads, and a page that people do."""
    lines = [*_metadata(config), *_page(config)]
    return ("\n".join(lines) + "\n").encode()


def _metadata(config: PresetConfig) -> Iterator[str]:
    yield "---"
    yield f"library_name: {LIBRARY}"
    yield f"pipeline_tag: {PIPELINE}"
    if config.card.licence:
        # JSON strings are YAML strings, whatever a card has in them.
        yield f"license: {json.dumps(config.card.licence.lower())}"
    if config.card.dataset:
        yield f"datasets: [{json.dumps(config.card.dataset)}]"
    yield "tags:"
    yield from (f"- {tag}" for tag in TAGS)
    yield "---"


def _page(config: PresetConfig) -> Iterator[str]:
    arguments, spec, card = config.arguments, config.clip_spec, config.card
    yield f"# {arguments['name']}"
    yield ""
    yield (
        "A TDN (Temporal Difference Network, [arXiv 2012.10071](https://arxiv.org/abs/2012.10071)) "
        "for Keras 3, saved with keras_tdn."
    )
    yield ""
    yield "```python"
    yield "import keras_tdn"
    yield ""
    yield 'model = keras_tdn.pretrained.load_preset("hf://ORGANISATION/NAME")  # or this folder'
    yield 'keras_tdn.predict_video(model, "video.mp4", top=5)'
    yield "```"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Architecture | stages of {tuple(arguments['stage_depths'])} blocks |"
    yield (
        f"| Clip | {spec.num_segments} segments of {spec.frames_per_segment} frames, short side "
        f"{spec.short_side}, crop {spec.height}x{spec.width} |"
    )
    yield f"| Classes | {_classes(config)} |"
    yield f"| Data set | {card.dataset or 'not stated'} |"
    yield f"| Licence | {card.licence or 'not stated'} |"
    yield f"| Source | {card.source or 'not stated'} |"
    yield f"| Published accuracy (top-1 / top-5) | {_accuracies(card.published)} |"
    yield f"| Measured accuracy (top-1 / top-5) | {_accuracies(card.measured)} |"
    yield ""
    yield (
        "`recorded_logits.json` holds what this model makes of a seeded clip. "
        "`keras-tdn presets verify` compares it with what your machine computes, the files with "
        "`SHA256SUMS`, and the labels with those of the data set."
    )
    if card.citation:
        yield from ("", "```bibtex", card.citation.strip(), "```")


def _classes(config: PresetConfig) -> str:
    if not config.arguments["include_top"]:
        return "none: features"
    labels = config.labels
    if labels is None:
        return f"{config.arguments['classes']}, without names"
    shown = ", ".join(labels[:MAX_LABELS_SHOWN]).replace("|", "\\|").replace("\n", " ")
    return f"{len(labels)}: {shown}{', ...' if len(labels) > MAX_LABELS_SHOWN else ''}"


def _accuracies(accuracies: tuple[Accuracy, ...]) -> str:
    return "; ".join(map(str, accuracies)) or "not stated"
