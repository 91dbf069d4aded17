"""What came after the paper: losses that mix or stack SSIM; same network, same residual."""

import keras
from keras import ops

from sadefect.structural_similarity import SSIMLoss, as_batch, statistics

# Of the scales in Wang 2003, finest first; the five-scale original needs 176 pixels for a window of
# 11. As many as fit are taken, and made to add up to 1.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@keras.saving.register_keras_serializable(package="sadefect")
class MultiScaleSSIMLoss(SSIMLoss):
    """``1 - MS-SSIM``, with as many scales as the patch and the window leave room for.

    References
    ----------
    Z. Wang, E. Simoncelli and A. Bovik, Multiscale structural similarity for image quality
    assessment, 2003, doi:10.1109/ACSSC.2003.1292216

    Examples
    --------
    >>> import numpy as np
    >>> patches = np.random.default_rng(0).random((2, 64, 64, 1), dtype="float32")
    >>> round(float(MultiScaleSSIMLoss(data_range=1.0)(patches, patches)), 6)
    0.0
    """

    def call(self, y_true, y_pred):
        x, y, _ = as_batch(y_true, y_pred, self.options)
        c1, c2 = self.options.constants
        sides = [min(x.shape[1:3]) // 2**number for number in range(len(SCALE_WEIGHTS))]
        scales = max(1, sum(side >= self.options.window_size for side in sides))
        product = 1.0
        for number, weight in enumerate(SCALE_WEIGHTS[:scales]):
            mean_x, mean_y, variance_x, variance_y, covariance = statistics(x, y, self.options)
            similar = (2 * covariance + c2) / (variance_x + variance_y + c2)
            if number == scales - 1:
                similar *= (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
            # A negative mean has no root; the clamp leaves it for the other scales to repair.
            mean = ops.maximum(ops.mean(similar, axis=(1, 2)), 1e-3)
            product = product * mean ** (weight / sum(SCALE_WEIGHTS[:scales]))
            x, y = (ops.average_pool(each[..., None], 2)[..., 0] for each in (x, y))
        return 1.0 - product


@keras.saving.register_keras_serializable(package="sadefect")
class L1SSIMLoss(SSIMLoss):
    """``share`` of SSIM's loss, the rest mean absolute difference.

    References
    ----------
    H. Zhao, O. Gallo, I. Frosio and J. Kautz, Loss Functions for Image Restoration with Neural
    Networks, 2017, doi:10.1109/TCI.2016.2644865, who take 0.84 and several scales
    """

    def __init__(self, *, share=0.84, name="l1_ssim_loss", **options):
        super().__init__(name=name, **options)
        self.share = share

    def call(self, y_true, y_pred):
        difference = ops.abs(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))
        difference = ops.mean(difference, axis=tuple(range(1, len(difference.shape))))
        return self.share * super().call(y_true, y_pred) + (1 - self.share) * difference

    def get_config(self):
        return super().get_config() | {"share": self.share}
