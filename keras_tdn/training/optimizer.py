"""SGD as the published models were trained with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_tdn.saved_classes import SERIALIZATION_PACKAGE
from keras_tdn.training.distribution import num_replicas

# Arguments that are numbers of at least 0.
FACTORS = ("coupled_weight_decay", "bias_multiplier", "head_multiplier")


class ParameterGroup(NamedTuple):
    """How one variable is updated: factors of the learning rate, and of L2 in its gradient."""

    multiplier: float
    weight_decay: float


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum, L2 coupled to the gradient, and a learning rate per kind of parameter.

    Use it to train as the authors' code means to. It differs from `keras.optimizers.SGD`:

    - The decay is added to the gradient, behind the clipping, and so goes through the momentum.
      Keras' `weight_decay` is decoupled: it shrinks the variable by itself.
    - The momentum adds up gradients and is multiplied by the learning rate of the day, as in
      PyTorch. Keras adds up steps, so that after a drop of the learning rate the old, large steps
      continue for a while.
    - Biases learn faster, and biases, scales and offsets of norms do not decay.

    Reference: Wang et al., CVPR 2021, section 4.1; arXiv:2012.10071. The multipliers are the
    authors' code's.

    Args:
        learning_rate: A float or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: Share of the sum of gradients that is kept at each step.
        coupled_weight_decay: Factor of a kernel that is added to its gradient.
        bias_multiplier: Factor of the learning rate for biases.
        head_multiplier: Factor of the learning rate for the layer named `head_layer`, on top of
            the others: 5 for the transfer to another data set.
        head_layer: Name of the layer that gives the scores.
        global_clipnorm: The gradients of all variables together are scaled down to this norm at
            most; `None` leaves them.
        name: Name of the optimizer.
        **kwargs: What every Keras optimizer takes, such as `use_ema`,
            `gradient_accumulation_steps` and `loss_scale_factor`.

    Raises:
        ValueError: if a number is out of its range, or Keras' own `weight_decay` or `nesterov` is
            asked for.

    Example:

    >>> optimizer = CoupledSGD(learning_rate=0.01, coupled_weight_decay=5e-4)
    >>> model.compile(optimizer, "sparse_categorical_crossentropy")
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        coupled_weight_decay: float = 5e-4,
        bias_multiplier: float = 2.0,
        head_multiplier: float = 1.0,
        head_layer: str = "classifier",
        global_clipnorm: float | None = 20.0,
        name: str = "coupled_sgd",
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("weight_decay", None):
            raise ValueError(
                "CoupledSGD's decay is `coupled_weight_decay`; Keras' `weight_decay` is decoupled "
                "and would come on top. Leave it out."
            )
        if kwargs.pop("nesterov", False):
            raise ValueError("CoupledSGD has no Nesterov momentum. Leave `nesterov` out.")
        options = {"global_clipnorm": global_clipnorm, "name": name, **kwargs}
        super().__init__(learning_rate, momentum=float(momentum), **options)
        self.coupled_weight_decay = coupled_weight_decay
        self.bias_multiplier = bias_multiplier
        self.head_multiplier = head_multiplier
        self.head_layer = head_layer
        self._groups: Sequence[ParameterGroup] = ()
        for field in FACTORS:
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(
                    f"CoupledSGD's `{field}` is a number of at least 0. Received: {field}={value!r}"
                )

    def build(self, variables: Sequence[Any]) -> None:
        """Sorts the variables into their groups."""
        if not self.built:
            self._groups = [self.group_of(variable) for variable in variables]
        super().build(variables)

    def group_of(self, variable: Any) -> ParameterGroup:
        """Returns how a variable is updated, by the name of its layer and its own."""
        *layers, name = variable.path.split("/")
        multiplier = self.head_multiplier if self.head_layer in layers else 1.0
        if name == "bias":
            return ParameterGroup(multiplier * self.bias_multiplier, 0.0)
        decay = 0.0 if name in ("gamma", "beta") else self.coupled_weight_decay
        return ParameterGroup(multiplier, decay)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable by its clipped gradient."""
        index = self._get_variable_index(variable)
        group = self._groups[index]
        gradient = ops.cast(gradient, variable.dtype)
        if group.weight_decay:
            gradient = gradient + group.weight_decay * variable
        rate = ops.cast(learning_rate, variable.dtype) * group.multiplier
        if self.momentum and keras.backend.backend() == "tensorflow" and num_replicas() == 1:
            import tensorflow as tf

            # In one pass over gradient, momentum and variable.
            tf.raw_ops.ResourceApplyMomentum(
                var=(variable.value if isinstance(variable, keras.Variable) else variable).handle,
                accum=self.momentums[index].value.handle,
                lr=rate,
                grad=gradient,
                momentum=tf.cast(self.momentum, gradient.dtype),
            )
            return
        if self.momentum:
            gradient = self.momentums[index] * self.momentum + gradient
            self.assign(self.momentums[index], gradient)
        self.assign_sub(variable, rate * gradient)

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        if keras.backend.backend() == "torch":
            self._update_in_place(grads, trainable_variables, float(learning_rate))
        else:
            super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _update_in_place(self, grads: Any, variables: Any, learning_rate: float) -> None:
        """Updates each group in PyTorch's operations on many tensors, as Keras' own SGD does."""
        import torch

        indices = [self._get_variable_index(variable) for variable in variables]
        for group in dict.fromkeys(self._groups):
            members = [n for n, index in enumerate(indices) if self._groups[index] == group]
            values = [variables[n].value for n in members]
            steps = [grads[n].to(value) for n, value in zip(members, values, strict=True)]
            with torch.no_grad():
                if group.weight_decay:
                    steps = torch._foreach_add(steps, values, alpha=group.weight_decay)
                if self.momentum:
                    sums = [self.momentums[indices[n]].value for n in members]
                    torch._foreach_mul_(sums, self.momentum)
                    torch._foreach_add_(sums, steps)
                    steps = sums
                torch._foreach_add_(values, steps, alpha=-learning_rate * group.multiplier)

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        # Keras clips the gradients of each replica by themselves and adds them up afterwards.
        if num_replicas() > 1:
            if self.gradient_accumulation_steps:
                raise ValueError(
                    "On TensorFlow, gradients are not accumulated on several devices. Leave "
                    "`gradient_accumulation_steps` out and use larger batches, or the JAX backend."
                )
            pairs = super()._all_reduce_sum_gradients(zip(grads, trainable_variables, strict=True))
            grads = [gradient for gradient, _ in pairs]
        super()._backend_apply_gradients(grads, trainable_variables)

    def _clip_gradients(self, grads: Any) -> Any:
        if keras.backend.backend() != "tensorflow" or not self.global_clipnorm:
            return super()._clip_gradients(grads)
        import tensorflow as tf

        # Its norm needs no squares of all gradients, which take as much memory again.
        return tf.clip_by_global_norm(grads, self.global_clipnorm)[0]

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        # Done already, in `_backend_apply_gradients`.
        return grads_and_vars

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["weight_decay"], config["nesterov"]
        return {**config, **{name: getattr(self, name) for name in (*FACTORS, "head_layer")}}
