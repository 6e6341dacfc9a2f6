"""The layers of KerasCV, where it is installed: pip install 'keras-tdn[keras-cv]'."""

import numpy as np
import pytest

from keras_tdn.data.transforms import KerasAugmentation

keras_cv = pytest.importorskip(
    "keras_cv", reason="KerasCV is not installed; pip install 'keras-tdn[keras-cv]' to test it"
)
layers = keras_cv.layers
RANGE = {"value_range": (0, 255)}

RANDOM = {
    "rotation": lambda: layers.RandomRotation(0.1),
    "brightness": lambda: layers.RandomBrightness(0.5, **RANGE),
    "contrast": lambda: layers.RandomContrast(factor=0.5, **RANGE),
    "crop": lambda: layers.RandomCrop(30, 40),
    "crop and resize": lambda: layers.RandomCropAndResize((32, 32), (0.5, 1.0), (0.8, 1.2)),
    "flip": lambda: layers.RandomFlip(),
    "zoom": lambda: layers.RandomZoom(0.3),
    "translation": lambda: layers.RandomTranslation(0.2, 0.2),
    "shear": lambda: layers.RandomShear(0.3, 0.3),
    "normal factors": lambda: layers.RandomShear(
        x_factor=keras_cv.core.NormalFactorSampler(0.2, 0.1, 0.0, 0.5)
    ),
    "blur": lambda: layers.RandomGaussianBlur(3, 1.0),
    "hue": lambda: layers.RandomHue(0.5, **RANGE),
    "saturation": lambda: layers.RandomSaturation(0.5),
    "sharpness": lambda: layers.RandomSharpness(0.5, **RANGE),
    "channel shift": lambda: layers.RandomChannelShift(factor=0.5, **RANGE),
    "color jitter": lambda: layers.RandomColorJitter(
        brightness_factor=0.3, contrast_factor=0.3, saturation_factor=0.3, hue_factor=0.3, **RANGE
    ),
    "rand augment": lambda: layers.RandAugment(**RANGE),
    "cutout": lambda: layers.RandomCutout(0.5, 0.5),
    "grid mask": lambda: layers.GridMask(),
    "apply": lambda: layers.RandomApply(layers.RandomShear(0.3, 0.3)),
    "choice": lambda: layers.RandomChoice(
        [layers.RandomShear(0.3, 0.3), layers.RandomRotation(0.2)]
    ),
    "jittered resize": lambda: layers.JitteredResize((32, 32), (0.8, 1.25)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_one_draw_per_clip(name, apply, still):
    transform = KerasAugmentation(RANDOM[name]())
    result = apply(transform, still)
    assert (result == result[:1]).all()
    other = KerasAugmentation(RANDOM[name]())
    results = [other(still, (9, index)).numpy() for index in range(12)]
    np.testing.assert_array_equal(other(still, (11, 4)), result)
    assert all((frames == frames[:1]).all() for frames in results)
    assert len({frames.tobytes() for frames in results}) > 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.AugMix(**RANGE),
        lambda: layers.RandomCutout(0.5, 0.5, fill_mode="gaussian_noise"),
    ],
)
def test_error_draws_out_of_reach(make, still):
    with pytest.raises(ValueError, match="from a random state that no seed reaches"):
        KerasAugmentation(make())(still, (0, 0))


def test_error_layers_for_batches():
    with pytest.raises(ValueError, match="Received: MixUp"):
        KerasAugmentation(layers.MixUp())
