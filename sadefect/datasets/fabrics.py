"""The paper's two woven fabrics."""

from sadefect.datasets.base import About, data_root
from sadefect.datasets.folder import TEXTURE_SIZE, laid_out
from sadefect.datasets.masks import HALF
from sadefect.errors import DatasetNotFound

FOLDERS = {"fabric1": "texture_1", "fabric2": "texture_2"}
ABOUT = About(
    images="100 defect-free and 50 with defects of 512x512 pixels, a mask for each",
    source="P. Bergmann et al., 2019, doi:10.5220/0007364503720380",
    licence="none stated",
    get="textures.zip is no longer at the address in the paper; where you have it, unpack it",
)


def load(name, root, size=TEXTURE_SIZE):
    """Load one of the two fabrics: 100 defect-free and 50 defective images of 512x512 pixels."""
    base = data_root(root) / FOLDERS[name]
    if not base.is_dir():
        raise DatasetNotFound(
            f"expected the paper's fabric at {base} with train/good, test/defective and "
            "ground_truth/defective; there is none; its archive textures.zip is no longer at the "
            "address in the paper: unpack a copy there, or use mvtec_ad/grid or synthetic/weave"
        )
    about = ABOUT.source, ABOUT.licence
    return laid_out(name, base, size, TEXTURE_SIZE, *about, mask_values=HALF)
