"""NanoTWICE, the paper's nanofibres."""

from dataclasses import replace

from skimage.transform import downscale_local_mean

from sadefect.datasets.base import About, Dataset, data_root, fingerprint_of, verified
from sadefect.datasets.folder import defective_samples, good_samples
from sadefect.errors import DatasetNotFound

FINGERPRINT = "d8a29e661a385553"
HALVED = "nanotwice-half"  # The same images at half their size, another reading of the paper.
FINGERPRINTS = {"nanotwice": FINGERPRINT, HALVED: f"{FINGERPRINT}-half"}
ABOUT = About(
    images="5 defect-free of 1024x700 pixels, 40 with defects of 1024x696, a mask for each",
    source="D. Carrera, F. Manganini, G. Boracchi and E. Lanzarone, Defect Detection in SEM Images "
    "of Nanofibrous Materials, 2017, doi:10.1109/TII.2016.2641472",
    licence="none stated; research use with citation",
    get="`sadefect data fetch nanotwice`, or unpack the authors' archive dfg05er_Data.zip",
    fingerprint=FINGERPRINT,
)


def load(name, root):
    """Load five defect-free (1024x700) and forty defective (1024x696) SEM images of nanofibres.

    Fibres reach the last row: the microscope's banner was cut off already, and nothing else has to
    be. The masks stop one to three pixels short of the border in places where a defect crosses it;
    these pixels are scored as they are. Under the name "nanotwice-half" each pixel is the mean of
    four, and a defect where two or more of them are one.
    """
    folders = (data_root(root) / "nanotwice", data_root(root))
    base = next((folder for folder in folders if (folder / "Normal").is_dir()), None)
    if base is None:
        raise DatasetNotFound(
            f"expected NanoTWICE in {data_root(root) / 'nanotwice'} with the folders Normal, "
            "Anomalous/images and Anomalous/gt; there is none; run `sadefect data fetch "
            "nanotwice`, or unpack the authors' dfg05er_Data.zip there, or set SADEFECT_DATA"
        )
    masks = base / "Anomalous" / "gt"
    data = Dataset(
        "nanotwice",
        good_samples(base / "Normal"),
        defective_samples(
            base / "Anomalous" / "images", lambda path: masks / f"{path.stem}_gt.png", "defective"
        ),
        verified("nanotwice", FINGERPRINT, fingerprint_of(base, ("Normal", "Anomalous"))),
        ABOUT.source,
        ABOUT.licence,
    )
    return _halved(data) if name == HALVED else data


def _halved(data):
    """Return a data set at half its size, whose fingerprint says so."""

    def halve(sample):
        def mask():
            return downscale_local_mean(sample.mask.astype("float32"), (2, 2)) >= 0.5

        return replace(
            sample,
            read_image=lambda: downscale_local_mean(sample.image, (2, 2)).astype("float32"),
            read_mask=mask if sample.read_mask else None,
        )

    train, test = (tuple(map(halve, samples)) for samples in (data.train, data.test))
    fingerprint = f"{data.fingerprint}-half"
    return replace(data, name=HALVED, train=train, test=test, fingerprint=fingerprint)


def about(name):
    """Say what is known of it, at the size that its name has."""
    return ABOUT._replace(fingerprint=FINGERPRINTS[name])
