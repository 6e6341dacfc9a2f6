import numpy as np
import pytest

from keras_tdn.data.transforms import RandomErasing


def covered(transform, clip, seed):
    return (transform(clip, seed).numpy() != clip).any(axis=(0, 3))


def test_covers_one_rectangle_through_the_clip(clip):
    # A level that the clip does not have shows all of the rectangle.
    clip = np.minimum(clip, 250)
    transform = RandomErasing(probability=1.0, area=(0.1, 0.2), fill=255)
    areas = []
    for index in range(60):
        result = transform(clip, (index, 0)).numpy()
        mask = (result == 255).all(axis=-1)
        assert (mask == mask[:1]).all()
        rows, columns = np.flatnonzero(mask[0].any(1)), np.flatnonzero(mask[0].any(0))
        assert mask[0].sum() == len(rows) * len(columns)
        assert len(rows) == rows[-1] - rows[0] + 1
        assert len(columns) == columns[-1] - columns[0] + 1
        np.testing.assert_array_equal(result[~mask], clip[~mask])
        ratio = len(columns) / len(rows)
        areas.append(mask[0].mean())
        assert 0.25 < ratio < 4
    assert 0.09 < min(areas) < 0.12
    assert 0.18 < max(areas) < 0.21


def test_noise_is_the_same_in_every_frame(clip):
    result = RandomErasing(probability=1.0, area=(0.3, 0.3))(clip, (1, 0)).numpy()
    mask = (result != clip).all(axis=(0, 3))
    noise = result[:, mask]
    assert (noise == noise[:1]).all()
    assert noise.std() > 50


def test_probability(clip):
    transform = RandomErasing(probability=0.3)
    times = sum(covered(transform, clip, (index, 1)).any() for index in range(200))
    assert 35 < times < 85
    assert not covered(RandomErasing(probability=0.0), clip, (0, 0)).any()


def test_whole_frame(clip):
    transform = RandomErasing(probability=1.0, area=(1.0, 1.0), aspect_ratio=(9.0, 9.0), fill=0)
    result = transform(clip, (0, 0)).numpy()
    assert (result == 0).all(axis=(0, 2, 3)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": -0.1}, "from 0 to 1 for `probability`"),
        ({"area": (0.0, 0.5)}, r"`area`. Received: area=\(0.0, 0.5\)"),
        ({"aspect_ratio": (2, 1)}, "`aspect_ratio`. Received"),
        ({"fill": 300}, "from 0 to 255 for `fill`"),
        ({"fill": "noise"}, "`fill`. Received: fill='noise'"),
    ],
)
def test_error_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomErasing(**arguments)
