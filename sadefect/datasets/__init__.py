"""Data sets behind one function; images are read when they are asked for."""

from sadefect.datasets.base import About, Dataset, Sample
from sadefect.datasets.images import read_image
from sadefect.datasets.masks import read_mask
from sadefect.errors import DatasetNotFound, require_choice

__all__ = [
    "About",
    "Dataset",
    "Sample",
    "about_dataset",
    "dataset_fingerprint",
    "dataset_names",
    "load_dataset",
    "read_image",
    "read_mask",
]


def dataset_names():
    """List the names that `load_dataset` takes; instead of ``grid`` any category of MVTec AD.

    Examples
    --------
    >>> "nanotwice" in dataset_names()
    True
    """
    from sadefect.datasets.synthetic import NAMES

    return ["nanotwice", "nanotwice-half", "fabric1", "fabric2", "mvtec_ad/grid", "folder", *NAMES]


def _home(name):
    """Return the module that loads a data set."""
    from sadefect.datasets import fabrics, folder, mvtec_ad, nanotwice, synthetic

    if name.startswith("mvtec_ad/") and name.count("/") == 1 and not name.endswith(("/", "..")):
        return mvtec_ad
    homes = {"folder": folder, **dict.fromkeys(nanotwice.FINGERPRINTS, nanotwice)}
    for names, home in ((fabrics.FOLDERS, fabrics), (synthetic.NAMES, synthetic)):
        homes |= dict.fromkeys(names, home)
    require_choice("name", name, dataset_names())
    return homes[name]


def load_dataset(name, root=None, **options):
    """Load a data set by name.

    Parameters
    ----------
    name : str
        One of `dataset_names`: the paper's nanofibres (``nanotwice``, and at half their size
        ``nanotwice-half``) and woven fabrics (``fabric1``, ``fabric2``), ``mvtec_ad/<category>``,
        your own images (``folder``), or a synthetic stand-in, which needs no files.
    root : path, optional
        Where the files are; by default ``SADEFECT_DATA``, then the user's cache directory.
    **options
        ``size``: pixels to which textures are scaled, 256 by default as in section 4.2, None for
        the files' own size. Of "folder", ``mask_values``: those that mean a defect, as in
        `read_mask`.

    Returns
    -------
    Dataset
        ``train`` (defect-free) and ``test``; each has a length and holds samples with ``image``
        (float32 (H, W) in [0, 1]), ``mask`` (bool), ``kind`` and ``name``.

    Raises
    ------
    ValueError
        If the name is not known.
    DatasetNotFound
        If the files are not there; the message says what to put where.
    DataError
        If a folder is empty, or an image has no mask.

    References
    ----------
    Section 4.1 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> data = load_dataset("synthetic/weave-tiny")
    >>> data.test[0].mask.dtype
    dtype('bool')
    """
    return _home(name).load(name, root, **options)


def dataset_fingerprint(name, root=None):
    """Return what results of a data set are stored under, without its files if it is a known one.

    Parameters
    ----------
    name, root
        As in `load_dataset`.

    Returns
    -------
    str

    Raises
    ------
    DatasetNotFound
        If it has to be computed and the files are not there.
    """
    from sadefect.datasets import mvtec_ad, nanotwice, synthetic

    if name in synthetic.NAMES:
        return synthetic.fingerprint(name)
    known = nanotwice.FINGERPRINTS | mvtec_ad.FINGERPRINTS
    try:
        return load_dataset(name, root).fingerprint
    except DatasetNotFound:
        if name in known:
            return known[name]
        raise


def about_dataset(name):
    """Tell what is known of a data set, an `About`, whether its files are here or not.

    The name is one of `dataset_names`, but not "folder": of your own images nothing is known.

    Examples
    --------
    >>> about_dataset("mvtec_ad/grid").licence
    'CC BY-NC-SA 4.0'
    >>> about_dataset("synthetic/weave").fingerprint
    'synthetic-weave-v1-seed0'
    """
    if name == "folder":
        raise ValueError(f"expected one of {dataset_names()} but 'folder'; received {name!r}")
    home = _home(name)
    return home.about(name) if hasattr(home, "about") else home.ABOUT
