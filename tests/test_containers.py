"""One matrix in every precision and container: the same numbers, or an error that says why not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone

from partsrep import NMF, SAE, Beta, presets

# Zeros and ones are the same number in each precision.
D = np.kron(np.eye(3), np.ones((4, 2)))
D[:, 0] = 1
HALF = slice(0, 6)

DTYPES = [
    *("float16", "float32", "float64", "longdouble"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"),
]
DENSE = {
    "list": lambda D, _: D.tolist(),
    "tuples": lambda D, _: tuple(map(tuple, D.tolist())),
    "rows": lambda D, _: np.array(D, order="C"),
    "columns": lambda D, _: np.array(D, order="F"),
    "backwards": lambda D, _: np.array(D[::-1, ::-1])[::-1, ::-1],
    "strided": lambda D, _: np.repeat(np.repeat(D, 2, 0), 3, 1)[::2, ::3],
    "big-endian": lambda D, _: D.astype(D.dtype.newbyteorder(">")),
    "read-only": lambda D, _: _locked(D.copy()),
    "memory map": lambda D, folder: _mapped(D, folder),
    "DataFrame": lambda D, _: pd.DataFrame(D),
    "named DataFrame": lambda D, _: pd.DataFrame(D, list("zyxwvutsrqpo"), list("abcdef")),
    "tensor": lambda D, _: torch.tensor(D),
}  # fmt: skip
SPARSE = {
    f"{form}_{kind}": getattr(sp, f"{form}_{kind}")
    for form in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")
    for kind in ("array", "matrix")
}
MODELS = {
    "NMF": NMF(3, random_state=0, tol=1e-6),
    "KL": presets.kl_nmf(2, random_state=0),
    "semi": presets.semi_nmf(2, random_state=0),
    "SAE": SAE(3, decoder="nonnegative", max_epochs=10, random_state=0),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def _locked(D):
    D.flags.writeable = False
    return D


def _mapped(D, folder):
    np.save(folder / "D.npy", D)
    return np.load(folder / "D.npy", mmap_mode="r")


@pytest.fixture(scope="module")
def expected():
    """Of each model what it says of the plain matrix."""
    return {
        (str(model), dtype): (
            clone(model).fit(D.astype(dtype)),
            clone(model).fit_transform(D.astype(dtype)),
        )
        for model in MODELS.values()
        for dtype in (np.float32, np.float64)
    }


def agrees(model, X, expected):
    """Whether all methods take X, and say of it what is said of the plain matrix."""
    fitted = clone(model).fit(X)
    codes = fitted.transform(X)
    dtype = fitted.components_.dtype
    plain, plain_codes = expected[str(model), dtype.type]
    close = {"rtol": 1e-3 if dtype == np.float32 else 1e-7, "atol": 1e-3 * (dtype == np.float32)}
    assert isinstance(codes, np.ndarray) and codes.dtype == dtype
    np.testing.assert_allclose(fitted.components_, plain.components_, **close)
    np.testing.assert_allclose(codes, plain.transform(D.astype(dtype)), **close)
    np.testing.assert_allclose(clone(model).fit_transform(X), plain_codes, **close)
    D_hat = fitted.inverse_transform(codes)
    np.testing.assert_allclose(D_hat, codes @ fitted.components_, rtol=1e-5, atol=1e-6)
    error = np.sum((D - D_hat.astype(np.float64)) ** 2)
    if fitted.problem_.objective.fit == Beta(2.0):
        assert fitted.loss_ == pytest.approx(error, rel=1e-4, abs=1e-6)
    assert fitted.score(X) == pytest.approx(1 - error / np.sum((D - D.mean(0)) ** 2), abs=1e-6)
    return dtype


@models
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_precision_gives_the_same_numbers(model, dtype, expected):
    of_model = agrees(model, D.astype(dtype), expected)
    assert of_model == (np.float32 if dtype == "float32" else np.float64) or dtype == "float16"


@models
@pytest.mark.filterwarnings("error:.*feature names")
@pytest.mark.parametrize("container", DENSE)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_every_dense_container_gives_the_same_numbers(model, container, dtype, expected, tmp_path):
    X = DENSE[container](D.astype(dtype), tmp_path)
    before = np.asarray(X).copy()
    agrees(model, X, expected)
    assert np.array_equal(np.asarray(X), before), "data are only read"


@models
@pytest.mark.parametrize("container", SPARSE)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_every_sparse_container_gives_the_same_numbers_or_is_refused(
    model, container, dtype, expected
):
    X = SPARSE[container](D.astype(dtype))
    if isinstance(model, SAE):
        with pytest.raises(TypeError, match="Sparse data was passed for X, but dense"):
            clone(model).fit(X)
        fitted = clone(model).fit(D)
        for method in (fitted.transform, fitted.score):
            with pytest.raises(TypeError, match="Sparse data was passed for X, but dense"):
                method(X)
    else:
        agrees(model, X, expected)
        assert np.array_equal(X.toarray(), D.astype(dtype)), "data are only read"


@models
@pytest.mark.parametrize("trained", ["float32", "float64"])
@pytest.mark.parametrize("applied", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_a_model_is_applied_to_data_of_another_precision(model, trained, applied, expected):
    fitted, _ = expected[str(model), np.dtype(trained).type]
    X = D[HALF].astype(applied)
    codes = fitted.transform(X)
    own = fitted.transform(D[HALF].astype(trained))
    np.testing.assert_allclose(codes, own, rtol=1e-3, atol=1e-5)
    for given in (codes, codes.tolist(), pd.DataFrame(codes), codes.astype(np.float32)):
        D_hat = fitted.inverse_transform(given)
        np.testing.assert_allclose(D_hat, own @ fitted.components_, rtol=1e-3, atol=1e-5)
    assert fitted.score(X) == pytest.approx(fitted.score(D[HALF].astype(trained)), abs=1e-4)


@models
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([["one", "two"]], ValueError, "could not convert string"),
        (np.array([[1, None]], dtype=object), ValueError, "NaN"),
        (np.array([[1 + 2j, 3]]), ValueError, "Complex data not supported"),
        ([[1.0, 2.0], [3.0]], ValueError, "inhomogeneous"),
        (np.ma.masked_equal([[1.0, 2.0], [3.0, 4.0]], 2), ValueError, r"X\.filled.*mask=~X\.mask"),
        (np.float64(3), ValueError, "Expected 2D array"),
        (np.ones(3), ValueError, "Expected 2D array, got 1D"),
        (pd.Series([1.0, 2.0]), ValueError, "Expected a 2-dimensional|Expected 2D array"),
        (np.array([[1.0, np.nan]]), ValueError, "contains NaN"),
        pytest.param(iter([[1.0, 2.0]]), (TypeError, ValueError), ".", id="iterator"),
        (None, ValueError, "Expected 2D array|NoneType"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_matrix_of_numbers_is_refused_by_each_method(model, X, error, message, expected):
    fitted, _ = expected[str(model), np.float64]
    for method in (clone(model).fit, clone(model).fit_transform, fitted.transform, fitted.score):
        with pytest.raises(error, match=message):
            method(X)


@models
def test_codes_of_another_shape_are_refused(model, expected):
    fitted, _ = expected[str(model), np.float64]
    for codes in (np.ones(fitted.n_components_), np.ones((2, 9)), [["a", "b", "c"]]):
        with pytest.raises(ValueError):
            fitted.inverse_transform(codes)
