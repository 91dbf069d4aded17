"""The paper's two woven fabrics."""

from functools import partial

from ..errors import DatasetNotFound
from .base import Dataset, data_root, fingerprint_of
from .folder import TEXTURE_SIZE, defective_samples, good_samples, mask_beside

FOLDERS = {"fabric1": "texture_1", "fabric2": "texture_2"}


def load(name, root, size=TEXTURE_SIZE):
    """One of the paper's two woven fabrics: 100 defect-free and 50 defective images of 512x512."""
    base = data_root(root) / FOLDERS[name]
    if not base.is_dir():
        raise DatasetNotFound(
            f"expected the paper's fabric at {base} with train/good, test/defective and "
            "ground_truth/defective; there is none; its archive textures.zip is no longer at the "
            "address in the paper: unpack a copy there, or use mvtec_ad/grid or synthetic/weave"
        )
    return Dataset(
        name,
        good_samples(base / "train" / "good", size),
        defective_samples(
            base / "test" / "defective",
            partial(mask_beside, base / "ground_truth" / "defective"),
            "defective",
            size,
        ),
        fingerprint_of(base) + (f"-{size}" if size != TEXTURE_SIZE else ""),
        "P. Bergmann et al., 2019, doi:10.5220/0007364503720380",
        "none stated",
    )
