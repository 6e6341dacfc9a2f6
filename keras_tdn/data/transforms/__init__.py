"""Transforms of clips, drawn once per clip, eagerly and inside `tf.data`."""

from keras_tdn.data.transforms.center_crop import (
    CenterCrop,
    ResizeAndCenterCrop,
    ResizeShortSide,
)
from keras_tdn.data.transforms.color_jitter import ColorJitter
from keras_tdn.data.transforms.compose import Compose
from keras_tdn.data.transforms.crop_sets import OneCrop, TenCrops, ThreeCrops
from keras_tdn.data.transforms.cut_mix import CutMix
from keras_tdn.data.transforms.keras_augmentation import KerasAugmentation
from keras_tdn.data.transforms.mix_up import MixUp
from keras_tdn.data.transforms.multi_scale_crop import MultiScaleCrop
from keras_tdn.data.transforms.pipelines import test_transforms, train_transforms
from keras_tdn.data.transforms.rand_augment import RandAugment
from keras_tdn.data.transforms.random_erasing import RandomErasing
from keras_tdn.data.transforms.random_horizontal_flip import RandomHorizontalFlip
from keras_tdn.data.transforms.random_resized_crop import RandomResizedCrop
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
