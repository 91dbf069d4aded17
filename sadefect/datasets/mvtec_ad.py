"""MVTec AD, the same group's later data set."""

from sadefect.datasets.base import About, data_root
from sadefect.datasets.folder import TEXTURE_SIZE, laid_out
from sadefect.errors import DatasetNotFound

FINGERPRINTS = {"mvtec_ad/grid": "8f181499a4bc7f53"}
ABOUT = About(
    images="of `grid` 264 defect-free and 57 with defects, of five kinds, a mask for each",
    source="P. Bergmann, M. Fauser, D. Sattlegger and C. Steger, MVTec AD, CVPR 2019, "
    "doi:10.1109/CVPR.2019.00982",
    licence="CC BY-NC-SA 4.0",
    get="from MVTec's web site, where a form has to be filled in",
    fingerprint=FINGERPRINTS["mvtec_ad/grid"],
)


def load(name, root, size=TEXTURE_SIZE):
    """Load a category of MVTec AD, gray, scaled to 256x256 like the paper's textures.

    Defect-free test images may be missing. The known fingerprint of ``grid`` is that of the copy
    which the recorded results are from, not of the official archive: 512x512 pixels, averaged over
    areas, without the 21 defect-free test images.
    """
    base = data_root(root) / name
    if not base.is_dir():
        raise DatasetNotFound(
            f"expected a category of MVTec AD at {base} with train/good, test and ground_truth; "
            "there is none; get it from the MVTec web site (a form has to be filled in), unpack "
            f"it into {base.parent}, or set SADEFECT_DATA"
        )
    known = FINGERPRINTS.get(name)
    return laid_out(name, base, size, TEXTURE_SIZE, ABOUT.source, ABOUT.licence, known=known)
