"""What a training consists of, beside the data and the model."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

from keras_tdn.models import TDNResNet
from keras_tdn.specs import ClipSpec, check_integer
from keras_tdn.training.distribution import num_replicas
from keras_tdn.training.freezing import PARTS, freeze_batch_norms, freeze_until, frozen_layers
from keras_tdn.training.optimizer import CoupledSGD
from keras_tdn.training.schedules import Schedule, WarmUp, check_run_length, warn_of_run_length

if TYPE_CHECKING:
    from keras_tdn.data import RecordList

logger = logging.getLogger("keras_tdn")

TOP_K = 5
# Of `with_averages`.
AVERAGED_SHARE = 0.1
MAX_EMA_MOMENTUM = 0.999
SHARES = "dropout_rate label_smoothing momentum ema_momentum"
FACTORS = "warmup_epochs weight_decay mixup_alpha cutmix_alpha bias_multiplier head_multiplier"
CLIPNORM = "positive, or None to leave gradients as they are"
SCHEDULES = "a StepDecay, ProportionalStepDecay or CosineDecay"
# What fields are, in words and as a check; integers have one of their own.
FIELDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("learning_rate", "positive", lambda rate: rate > 0),
    ("global_clipnorm", CLIPNORM, lambda norm: norm is None or norm > 0),
    (SHARES, "at least 0 and below 1", lambda share: share is None or 0 <= share < 1),
    (FACTORS, "at least 0", lambda factor: factor >= 0),
    ("schedule", SCHEDULES, lambda schedule: isinstance(schedule, Schedule)),
    ("freeze_until", f"one of {', '.join(PARTS)}", lambda part: part in PARTS),
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a TDN is trained: optimizer, schedule, augmentation, segments, epochs, batch.

    Use one of `keras_tdn.training.recipes`, changed with `dataclasses.replace` where it does not
    fit; then `compile`, `make_dataset` and `callbacks` leave you in plain `model.fit`.

    Reference: Wang et al., CVPR 2021, section 4.1; arXiv:2012.10071.

    Args:
        name: What the recipe is called.
        learning_rate: Learning rate at `batch_size`; see `for_batch_size`.
        batch_size: Clips in a batch, of all devices together.
        epochs: How often each record is drawn.
        schedule: `StepDecay`, `ProportionalStepDecay` or `CosineDecay`.
        warmup_epochs: Epochs of a straight line up to `learning_rate`; fractions are allowed.
        warmup_start: Share of `learning_rate` that the line starts with.
        weight_decay: Coupled L2 of the kernels.
        momentum: Momentum of SGD.
        bias_multiplier: Factor of the learning rate for biases.
        head_multiplier: Factor of the learning rate for the classifier.
        global_clipnorm: Norm that the gradients together are clipped to; `None` leaves them.
        num_segments: Segments of the model that the recipe is meant for.
        crop_size: Height and width in pixels of its crops; see `clip_spec_for`.
        dropout_rate: Its dropout.
        flip: Whether clips are mirrored, and labels with left and right in their names swapped.
        label_smoothing: Share of the label's weight that is spread over all classes.
        mixup_alpha: Blends clips in pairs, with shares of a beta distribution; 0 does not.
        cutmix_alpha: Likewise puts in a window of another clip. With both, each batch draws one.
        ema_momentum: Momentum, by batch, of a moving average of the weights for evaluation and
            for the result; `None` keeps none. See `with_averages`.
        freeze_until: First part of the model that is trained; see `freezing.freeze_until`.
        partial_batch_norm: Whether all batch norms but the first use their averages.
        gradient_accumulation_steps: Batches whose gradients make one step; `None` is one.

    Raises:
        ValueError: if a number is out of its range.

    Example:

    >>> recipe = dataclasses.replace(recipes.finetune_small, epochs=5).for_batch_size(4)
    >>> model = keras_tdn.TDNResNet50(weights="imagenet", classes=records.num_classes)
    >>> model.clip_spec = recipe.clip_spec_for(model)
    >>> steps = recipe.steps_per_epoch(records)
    >>> recipe.compile(model, steps)
    >>> train = recipe.make_dataset(records, model.clip_spec, training=True)
    >>> model.fit(train, epochs=recipe.epochs, steps_per_epoch=steps)
    """

    name: str
    learning_rate: float
    batch_size: int
    epochs: int
    schedule: Schedule
    warmup_epochs: float = 0.0
    warmup_start: float = 0.01
    weight_decay: float = 5e-4
    momentum: float = 0.9
    bias_multiplier: float = 2.0
    head_multiplier: float = 1.0
    global_clipnorm: float | None = 20.0
    num_segments: int = 8
    crop_size: int = 224
    dropout_rate: float = 0.5
    flip: bool = True
    label_smoothing: float = 0.0
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    ema_momentum: float | None = None
    freeze_until: str = "stem"
    partial_batch_norm: bool = False
    gradient_accumulation_steps: int | None = None

    def __post_init__(self) -> None:
        integers = {"batch_size": 1, "epochs": 1, "num_segments": 1, "crop_size": 32}
        if self.gradient_accumulation_steps is not None:
            integers["gradient_accumulation_steps"] = 2
        for field, least in integers.items():
            check_integer("A recipe's", field, getattr(self, field), least)
        for fields, wanted, fits in FIELDS:
            for field in fields.split():
                if not fits(value := getattr(self, field)):
                    text = f"A recipe's `{field}` is {wanted}. Received: {field}={value!r}"
                    raise ValueError(text)
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                "A recipe's warm-up is shorter than the training. Lower `warmup_epochs` (--warmup) "
                f"or train for longer. Received: warmup_epochs={self.warmup_epochs}, "
                f"epochs={self.epochs}"
            )

    # === Batches ===

    def for_batch_size(
        self, batch_size: int, gradient_accumulation_steps: int | None = None
    ) -> Recipe:
        """Returns the recipe for another batch, its learning rate in proportion (the linear rule).

        Eight batches of 8 clips whose gradients are accumulated count as a batch of 64. `None`
        leaves the recipe's `gradient_accumulation_steps`.

        Example:

        >>> recipes.something_something.for_batch_size(8, gradient_accumulation_steps=8)
        """
        before = self.gradient_accumulation_steps or 1
        steps = gradient_accumulation_steps or before
        rate = self.learning_rate * (batch_size * steps) / (self.batch_size * before)
        changed: dict[str, Any] = {"batch_size": batch_size, "learning_rate": rate}
        changed["gradient_accumulation_steps"] = None if steps == 1 else steps
        return dataclasses.replace(self, **changed)

    def with_averages(self, steps_per_epoch: int) -> Recipe:
        """Returns the recipe with a moving average of the weights over the last tenth of training.

        Use it where training may be short: its momentum is 0.999, for a thousand steps, at most.
        """
        averaged = max(2.0, AVERAGED_SHARE * steps_per_epoch * self.epochs)
        return dataclasses.replace(self, ema_momentum=min(MAX_EMA_MOMENTUM, 1 - 1 / averaged))

    def steps_per_epoch(self, records: RecordList) -> int:
        """Returns the whole batches in the records; a `ValueError` if there is none."""
        if len(records) < self.batch_size:
            raise ValueError(
                f"A batch of {self.batch_size} clips needs as many records. Received: "
                f"{len(records)}. Use recipe.for_batch_size({len(records) or 1}) (on the command "
                f"line --batch-size {len(records) or 1}) or fewer."
            )
        return len(records) // self.batch_size

    def clip_spec_for(self, model: TDNResNet) -> ClipSpec:
        """Returns a model's `ClipSpec`, with crops of `crop_size`, not 224, if it takes any size.

        Example:

        >>> model.clip_spec = recipe.clip_spec_for(model)
        """
        height, width = (size or self.crop_size for size in model.input_shape[2:4])
        spec = ClipSpec.for_crop(model.num_segments, model.frames_per_segment, height, width)
        return dataclasses.replace(spec, normalization=model.clip_spec.normalization)

    @property
    def one_hot(self) -> bool:
        """Whether labels are a weight per class instead of class indices."""
        return bool(self.label_smoothing or self.mixup_alpha or self.cutmix_alpha)

    def make_dataset(
        self, records: RecordList, spec: ClipSpec, *, training: bool, **arguments: Any
    ) -> Any:
        """Returns `make_dataset` with the recipe's batch and augmentation; `arguments` win."""
        from keras_tdn.data import make_dataset
        from keras_tdn.data.transforms.mixing import batch_mixing
        from keras_tdn.data.transforms.pipelines import train_transforms

        ours: dict[str, Any] = {"batch_size": self.batch_size, "one_hot": self.one_hot}
        if training:
            ours["batch_transforms"] = batch_mixing(self.mixup_alpha, self.cutmix_alpha)
            if not self.flip:
                # Otherwise `make_dataset` flips with the map that the labels' names give.
                ours["transforms"] = train_transforms(spec, flip=False)
        return make_dataset(records, spec, training=training, **{**ours, **arguments})

    # === Compiling ===

    def learning_rates(self, steps_per_epoch: int) -> Any:
        """Returns the schedule in batches: Keras counts those, also while gradients accumulate."""
        rate, warmup_steps = self.learning_rate, self.warmup_steps(steps_per_epoch)
        schedule = self.schedule.build(rate, steps_per_epoch, self.epochs, self.warmup_epochs)
        return WarmUp(schedule, rate, warmup_steps, self.warmup_start) if warmup_steps else schedule

    def warmup_steps(self, steps_per_epoch: int) -> int:
        return round(self.warmup_epochs * steps_per_epoch)

    def optimizer(self, steps_per_epoch: int) -> CoupledSGD:
        return CoupledSGD(
            self.learning_rates(steps_per_epoch),
            momentum=self.momentum,
            coupled_weight_decay=self.weight_decay,
            bias_multiplier=self.bias_multiplier,
            head_multiplier=self.head_multiplier,
            global_clipnorm=self.global_clipnorm,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            use_ema=self.ema_momentum is not None,
            ema_momentum=0.99 if self.ema_momentum is None else self.ema_momentum,
        )

    def compile(self, model: TDNResNet, steps_per_epoch: int, **arguments: Any) -> None:
        """Freezes what the recipe freezes, and compiles the model.

        What was frozen before stays so, with a warning; see `unfreeze`. Metrics are `top1` and,
        with more than five classes, `top5`.

        Args:
            model: A `TDNResNet` with a classifier.
            steps_per_epoch: Batches in an epoch; see the method of that name.
            **arguments: More arguments of `model.compile`, which win over the recipe's.

        Raises:
            ValueError: if the training is too short for the recipe, the model has no classifier
                with softmax or logits, or is mixed_float16 on several devices of TensorFlow.
        """
        check_run_length(self, steps_per_epoch)
        if not model.include_top or model.classifier_activation not in ("softmax", None):
            raise ValueError(
                "A recipe trains a classifier with softmax or with logits "
                "(`classifier_activation=None`). Received: "
                f"include_top={model.include_top}, "
                f"classifier_activation={model.classifier_activation!r}"
            )
        warn_of_run_length(self, steps_per_epoch)
        frozen = [layer.name for layer in frozen_layers(model, self.freeze_until)]
        if frozen:
            logger.warning(
                f"{len(frozen)} layers are frozen that the recipe would train "
                f"({', '.join(frozen[:3])} ...), and stay so. If that is not meant, call "
                "keras_tdn.training.unfreeze(model) before `compile`."
            )
        freeze_until(model, self.freeze_until)
        if self.partial_batch_norm:
            freeze_batch_norms(model)
        losses, metrics = keras.losses, keras.metrics
        logits = model.classifier_activation is None
        if self.one_hot:
            loss = losses.CategoricalCrossentropy(logits, label_smoothing=self.label_smoothing)
            top1, top_k = metrics.CategoricalAccuracy, metrics.TopKCategoricalAccuracy
        else:
            loss = losses.SparseCategoricalCrossentropy(logits)
            top1, top_k = metrics.SparseCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy
        measured = [top1(name="top1")]
        if model.classes > TOP_K:
            measured.append(top_k(TOP_K, name=f"top{TOP_K}"))
        ours = {"optimizer": self.optimizer(steps_per_epoch), "loss": loss, "metrics": measured}
        model.compile(**{**ours, **arguments})
        if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) and num_replicas() > 1:
            raise ValueError(
                "On TensorFlow, mixed_float16 is for one device: of several, Keras looks for "
                'overflow on the first alone. Build the model with dtype="mixed_bfloat16", or use '
                "the JAX backend."
            )

    def callbacks(self, output: str | os.PathLike[str], **options: Any) -> list[Any]:
        """Returns callbacks for `fit`; see `keras_tdn.training.callbacks.training_callbacks`."""
        from keras_tdn.training.callbacks import training_callbacks

        averages = self.ema_momentum is not None
        return training_callbacks(output, epochs=self.epochs, averages=averages, **options)
