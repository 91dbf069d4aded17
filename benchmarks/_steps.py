"""One step of what is compared, ours and that of others: a function that makes a function each."""

import numpy as np

LATENT = 500


def keras_training(loss, size, computed_in="float32"):
    """Table 1's network on the backend that is set."""
    import keras

    from sadefect import SSIMLoss, build_autoencoder
    from sadefect.models import precision

    def of(ssim):
        return lambda a, b: 1 - ssim(a, b, 1.0)

    if loss == "tf.image.ssim":
        import tensorflow as tf

        loss = of(tf.image.ssim)
    elif loss == "keras.ops.image.ssim":
        loss = of(keras.ops.image.ssim)
    elif loss == "ssim":
        loss = SSIMLoss(data_range=1.0)
    with precision(computed_in):
        model = build_autoencoder(latent_dim=LATENT)
    model.compile(keras.optimizers.Adam(5e-4, weight_decay=1e-5), loss)
    batch = np.random.default_rng(0).random((size, 128, 128, 1), dtype="float32")
    return lambda: model.train_on_batch(batch, batch)


def patches(crops, symmetries, size):
    """A batch of crops of an image of NanoTWICE's size, each time the next one."""
    from sadefect import RandomPatches

    image = np.random.default_rng(0).random((700, 1024), dtype="float32")
    source = RandomPatches([image], 128, crops=crops, symmetries=symmetries)
    starts = iter(range(0, 10**9, size))
    return lambda: source.batch(next(starts), size)


def torch_training(loss, size):
    """The same network and optimiser in plain PyTorch, channels last, as its guide advises."""
    import torch
    from torch import nn

    from sadefect.models import SLOPE, TABLE_1

    def leaky(layer):
        return [layer, nn.LeakyReLU(SLOPE)]

    rows = [(1, 4, 2), *TABLE_1]  # Channels of the input; its kernel and stride are not used.
    encoder, decoder = [], []
    for (before, *_), (filters, kernel, stride) in zip(rows, TABLE_1, strict=False):
        encoder += leaky(nn.Conv2d(before, filters, kernel, stride, 1))
    encoder.append(nn.Conv2d(TABLE_1[-1][0], LATENT, 8))
    decoder += leaky(nn.ConvTranspose2d(LATENT, TABLE_1[-1][0], 8))
    for number in range(len(TABLE_1), 0, -1):
        _, kernel, stride = TABLE_1[number - 1]
        there, here = rows[number][0], rows[number - 1][0]
        kind = nn.ConvTranspose2d if stride > 1 else nn.Conv2d
        layer = kind(there, here, kernel, stride, 1)
        decoder += leaky(layer) if number > 1 else [layer]
    model = nn.Sequential(*encoder, *decoder).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-4, weight_decay=1e-5, fused=True)
    batch = torch.rand(size, 1, 128, 128).to(memory_format=torch.channels_last)
    measure = {"mse": nn.functional.mse_loss}[loss]

    def step():
        optimizer.zero_grad(set_to_none=True)
        value = measure(model(batch), batch)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def _pair(size):
    return np.random.default_rng(0).random((2, size, 128, 128, 1), dtype="float32")


def tensorflow_ssim(library, size, window=11):
    """SSIM of a batch and its gradient, by ours or by what TensorFlow and Keras bring."""
    import keras
    import tensorflow as tf

    from sadefect import SSIMLoss

    def of(ssim):
        return lambda a, b: 1 - tf.reduce_mean(ssim(a, b, 1.0, filter_size=window))

    truth, drawn = map(tf.constant, _pair(size))
    measure = {
        "uniform": SSIMLoss(data_range=1.0, window_size=window).__call__,
        "gaussian": SSIMLoss(data_range=1.0, window_size=window, window="gaussian").__call__,
        "tf.image": of(tf.image.ssim),
        "keras.ops.image": of(keras.ops.image.ssim),
    }[library]

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(drawn)
            value = measure(truth, drawn)
        return tape.gradient(value, drawn)

    return lambda: gradient().numpy()


def torch_ssim(library, size):
    """SSIM of a batch and its gradient, by the libraries of PyTorch."""
    import torch

    truth, drawn = (torch.from_numpy(one.transpose(0, 3, 1, 2).copy()) for one in _pair(size))
    drawn.requires_grad_(True)
    if library == "pytorch-msssim":
        from pytorch_msssim import ssim
    elif library == "piq":
        from piq import ssim
    else:
        from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    def step():
        drawn.grad = None
        (1 - ssim(drawn, truth, data_range=1.0)).backward()

    return step
