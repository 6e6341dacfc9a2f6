"""A small model, a video in which a square moves, and what another backend makes of them."""

import sys
from pathlib import Path

import numpy as np

import keras_tdn

SEGMENTS, FRAMES = 3, 4
SIZE = (64, 48)
SIDE = 12
LABELS = ("fall", "run & jump", "turn")


def make_model(stage_depths=(1, 1, 1, 1), frames_per_segment=FRAMES, **arguments):
    """Small, with a classifier whose scores differ, and clips of the video's own size."""
    model = keras_tdn.TDNResNet(
        stage_depths,
        width=16,
        num_segments=SEGMENTS,
        frames_per_segment=frames_per_segment,
        **{"classes": 3, "labels": LABELS, **arguments},
    )
    if model.include_top:
        kernel = model.get_layer("classifier").kernel
        kernel.assign(kernel * 100)
    model.clip_spec = keras_tdn.ClipSpec(SEGMENTS, frames_per_segment, *SIZE, SIZE[1])
    return model


def moving_square(num_frames):
    """Frames in which a bright square goes down on a pattern that stands still, and its rows."""
    rows, columns = np.indices(SIZE)
    background = np.stack([rows % 64, columns % 48, (rows + columns) % 64], axis=-1)
    video = np.repeat(background[np.newaxis].astype(np.uint8), num_frames, axis=0)
    tops = np.linspace(0, SIZE[0] - SIDE, num_frames).round().astype(int)
    for frame, top in zip(video, tops, strict=True):
        frame[top : top + SIDE, 20 : 20 + SIDE] = (250, 200, 220)
    return video, tops


def main(folder, num_frames):
    from keras_tdn.evaluation import explain

    model = make_model()
    model.load_weights(folder / "model.weights.h5")
    explanation = explain(model, moving_square(num_frames)[0], target=LABELS[1])
    gates = {f"gate_{number}": maps.mean for number, maps in enumerate(explanation.gates)}
    np.savez(
        folder / "explanation.npz",
        differences=explanation.differences,
        cam=explanation.cam,
        contributions=explanation.contributions,
        **gates,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
