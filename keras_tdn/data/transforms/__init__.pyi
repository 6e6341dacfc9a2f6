from .crop_sets import OneCrop as OneCrop, TenCrops as TenCrops, ThreeCrops as ThreeCrops
from .keras_augmentation import KerasAugmentation as KerasAugmentation
from .mixing import CutMix as CutMix, MixUp as MixUp
from .pipelines import (
    Compose as Compose,
    test_transforms as test_transforms,
    train_transforms as train_transforms,
)
from .random_geometry import (
    MultiScaleCrop as MultiScaleCrop,
    RandomHorizontalFlip as RandomHorizontalFlip,
    RandomResizedCrop as RandomResizedCrop,
)
from .random_pixels import (
    ColorJitter as ColorJitter,
    RandAugment as RandAugment,
    RandomErasing as RandomErasing,
)
from .resizing import (
    CenterCrop as CenterCrop,
    ResizeAndCenterCrop as ResizeAndCenterCrop,
    ResizeShortSide as ResizeShortSide,
)
from .transform import ClipTransform as ClipTransform
