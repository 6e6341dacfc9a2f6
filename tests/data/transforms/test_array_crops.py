import numpy as np
import pytest

from keras_tdn.data.transforms.crop_sets import OneCrop, TenCrops, ThreeCrops, crops_of_array

# Lying, upright, to be enlarged, as large as the crops are resized to, and longer than three crops.
SIZES = [(30, 52), (52, 30), (12, 14), (24, 40), (24, 24), (16, 200), (200, 16)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "crop_set",
    [
        OneCrop(16, 20, 24),
        ThreeCrops(24, 24, 24),
        ThreeCrops(24, 24, 24, always_across=True),
        TenCrops(16, 20, 24),
    ],
    ids=["one", "three", "three across", "ten"],
)
def test_they_are_those_of_the_graph(crop_set, size):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    before = frames.copy()
    crops = crops_of_array(crop_set, frames)
    assert len(crops) == crop_set.num_crops
    for crop, expected in zip(crops, crop_set(frames).numpy(), strict=True):
        assert crop.dtype == np.uint8
        np.testing.assert_array_equal(crop, expected)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("crop_set", [ThreeCrops(24, 24, 24), TenCrops(16, 20, 24)])
def test_they_share_the_frames_memory(crop_set):
    frames = np.zeros((3, 24, 40, 3), np.uint8)
    assert all(np.shares_memory(crop, frames) for crop in crops_of_array(crop_set, frames))
    crops = crops_of_array(crop_set, np.zeros((3, 30, 50, 3), np.uint8))
    # By their bounds: windows in opposite corners have no pixel in common.
    assert all(np.may_share_memory(crop, crops[0]) for crop in crops)


def test_of_very_long_frames_no_more_than_the_crops_is_kept():
    crops = crops_of_array(ThreeCrops(24, 24, 24), np.zeros((3, 16, 2000, 3), np.uint8))
    owner = crops[0] if crops[0].base is None else crops[0].base
    assert owner.nbytes == 3 * 3 * 24 * 24 * 3
