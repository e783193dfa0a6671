"""The data sets known by name: each function reads, turns upright, scales and describes one."""

import gzip

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.io import loadmat

from ..lazy import skimage, sklearn
from .dataset import Dataset, Truth
from .files import FILES, locate


def digits() -> Dataset:
    """Handwritten digits, 1797 × 64, from scikit-learn: pixels / 16."""
    raw = sklearn.datasets.load_digits()
    return Dataset(
        name="digits",
        D=raw.data / 16,
        about="Handwritten digits (UCI, in scikit-learn), counts 0-16 divided by 16.",
        image_shape=(8, 8),
        labels=raw.target,
    )


def faces() -> Dataset:
    """Faces from the wild, 100 × 625, from scikit-image, values in [0, 1]."""
    # The other 100 images of the subset show no faces.
    return Dataset(
        name="faces",
        D=skimage.data.lfw_subset()[:100].reshape(100, -1),
        about="The 100 faces of scikit-image's subset of Labeled Faces in the Wild, as they come.",
        image_shape=(25, 25),
    )


def mnist(split: str = "train") -> Dataset:
    """MNIST digits, 60000 × 784 (`split="test"`: 10000): pixels / 255."""
    return _idx("mnist", split, "MNIST handwritten digits (LeCun, Cortes)")


def fashion_mnist(split: str = "train") -> Dataset:
    """Fashion-MNIST clothes, 60000 × 784 (`split="test"`: 10000): pixels / 255."""
    return _idx("fashion-mnist", split, "Fashion-MNIST clothes (Xiao, Rasul, Vollgraf; Zalando)")


def _idx(name, split, about):
    prefixes = {"train": "train", "test": "t10k"}
    if split not in prefixes:
        raise ValueError(f"split must be 'train' or 'test'; got {split!r}.")
    path = f"{name}/{prefixes[split]}"
    images = gzip.decompress(_path(f"{path}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress(_path(f"{path}-labels-idx1-ubyte.gz").read_bytes())
    return Dataset(
        name=name,
        D=np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784) / 255,
        about=f"{about}, {split} split, pixels divided by 255.",
        image_shape=(28, 28),
        labels=np.frombuffer(labels, np.uint8, offset=8).astype(int),
    )


def cbcl() -> Dataset:
    """MIT CBCL faces, the data of Lee and Seung (1999), 2429 × 361: pixels / 255."""
    columns = loadmat(_path("faces/CBCL.mat"))["X"]
    return Dataset(
        name="cbcl",
        D=_upright(columns.T, (19, 19)) / 255,
        about="MIT CBCL training faces (Lee and Seung 1999), pixels divided by 255; 3 images "
        "occur twice.",
        image_shape=(19, 19),
    )


def orl() -> Dataset:
    """ORL (AT&T) faces, 400 × 10304, 10 of each of 40 people: pixels / 255."""
    with np.load(_path("faces/orl_faces_112x92.npz"), allow_pickle=False) as raw:
        images, subject = raw["images"], raw["subject"]
    return Dataset(
        name="orl",
        D=images.reshape(400, -1) / 255,
        about="ORL faces (AT&T Laboratories Cambridge), pixels divided by 255; labels: person.",
        image_shape=(112, 92),
        labels=subject.astype(int) - 1,
    )


def olivetti() -> Dataset:
    """Olivetti faces, ORL cropped, 400 × 4096, 10 of each of 40 people: pixels / 255."""
    columns = loadmat(_path("faces/olivettifaces.mat"))["faces"]
    return Dataset(
        name="olivetti",
        D=_upright(columns.T, (64, 64)) / 255,
        about="Olivetti faces (AT&T Laboratories Cambridge), pixels divided by 255; labels: "
        "person, known from the order of the images.",
        image_shape=(64, 64),
        labels=np.repeat(np.arange(40), 10),
    )


def reuters() -> Dataset:
    """Reuters-21578 news, 7984 × 12411 term counts in 20 classes, sparse, not scaled."""
    return _text("reuters", "gnd1", "Reuters-21578 news")


def newsgroups() -> Dataset:
    """20 Newsgroups, 18221 × 36568 term counts in 20 classes, sparse, not scaled."""
    return _text("20newsgroups", "gnd3", "20 Newsgroups")


def _text(name, classes, about):
    raw = loadmat(_path(f"text/{name}.mat"), squeeze_me=True)
    return Dataset(
        name=name,
        D=sparse.csr_matrix(raw["A"]),
        about=f"{about}: counts of terms (columns) in documents (rows), not scaled; labels: "
        "the 20 classes, numbered from 0 in the order of the file.",
        labels=raw[classes].astype(int) - 1,
        features=raw["vocab"].astype(str),
    )


def pcawg() -> Dataset:
    """PCAWG genomes, 2780 × 96 counts of substitutions, with published signatures and exposures."""
    counts = pd.read_csv(_path("mutations/WGS_PCAWG.96.csv"), index_col=[0, 1])
    signatures = pd.read_csv(
        _path("mutations/sigProfiler_SBS_signatures_2019_05_22.csv"), index_col=[0, 1]
    )
    exposures = pd.read_csv(_path("mutations/PCAWG_sigProfiler_SBS_signatures_in_samples.csv"))
    exposures.index = exposures["Cancer Types"] + "::" + exposures["Sample Names"]
    exposures = exposures.loc[counts.columns].filter(regex="^SBS")
    # Rows and columns by name: the tables agree in order only by courtesy of their authors.
    signatures = signatures.loc[counts.index, exposures.columns]
    return Dataset(
        name="pcawg",
        D=counts.to_numpy(float).T,
        about="PCAWG whole genomes (Alexandrov et al. 2020): counts of single base substitutions "
        "in 96 channels, not scaled; labels: cancer type; truth: the 65 reference signatures "
        "that have published exposures, an estimate and not the makers of the data.",
        labels=np.array([sample.split("::")[0] for sample in counts.columns]),
        features=np.array([f"{base[0]}[{change}]{base[2]}" for change, base in counts.index]),
        samples=counts.columns.to_numpy(str),
        truth=Truth(exposures.to_numpy(float), signatures.to_numpy(float), list(exposures.columns)),
    )


def samson() -> Dataset:
    """Samson scene, 9025 pixels × 156 bands, 3 endmembers: each spectrum / its own maximum."""
    raw = loadmat(_path("hyperspectral/Samson.mat"))
    spectra = _upright(raw["Y"], (95, 95)).T
    return Dataset(
        name="samson",
        # The published endmembers and abundances hold for spectra so scaled, not for raw ones.
        D=spectra / spectra.max(axis=1, keepdims=True),
        about="Samson, 95 x 95 pixels (rows) of 156 bands (columns), each spectrum divided by its "
        "own maximum; truth: published endmembers X and abundances H.",
        scene_shape=(95, 95),
        truth=Truth(raw["S_GT"].reshape(-1, 3), raw["GT"].T, ["soil", "tree", "water"]),
    )


def jasper() -> Dataset:
    """Jasper Ridge scene, 10000 pixels × 198 bands, 4 endmembers: reflectances / 5000."""
    raw = loadmat(_path("hyperspectral/jasperRidge2_R198.mat"), squeeze_me=True)
    return Dataset(
        name="jasper",
        D=_upright(raw["Y"], (100, 100)).T / raw["maxValue"],
        about="Jasper Ridge (NASA AVIRIS), 100 x 100 pixels (rows) of 198 bands (columns), divided "
        "by 5000: 18 values are above 1; truth: published endmembers X and abundances H.",
        scene_shape=(100, 100),
        features=np.array([f"band {band}" for band in raw["SlectBands"]]),
        truth=Truth(_upright(raw["A"], (100, 100)).T, raw["M"], [name[2:] for name in raw["cood"]]),
    )


LOADERS = {
    "digits": digits,
    "faces": faces,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cbcl": cbcl,
    "orl": orl,
    "olivetti": olivetti,
    "reuters": reuters,
    "20newsgroups": newsgroups,
    "pcawg": pcawg,
    "samson": samson,
    "jasper": jasper,
}


def _path(path):
    return locate(FILES[path])


def _upright(rows, shape):
    """Pictures stored column by column, one a row, in the order of numpy: row by row."""
    height, width = shape
    return rows.reshape(-1, width, height).swapaxes(1, 2).reshape(len(rows), -1)
