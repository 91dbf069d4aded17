"""Downloads, for the data sets that are still served by somebody."""

import lzma
import stat
import warnings
import zipfile
import zlib
from pathlib import Path

from sadefect.datasets.base import data_root
from sadefect.errors import DataError, DatasetNotFound
from sadefect.files import whole

# Where a set's authors serve it, and where its archive's folders lie below the data set's.
ARCHIVES = {"nanotwice": "http://web.mi.imati.cnr.it/ettore/NanoTWICE/dfg05er_Data.zip"}
LIMIT = 2_000_000_000  # Bytes that an archive may unpack to.
# RuntimeError is what zipfile says of passwords.
DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip


def fetch_dataset(name, root=None, *, url=None, known_hash=None):
    """Download a data set and unpack it where `load_dataset` looks for it; return its folder.

    Nothing is downloaded if it is there. The set is "nanotwice"; others cannot be downloaded
    without a form, and the error says how. ``url`` is another address, ``known_hash`` the SHA-256
    of the archive as "sha256:...". Raises `DatasetNotFound` if the set is not served, or the host
    cannot be reached, and `DataError` as `unpack` does.
    """
    from sadefect.datasets import load_dataset

    if name not in ARCHIVES:
        try:
            load_dataset(name, root)
        except (DataError, TypeError) as error:
            raise DatasetNotFound(f"{name} cannot be downloaded; {error}") from error
        return data_root(root)
    folder = data_root(root) / name
    if folder.is_dir():
        return folder
    archive = _download(name, url or ARCHIVES[name], known_hash)
    with whole(folder) as temporary:
        unpack(archive, temporary)
    load_dataset(name, root)
    return folder


def _download(name, url, known_hash):
    import pooch

    target = data_root() / "downloads"
    try:
        path = Path(pooch.retrieve(url, known_hash, path=target, progressbar=True))
    except (OSError, ValueError) as error:
        raise DatasetNotFound(
            f"expected {name} at {url}; it cannot be downloaded ({error}); get the archive "
            f"elsewhere, unpack it into {data_root() / name}, or set SADEFECT_DATA"
        ) from error
    if known_hash is None:
        warnings.warn(
            f"no checksum of {url} is known; what came has sha256:{pooch.file_hash(path)}; the "
            "images are compared with those of the recorded results when they are loaded",
            stacklevel=3,
        )
    return path


def unpack(archive, folder):
    """Unpack a zip file into a new folder; only plain files below it, and not too many bytes.

    A single top folder is left out, so that the layout does not depend on how it was packed. Raises
    `DataError` if the archive is damaged, too large, or wants to write elsewhere.
    """
    folder = Path(folder).resolve()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            entries = [entry for entry in entries if "__MACOSX" not in entry.filename]
            if sum(entry.file_size for entry in entries) > LIMIT:
                raise DataError(
                    f"expected at most {LIMIT:,} bytes in {archive}; it unpacks to more; unpack "
                    "it yourself if you trust it"
                )
            tops = {entry.filename.split("/")[0] for entry in entries}
            nested = len(tops) == 1 and all("/" in entry.filename for entry in entries)
            for entry in entries:
                name = entry.filename.split("/", 1)[1] if nested else entry.filename
                target = (folder / name).resolve()
                kind = stat.S_IFMT(entry.external_attr >> 16)
                # No links, devices or pipes, and nothing elsewhere.
                if kind not in (0, stat.S_IFREG) or folder not in target.parents:
                    raise DataError(
                        f"expected plain files below the data set's folder in {archive}; got "
                        f"{entry.filename!r}; do not trust this archive"
                    )
                content = opened.read(entry)
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as file:
                        file.write(content)
                except (FileExistsError, NotADirectoryError) as error:
                    raise DataError(
                        f"expected each file once in {archive}; got {entry.filename!r} where there "
                        "is something already; do not trust this archive"
                    ) from error
    except DAMAGED as error:
        raise DataError(
            f"expected a zip archive without a password; {archive} is damaged or has one "
            f"({error}); remove it and fetch again"
        ) from error
