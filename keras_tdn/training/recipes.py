"""The published recipes, one for small data sets of one's own, and one to try things with.

Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
CVPR 2021, section 4.1; arXiv:2012.10071, and the commands that the authors give with their code.
"""

from keras_tdn.training.recipe import Recipe
from keras_tdn.training.schedules import CosineDecay, ProportionalStepDecay, StepDecay

# 8 GPUs with 8 clips each.
something_something = Recipe(
    name="something_something",
    learning_rate=0.01,
    batch_size=64,
    epochs=60,
    schedule=StepDecay((30, 45, 55)),
)

# 8 GPUs with 16 clips each.
kinetics400 = Recipe(
    name="kinetics400",
    learning_rate=0.02,
    batch_size=128,
    epochs=100,
    schedule=StepDecay((50, 75, 90)),
    weight_decay=1e-4,
)

# A hundred to some thousand videos, from ImageNet or Kinetics weights, on one small machine.
finetune_small = Recipe(
    name="finetune_small",
    learning_rate=0.005,
    batch_size=10,
    epochs=15,
    schedule=ProportionalStepDecay((0.6, 0.85)),
    warmup_epochs=0.5,
    crop_size=112,
)

# The compact model of `keras_tdn.datasets.motion`, from scratch in one to two minutes on two cores.
motion = Recipe(
    name="motion",
    learning_rate=0.05,
    batch_size=16,
    epochs=7,
    schedule=CosineDecay(),
    warmup_epochs=1,
    bias_multiplier=1.0,
    num_segments=4,
    crop_size=56,
    dropout_rate=0.0,
)

RECIPES = {each.name: each for each in (something_something, kinetics400, finetune_small, motion)}
