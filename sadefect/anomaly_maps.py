"""A trained model and an image give a reconstruction and a residual map (section 3.1, 4.2)."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sadefect.errors import require_choice
from sadefect.inference.forward import BATCH, forward
from sadefect.losses import l2_residual, vae_residual
from sadefect.methods import RESIDUALS, SAMPLES
from sadefect.patches import STRIDE, OverlapAverage, as_image, windows
from sadefect.segmentation import opening
from sadefect.structural_similarity import ssim_residual


class AnomalyMap(NamedTuple):
    """Hold what a model makes of an image: two float32 arrays ``(H, W)``.

    ``reconstruction`` is in gray values; ``residual`` is larger where the image is more anomalous:
    squared differences for l2, ``1 - SSIM`` in [0, 2] for SSIM, the negative logarithm of the
    reconstruction probability, up to a constant, for a VAE.
    """

    reconstruction: np.ndarray
    residual: np.ndarray


def residual_map(name, image, reconstructions, **options):
    """Compute the residual of each pixel, by the name that it has in `RESIDUALS`.

    ``image`` is float32 ``(H, W)`` or ``(B, P, P)``, as is what is returned; ``reconstructions`` is
    a list of float32 ``(..., C)``, more than one for the latent samples of a VAE; ``options`` are
    those of `ssim_map`.
    """
    if name == "vae":
        return vae_residual(image, *reconstructions)
    (reconstruction,) = reconstructions
    if name == "l2":
        return l2_residual(image, reconstruction[..., 0])
    if name == "ssim":
        return ssim_residual(image, reconstruction[..., 0], **options)
    raise ValueError(f"no function computes the residual {name!r}; add it here")


def _sampler(model, residual, samples, seed):
    """Return what turns a batch of windows into a list of reconstructions ``(B, P, P, C)``."""
    if residual != "vae":
        run = forward(model)
        return lambda batch: [run(batch)]
    encode, decode = (forward(model.get_layer(name)) for name in ("encoder", "decoder"))
    generator = np.random.default_rng(seed)

    def sample(batch):
        mean, log_variance = np.split(encode(batch), 2, axis=-1)
        spread = np.exp(0.5 * log_variance)
        shape = (BATCH, *mean.shape[1:])  # Whole batches, so that the last one draws alike.
        draws = (generator.standard_normal(shape, "float32") for _ in range(samples))
        return [decode(mean + spread * draw[: len(batch)]) for draw in draws]

    return sample


def anomaly_map(
    model,
    image,
    residual="ssim",
    *,
    stride=STRIDE,
    average="reconstructions",
    frame=0,
    samples=SAMPLES,
    seed=0,
    **residual_options,
):
    """Reconstruct an image window by window and compare the two.

    Parameters
    ----------
    model : keras.Model
        Maps patches ``(B, P, P, 1)`` to reconstructions of the same shape.
    image : array (H, W) or (H, W, 1)
        Gray values in [0, 1], at least one patch large.
    residual : {"ssim", "l2", "vae"}
        How images and reconstructions are compared: "vae" needs a model of `build_vae`, "l2" is
        that of feature matching too.
    stride : int
        Pixels between windows; the last window of each row and column ends at the border.
    average : {"reconstructions", "maps"}
        "reconstructions" averages overlapping reconstructions and takes one residual of the whole
        image, as this paper's text says; "maps" takes a residual of each window and averages
        these, as the same group's MVTec AD paper says.
    frame : int
        Pixels along the sides of each window that are left out of averages, since they are
        reconstructed worse; at most half of what windows overlap. 0 is the paper's.
    samples, seed : int
        For "vae": latent vectors drawn for each window, each decoded and averaged on its own, and
        the seed of the draws.
    **residual_options
        For "ssim": ``window_size``, ``window``, ``c1``, ... as in `sadefect.ssim_map`.

    Returns
    -------
    AnomalyMap
        ``reconstruction`` and ``residual``, float32 ``(H, W)``.

    Raises
    ------
    DataError
        If the image is not gray, not in [0, 1], holds NaN, or is smaller than a patch.
    ValueError
        If an option is not known.

    References
    ----------
    Sections 3.1 and 4.2 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> import numpy as np
    >>> from sadefect import build_autoencoder
    >>> image = np.random.default_rng(0).random((70, 80), dtype="float32")
    >>> result = anomaly_map(build_autoencoder(32, 4), image)
    >>> result.residual.shape
    (70, 80)
    """
    windows_of = reconstructed_windows(model, image, residual, stride, samples, seed)
    return combine(image, windows_of, residual, average, frame, **residual_options)


def reconstructed_windows(model, image, residual="ssim", stride=STRIDE, samples=SAMPLES, seed=0):
    """Yield the windows of an image with their reconstructions, as many as go in at once.

    Parameters are those of `anomaly_map`.

    Yields
    ------
    corners : int array (N, 2)
    batch : float32 array (N, P, P)
    reconstructions : list of float32 arrays (N, P, P, C)
        One, or one for each latent sample of a VAE.
    """
    require_choice("residual", residual, RESIDUALS)
    image = as_image(image)
    views, corners = windows(image, model.input_shape[1], stride)
    reconstruct = _sampler(model, residual, samples, seed)
    for start in range(0, len(corners), BATCH):
        some = corners[start : start + BATCH]
        batch = views[some[:, 0], some[:, 1]]
        yield some, batch, reconstruct(batch[..., None])


def combine(image, reconstructed, residual, average="reconstructions", frame=0, **residual_options):
    """Average what `reconstructed_windows` yields of an image, and take the residual.

    Parameters
    ----------
    image : array (H, W) or (H, W, 1)
    reconstructed : iterable
        Of `reconstructed_windows`; a list of them serves several residuals of one image.
    residual, average, frame, **residual_options
        As in `anomaly_map`.

    Returns
    -------
    AnomalyMap
    """
    require_choice("average", average, ("reconstructions", "maps"))
    image = as_image(image)
    averages, residuals = [], OverlapAverage(image.shape, frame)
    for corners, batch, outputs in reconstructed:
        shapes = [(*image.shape, output.shape[-1]) for output in outputs]
        averages = averages or [OverlapAverage(shape, frame) for shape in shapes]
        for whole, output in zip(averages, outputs, strict=True):
            whole.add(corners, output)
        if average == "maps":
            residuals.add(corners, residual_map(residual, batch, outputs, **residual_options))
    wholes = [whole.mean() for whole in averages]
    reconstruction = np.mean([whole[..., 0] for whole in wholes], axis=0, dtype="float32")
    if average == "maps":
        return AnomalyMap(reconstruction, residuals.mean())
    return AnomalyMap(reconstruction, residual_map(residual, image, wholes, **residual_options))


def scored_map(model, image, scoring, seed=0):
    """Make the `AnomalyMap` that an image is scored by: the residual, smoothed and opened.

    Takes model and image as `anomaly_map` does, a `sadefect.methods.Scoring`, and the seed of a
    VAE's draws.
    """
    reconstruction, residual = anomaly_map(
        model,
        image,
        scoring.residual,
        stride=scoring.stride,
        average=scoring.average,
        frame=scoring.frame,
        **scoring.residual_options(seed),
    )
    return AnomalyMap(reconstruction, post_processed(residual, scoring))


def post_processed(residual, scoring):
    """Smooth a residual map and open it, float32 ``(H, W)``, as a `Scoring` says."""
    if scoring.smoothing:
        residual = ndimage.gaussian_filter(residual, scoring.smoothing)
    return opening(residual, scoring.opening)
