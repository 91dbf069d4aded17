"""Runs a trained network over patches: with Keras, or with OpenVINO where it is installed.

OpenVINO fuses layers and knows CPUs. The network is handed to it layer by layer, so that any Keras
backend can be the one that trained it; it is used only after it gave what Keras gives on a trial
patch, and made anew when the weights have changed.
"""

import hashlib
import logging
import warnings
from weakref import WeakKeyDictionary

import keras
import numpy as np

from sadefect.provenance import chosen_engine, describe_engine

BATCH = 32  # Patches per forward pass; more do not fit into a CPU's cache.
log = logging.getLogger(__name__)
_compiled = WeakKeyDictionary()


def forward(model):
    """Return a function from patches ``(B, P, P, C)`` to what a network makes of them.

    The network has one input and one output. The function takes and gives float32 arrays, at most
    `BATCH` patches at a time. It has the weights that the model has now: call `forward` again after
    they change, which costs some milliseconds if they did not, and a compilation of about a tenth
    of a second if they did.

    Examples
    --------
    >>> from sadefect import build_autoencoder
    >>> forward(build_autoencoder(32, 4))(np.zeros((2, 32, 32, 1), "float32")).shape
    (2, 32, 32, 1)
    """
    if chosen_engine() == "keras":
        return _by_keras(model)
    from sadefect.inference.openvino import Unsupported, compiled

    digest = hashlib.blake2b(digest_size=16)
    for variable in model.variables:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
    digest = digest.digest()
    if _compiled.get(model, (None,))[0] != digest:
        try:
            run = compiled(model)
        except Unsupported as error:
            warnings.warn(f"Keras runs this network, slower than OpenVINO: {error}", stacklevel=2)
            run = None  # A function of Keras here would hold the model for good.
        else:
            log.info("%s runs the network", describe_engine())
        _compiled[model] = digest, run
    return _compiled[model][1] or _by_keras(model)


def _by_keras(model):
    def run(batch):
        # A batch of another size would make some backends compile a second time.
        missing = np.zeros((max(0, BATCH - len(batch)), *batch.shape[1:]), "float32")
        outputs = model.predict_on_batch(np.concatenate([batch, missing]))
        return keras.ops.convert_to_numpy(outputs)[: len(batch)]

    return run
