"""Loss and gradients of a model in training mode, on the backend that is running."""

import keras


def loss_and_gradients(model, clips, labels):
    """Mean cross-entropy of a model that gives logits, and the gradient of each variable.

    Norms' averages advance, as in a training step.
    """
    compute = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    loss, gradients = compute[keras.backend.backend()](model, clips, labels)
    return float(loss), gradients


def cross_entropy(labels, logits):
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return keras.ops.mean(losses)


def _on_tensorflow(model, clips, labels):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, model(clips, training=True))
    return loss, tape.gradient(loss, [variable.value for variable in model.trainable_variables])


def _on_jax(model, clips, labels):
    import jax

    def compute(trainable, others):
        logits, others = model.stateless_call(trainable, others, clips, training=True)
        return cross_entropy(labels, logits), others

    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    (loss, others), gradients = jax.jit(jax.value_and_grad(compute, has_aux=True))(
        trainable, others
    )
    for variable, value in zip(model.non_trainable_variables, others, strict=True):
        variable.assign(value)
    return loss, gradients


def _on_torch(model, clips, labels):
    model.zero_grad()
    loss = cross_entropy(labels, model(clips, training=True))
    loss.backward()
    return loss, [variable.value.grad for variable in model.trainable_variables]
