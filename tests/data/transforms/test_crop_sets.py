import json
import re

import goldens
import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.data.transforms import OneCrop, ResizeShortSide, TenCrops, ThreeCrops
from keras_tdn.specs import ClipSpec

GOLDEN = json.loads(goldens.path("sampling_and_crops.json").read_text())[
    "three_crops_left_right_center_x0_y0_x1_y1"
]


SIZES = [(40, 58), (58, 40), (61, 80), (30, 400)]


def corners(boxes):
    top, left, height, width = np.asarray(boxes).T
    return np.stack([left, top, left + width, top + height], axis=1).tolist()


@pytest.mark.parametrize("key", GOLDEN)
@pytest.mark.parametrize("always_across", [True, False])
def test_three_crops_of_the_reference(key, always_across):
    width, height, size = (int(number) for number in re.split("x|->", key))
    crops = ThreeCrops(size, size, size, always_across)
    if height > width and not always_across:
        # Of portrait frames the reference takes the centre three times.
        expected = [[0, 0, 256, 256], [0, 84, 256, 340], [0, 42, 256, 298]]
    else:
        expected = GOLDEN[key]
    assert corners(crops.boxes(height, width)) == expected


def test_ten_crops_by_hand():
    # 52 and 60 pixels of room, in quarters of 8 and 29: the far side is 4 quarters away.
    boxes = TenCrops().boxes(256, 340).numpy()
    assert boxes[:, :2].tolist() == [[0, 0], [0, 116], [32, 0], [32, 116], [16, 58]]
    assert (boxes[:, 2:] == 224).all()


@pytest.mark.parametrize(
    "crops",
    [
        OneCrop(32, 36, 40),
        ThreeCrops(40, 40, 40),
        ThreeCrops(40, 40, 40, True),
        TenCrops(32, 36, 40),
    ],
)
def test_crops_are_windows_of_the_resized_frame(crops, apply, make_pictures):
    # Traced once for all sizes, and for the first also where it is known.
    any_size = tf.TensorSpec((None, None, None, 3), tf.uint8)
    graph = tf.function(lambda clip: crops(clip), input_signature=[any_size])
    apply(crops, make_pictures(2, *SIZES[0]))
    for size in SIZES:
        clip = make_pictures(2, *size)
        result = crops(clip).numpy()
        np.testing.assert_array_equal(graph(clip), result)
        assert result.shape == (crops.num_crops, 2, crops.height, crops.width, 3)
        resized = ResizeShortSide(40)(clip).numpy().astype(int)
        windows = [
            resized[:, top : top + height, left : left + width]
            for top, left, height, width in crops.boxes(*size).numpy()
        ]
        if isinstance(crops, TenCrops):
            windows = [view for window in windows for view in (window, window[:, :, ::-1])]
        assert np.abs(result - np.stack(windows)).max() <= 1


def test_three_crops_differ_in_portrait(make_pictures):
    crops = ThreeCrops(40, 40, 40)(make_pictures(1, 70, 40)).numpy()
    assert len({crop.tobytes() for crop in crops}) == 3


def test_from_spec():
    spec = ClipSpec(height=112, width=96, short_side=128)
    assert OneCrop.from_spec(spec) == OneCrop(112, 96, 128)
    assert TenCrops.from_spec(spec) == TenCrops(112, 96, 128)
    assert ThreeCrops.from_spec(spec) == ThreeCrops(128, 128, 128)


def test_error_arguments():
    with pytest.raises(ValueError, match=r"positive integer for `height`. Received: height=0"):
        TenCrops(height=0)
    with pytest.raises(ValueError, match=r"for `always_across`. Received: always_across=1"):
        ThreeCrops(always_across=1)
