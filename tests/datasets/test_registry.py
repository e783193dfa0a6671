import gzip
import os

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import savemat
from sklearn.preprocessing import normalize

from partsrep import datasets
from partsrep.datasets import registry

# name: (shape of D, image_shape, scene_shape, number of classes, number of true parts)
EXPECTED = {
    "digits": ((1797, 64), (8, 8), None, 10, None),
    "faces": ((100, 625), (25, 25), None, None, None),
    "mnist": ((60000, 784), (28, 28), None, 10, None),
    "fashion-mnist": ((60000, 784), (28, 28), None, 10, None),
    "cbcl": ((2429, 361), (19, 19), None, None, None),
    "orl": ((400, 10304), (112, 92), None, 40, None),
    "olivetti": ((400, 4096), (64, 64), None, 40, None),
    "reuters": ((7984, 12411), None, None, 20, None),
    "20newsgroups": ((18221, 36568), None, None, 20, None),
    "pcawg": ((2780, 96), None, None, 37, 65),
    "samson": ((9025, 156), None, (95, 95), None, 3),
    "jasper": ((10000, 198), None, (100, 100), None, 4),
}
NONZERO = {"reuters": 338_050, "20newsgroups": 893_733}
# Relative error of the published factors.
SCENE_ERROR = {"samson": 0.097, "jasper": 0.175}


@pytest.fixture(scope="module", params=EXPECTED)
def data(request):
    if request.param not in ("digits", "faces") and "PARTSREP_DATA" not in os.environ:
        pytest.skip("PARTSREP_DATA does not name a folder with the data files")
    return datasets.load(request.param)


def test_every_name_is_covered_here():
    assert set(registry.LOADERS) == set(EXPECTED)


def test_shapes_are_those_published(data):
    shape, image_shape, scene_shape, n_classes, n_parts = EXPECTED[data.name]
    assert data.D.shape == shape and data.D.dtype == np.float64
    assert data.image_shape == image_shape and data.scene_shape == scene_shape
    assert data.about
    if n_classes is None:
        assert data.labels is None
    else:
        assert data.labels.shape == shape[:1] and len(np.unique(data.labels)) == n_classes
        if data.labels.dtype.kind != "U":
            assert (data.labels.min(), data.labels.max()) == (0, n_classes - 1)
    if n_parts is None:
        assert data.truth is None
    else:
        assert data.truth.H.shape == (shape[0], n_parts)
        assert data.truth.X.shape == (shape[1], n_parts)
        assert len(set(data.truth.names)) == n_parts
    assert data.features is None or data.features.shape == shape[1:]
    assert data.samples is None or data.samples.shape == shape[:1]


def test_values_are_finite_nonnegative_and_scaled_as_stated(data):
    D = data.D.data if sparse.issparse(data.D) else data.D
    assert np.isfinite(D).all() and D.min() >= 0
    assert np.all(np.asarray(data.D.sum(axis=1)) > 0)
    if data.image_shape:
        assert 0.9 < D.max() <= 1
    elif data.name == "samson":
        assert np.all(D.max(axis=1) == 1)
    elif data.name == "jasper":
        assert np.count_nonzero(D > 1) == 18
    else:
        assert np.array_equal(D, np.round(D))
    if data.name in NONZERO:
        assert data.D.format == "csr" and data.D.nnz == NONZERO[data.name]


def test_labels_belong_to_their_rows(data):
    if data.labels is None:
        pytest.skip("no labels")
    step = max(1, len(data.labels) // 3000)
    rows = normalize(sparse.csr_matrix(data.D[::step]))
    labels = np.unique(data.labels[::step], return_inverse=True)[1]

    def agreement(labels):
        """Share of the odd samples that lie nearest to their own class's mean over the even."""
        even = labels[::2]
        member = sparse.csr_matrix((np.ones(len(even)), (even, np.arange(len(even)))))
        means = normalize(member, norm="l1") @ rows[::2]
        return np.mean((rows[1::2] @ means.T).toarray().argmax(axis=1) == labels[1::2])

    shuffled = np.random.RandomState(0).permutation(labels)
    assert agreement(labels) > agreement(shuffled) + 0.2


def symmetry(picture, axis):
    return np.corrcoef(picture.ravel(), np.flip(picture, axis).ravel())[0, 1]


def test_pictures_are_upright(data):
    if data.image_shape is None:
        pytest.skip("no pictures")
    # A three mirrors top to bottom; trousers and faces mirror left to right.
    kind = {"digits": 3, "mnist": 3, "fashion-mnist": 1}.get(data.name)
    chosen = data.D if kind is None else data.D[data.labels == kind]
    picture = chosen.mean(axis=0).reshape(data.image_shape)
    top_bottom, left_right = symmetry(picture, 0), symmetry(picture, 1)
    assert (top_bottom > left_right) == (kind == 3)


@pytest.mark.parametrize("data", SCENE_ERROR, indirect=True)
def test_scenes_are_upright_and_fit_their_published_factors(data):
    H, X = data.truth.H, data.truth.X
    error = np.linalg.norm(data.D - H @ X.T) / np.linalg.norm(data.D)
    assert round(error, 3) == SCENE_ERROR[data.name]
    assert np.allclose(H.sum(axis=1), 1, atol=1e-3)
    # In both scenes the water runs from the top to the bottom.
    water = H[:, data.truth.names.index("water")].reshape(data.scene_shape)
    assert water.mean(axis=0).std() > 2 * water.mean(axis=1).std()
    # Vegetation reflects the near infrared, water does not.
    tree = X[:, data.truth.names.index("tree")]
    assert tree[-60:].mean() > 2 * X[-60:, data.truth.names.index("water")].mean()


@pytest.mark.parametrize("data", ["pcawg"], indirect=True)
def test_published_exposures_and_signatures_reproduce_the_counts(data):
    fitted = data.truth.H @ data.truth.X.T
    lengths = np.linalg.norm(fitted, axis=1) * np.linalg.norm(data.D, axis=1)
    assert round(np.median((fitted * data.D).sum(axis=1) / lengths), 3) == 0.969
    # SBS1 is the deamination of CpG: C>T before G.
    clock = data.features[np.argsort(data.truth.X[:, data.truth.names.index("SBS1")])[-4:]]
    assert all(channel[1:6] == "[C>T]" and channel[6] == "G" for channel in clock)


@pytest.mark.skipif("PARTSREP_DATA" not in os.environ, reason="PARTSREP_DATA is not set")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_test_split_is_the_other_ten_thousand(name):
    test = datasets.load(name, split="test")
    assert test.D.shape == (10000, 784) and test.labels.shape == (10000,)
    assert "test" in test.about


# The loaders on small files of the same layout, so that they are tested without the data.


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_are_read_split_by_split(register, rng, name):
    images = {split: rng.randint(256, size=(3, 28, 28), dtype=np.uint8) for split in "ab"}
    for split, prefix in zip("ab", ("train", "t10k"), strict=True):
        pixels, labels = images[split].tobytes(), bytes([7, 0, 9])
        register(
            f"{name}/{prefix}-images-idx3-ubyte.gz",
            lambda path, b=pixels: path.write_bytes(gzip.compress(bytes(16) + b)),
        )
        register(
            f"{name}/{prefix}-labels-idx1-ubyte.gz",
            lambda path, b=labels: path.write_bytes(gzip.compress(bytes(8) + b)),
        )
    train, test = datasets.load(name), datasets.load(name, split="test")
    assert np.array_equal(train.D.reshape(3, 28, 28) * 255, images["a"])
    assert np.array_equal(test.D.reshape(3, 28, 28) * 255, images["b"])
    assert train.labels.tolist() == [7, 0, 9]


def test_pictures_stored_column_by_column_are_turned_upright(register, rng):
    pictures = rng.randint(256, size=(5, 19, 19), dtype=np.uint8)
    columns = np.stack([picture.ravel(order="F") for picture in pictures], axis=1)
    register("faces/CBCL.mat", lambda path: savemat(path, {"X": columns}))
    cbcl = datasets.load("cbcl")
    assert np.array_equal(cbcl.D[4].reshape(cbcl.image_shape), pictures[4] / 255)


def test_a_scene_stored_column_by_column_is_turned_upright_with_its_truth(register, rng):
    abundances = rng.dirichlet(np.ones(3), size=(95, 95))
    endmembers = rng.uniform(size=(3, 6))
    endmembers[:, 0] = 1  # so that each spectrum's own maximum is 1 and scaling changes nothing
    Y = (abundances @ endmembers).reshape(-1, 6, order="F").T
    register(
        "hyperspectral/Samson.mat",
        lambda path: savemat(path, {"Y": 7 * Y, "GT": endmembers, "S_GT": abundances}),
    )
    samson = datasets.load("samson")
    assert np.allclose(samson.D, samson.truth.H @ samson.truth.X.T)
    for j in range(3):
        assert np.array_equal(samson.truth.H[:, j].reshape(samson.scene_shape), abundances[:, :, j])


def test_mutation_tables_are_joined_by_name_not_by_order(register, rng):
    channels = pd.MultiIndex.from_tuples([("C>A", "ACA"), ("C>T", "TCG"), ("T>G", "GTT")])
    samples = ["Liver-HCC::s1", "Liver-HCC::s2", "CNS-GBM::s1"]
    X = pd.DataFrame(rng.randint(9, size=(3, 3)), channels, ["SBS1", "SBS84", "SBS2"])
    H = pd.DataFrame(rng.randint(9, size=(3, 2)), samples, ["SBS1", "SBS2"])
    counts = X[H.columns] @ H.T
    exposures = H.iloc[[2, 0, 1], ::-1]
    keys = [sample.split("::") for sample in exposures.index]
    exposures.insert(0, "Cancer Types", [key[0] for key in keys])
    exposures.insert(1, "Sample Names", [key[1] for key in keys])
    exposures.insert(2, "Accuracy", 1.0)
    labels = ["Mutation type", "Trinucleotide"]
    register("mutations/WGS_PCAWG.96.csv", lambda p: counts.to_csv(p, index_label=labels))
    register(
        "mutations/sigProfiler_SBS_signatures_2019_05_22.csv",
        lambda p: X.iloc[[2, 1, 0]].to_csv(p, index_label=labels),
    )
    register(
        "mutations/PCAWG_sigProfiler_SBS_signatures_in_samples.csv",
        lambda p: exposures.to_csv(p, index=False),
    )
    pcawg = datasets.load("pcawg")
    assert pcawg.truth.names == ["SBS2", "SBS1"]
    assert np.array_equal(pcawg.D, pcawg.truth.H @ pcawg.truth.X.T)
    assert pcawg.samples.tolist() == samples
    assert pcawg.labels.tolist() == ["Liver-HCC", "Liver-HCC", "CNS-GBM"]
    assert pcawg.features.tolist() == ["A[C>A]A", "T[C>T]G", "G[T>G]T"]
