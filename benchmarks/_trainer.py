"""A process that trains on one batch whenever a line comes in, and answers with the seconds."""

import sys
import time

import numpy as np

LATENT = 500


def keras_step(loss, size):
    import keras

    from sadefect import SSIMLoss, build_autoencoder

    def of(ssim):
        return lambda a, b: 1 - ssim(a, b, 1.0)

    if loss == "tf.image.ssim":
        import tensorflow as tf

        loss = of(tf.image.ssim)
    elif loss == "keras.ops.image.ssim":
        loss = of(keras.ops.image.ssim)
    elif loss == "ssim":
        loss = SSIMLoss(data_range=1.0)
    model = build_autoencoder(latent_dim=LATENT)
    model.compile(keras.optimizers.Adam(5e-4, weight_decay=1e-5), loss)
    batch = np.random.default_rng(0).random((size, 128, 128, 1), dtype="float32")
    return lambda: model.train_on_batch(batch, batch)


def torch_step(loss, size):
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
    if loss == "pytorch-msssim":
        import pytorch_msssim

        def measure(a, b):
            return 1 - pytorch_msssim.ssim(a, b, data_range=1.0)
    else:
        measure = nn.functional.mse_loss

    def step():
        optimizer.zero_grad(set_to_none=True)
        value = measure(model(batch), batch)
        value.backward()
        optimizer.step()
        return value.item()

    return step


if __name__ == "__main__":
    framework, loss, size, steps = sys.argv[1:]
    step = (torch_step if framework == "torch" else keras_step)(loss, int(size))
    for _ in range(3):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(steps)):
            step()
        print((time.perf_counter() - start) / int(steps), flush=True)
