"""JAX's part of `sadefect.backends`."""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import jax
import keras
import numpy as np
from jax import numpy as jnp

_on_device = ContextVar("on_device", default=False)


def card():
    """Return the name of the graphics card that JAX computes on; None without one."""
    device = jax.devices()[0]
    return device.device_kind if device.platform == "gpu" else None


def guarded(value, holds, refuse, words):
    """Return the value, which the host refuses while the step runs.

    `ManySteps` has no host in its loop; what is refused gives a loss of NaN there.
    """
    if not _on_device.get():
        jax.debug.callback(refuse, value)
    return value


@contextmanager
def _without_host():
    token = _on_device.set(True)
    try:
        yield
    finally:
        _on_device.reset(token)


def _as_products(model):
    """Let convolutions from or to a single pixel be products of matrices, the same function.

    cuDNN has no good algorithm for a kernel as large as its map, table 1's conv9 and deconv9: these
    took 59 % of a training step on an H100.
    """
    for layer in model._flatten_layers():
        if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            continue
        shape = tuple(layer.input.shape[1:3])
        if isinstance(layer, keras.layers.Conv2DTranspose):
            if layer.padding == "valid" and shape == (1, 1):
                layer.call = partial(_from_one_pixel, layer)
        elif layer.padding == "valid" and shape == layer.kernel_size:
            layer.convolution_op = _to_one_pixel


def _to_one_pixel(inputs, kernel):
    return jnp.einsum("bijc,ijcd->bd", inputs, kernel)[:, None, None]


def _from_one_pixel(layer, inputs):
    return jnp.einsum("bc,ijdc->bijd", inputs[:, 0, 0], layer.kernel) + layer.bias


def many_steps(model, patches, size):
    """Return `ManySteps` on a card; None on processors, where XLA's loops are many times slower."""
    return ManySteps(model, patches, size) if card() else None


class ManySteps:
    """Take training steps in a loop on the device, which cuts its own patches.

    A step of a small network is shorter than the call that starts it from Python, so that a card
    waits for its host; here it is given up to `LONGEST` steps at once. The model's variables are
    stale until `settle`.

    Parameters
    ----------
    model : keras.Model
        Compiled, with an optimizer that is built; its ``train_step`` is what is looped over.
    patches : RandomPatches
    size : int
        Patches of a batch.
    """

    LONGEST = 1_024

    def __init__(self, model, patches, size):
        self.model, self.patches, self.size = model, patches, size
        self._pixels, self._state = jnp.asarray(patches.pixels()), None
        rate = model.optimizer.learning_rate
        self._rate = next(n for n, v in enumerate(model.optimizer.variables) if v is rate)
        _as_products(model)
        self._run = jax.jit(self._steps, donate_argnums=0)

    def __call__(self, seen, rates):
        """Take a step at each of the learning rates, from the coordinate on; return the losses."""
        count, most = len(rates), self.LONGEST
        if self._state is None:
            parts = ("trainable", "non_trainable", "optimizer", "metrics")
            state = self.model._get_jax_state(**{f"{part}_variables": True for part in parts})
            self._state = jax.tree.map(jnp.copy, state)  # The loop takes them; Keras's stay.
        reads = self.patches.reads(seen, count * self.size)
        padded = np.zeros((3, most, self.size), "int32")
        padded[:, :count] = np.reshape(reads, (3, count, self.size))
        rates = np.pad(np.array(rates, "float32"), (0, most - count))
        with _without_host():
            self._state, losses = self._run(self._state, self._pixels, padded, rates, count)
        return np.asarray(losses)[:count]

    def settle(self):
        """Give the model and its optimizer the variables that they have now."""
        if self._state is None:
            return
        model = self.model
        groups = (model.trainable_variables, model.non_trainable_variables)
        for group, values in zip((*groups, model.optimizer.variables), self._state, strict=False):
            for variable, value in zip(group, values, strict=True):
                variable.assign(jnp.copy(value))

    def _steps(self, state, pixels, reads, rates, count):
        side = jnp.arange(self.patches.patch_size)

        def step(number, carried):
            (trainable, others, optimizer, metrics), losses = carried
            first, down, right = reads[:, number, :, None, None]
            places = first + down * side[:, None] + right * side
            batch = pixels.at[places].get(mode="promise_in_bounds")[..., None]
            optimizer = [*optimizer]
            optimizer[self._rate] = rates[number]
            # Metrics begin at 0, so that the mean loss is that of this batch.
            state = (trainable, others, optimizer, [jnp.zeros_like(value) for value in metrics])
            logs, (trainable, others, optimizer, _) = self.model.train_step(state, (batch, batch))
            state = (trainable, others, optimizer, metrics)
            return jax.tree.map(jnp.asarray, state), losses.at[number].set(logs["loss"])

        state = tuple([*part] for part in state)
        return jax.lax.fori_loop(0, count, step, (state, jnp.zeros(self.LONGEST)))
