"""TensorFlow's part of `sadefect.backends`; with XLA it cannot raise, and does not."""

import tensorflow as tf


def card():
    """Return the name of the graphics card that TensorFlow computes on; None without one."""
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        return details.get("device_name", device.name)
    return None


def guarded(value, holds, refuse, words):
    """Return the value, after an assertion: no step is taken where it fails."""
    with tf.control_dependencies([tf.debugging.Assert(holds, [words[0], value, words[1]])]):
        return tf.identity(value)
