"""Transforms of clips, drawn once per clip, eagerly and inside `tf.data`."""

from keras_tdn.data.transforms.crop_sets import OneCrop, TenCrops, ThreeCrops
from keras_tdn.data.transforms.keras_augmentation import KerasAugmentation
from keras_tdn.data.transforms.mixing import CutMix, MixUp
from keras_tdn.data.transforms.pipelines import Compose, test_transforms, train_transforms
from keras_tdn.data.transforms.random_geometry import (
    MultiScaleCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
)
from keras_tdn.data.transforms.random_pixels import ColorJitter, RandAugment, RandomErasing
from keras_tdn.data.transforms.resizing import CenterCrop, ResizeAndCenterCrop, ResizeShortSide
from keras_tdn.data.transforms.transform import ClipTransform

__all__ = [
    "CenterCrop",
    "ClipTransform",
    "ColorJitter",
    "Compose",
    "CutMix",
    "KerasAugmentation",
    "MixUp",
    "MultiScaleCrop",
    "OneCrop",
    "RandAugment",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "ResizeAndCenterCrop",
    "ResizeShortSide",
    "TenCrops",
    "ThreeCrops",
    "test_transforms",
    "train_transforms",
]
