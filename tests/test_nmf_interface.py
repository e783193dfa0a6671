"""What NMF takes and how it answers: duplicates, streams, scikit-learn's settings, errors."""

import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from problems import digits, random_matrix
from sklearn import decomposition
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from partsrep import (
    NMF,
    SAE,
    TopK,
    choose_n_components,
    compare,
    consensus,
    datasets,
    non_negative_factorization,
    presets,
    restarts,
)
from partsrep.study.matching import match
from partsrep.study.walk import walk

PLACES = {"csr": ("indices", "indptr"), "csc": ("indices", "indptr"), "coo": ("row", "col")}


def stored_twice(D: np.ndarray, form: str, kind: str):
    """D as a sparse matrix that holds each entry in two halves, out of order, and some zeros."""
    rows, columns = np.nonzero(D)
    zeros = np.arange(min(D.shape))
    order = np.random.RandomState(0).permutation(2 * len(rows) + len(zeros))
    rows, columns = (
        np.concatenate([index, index, zeros])[order].astype(np.int32) for index in (rows, columns)
    )
    halves = D[np.nonzero(D)] / 2
    halves = np.concatenate([halves, halves, 0 * zeros])[order]
    container = getattr(sp, f"{form}_{kind}")
    if form == "coo":
        return container((halves, (rows, columns)), shape=D.shape)
    lines, places = (rows, columns) if form == "csr" else (columns, rows)
    order = np.argsort(lines, kind="stable")
    ends = np.cumsum(np.bincount(lines, minlength=D.shape[form == "csc"]))
    return container((halves[order], places[order], np.append(0, ends)), shape=D.shape)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize(
    "model",
    [
        NMF(3),
        NMF(3, init="spa"),
        NMF(3, codes=TopK(2)),
        *(presets.kl_nmf(3), presets.kl_nmf(3, init="random"), NMF(3, solver="mu", beta_loss=1.5)),
        *(presets.semi_nmf(2), presets.convex_nmf(2), presets.separable_nmf(2)),
        *(presets.projective_nmf(2), presets.orthogonal_nmf(2)),
    ],
    ids=lambda model: str(model).replace("\n", ""),
)
def test_entries_that_are_stored_twice_are_summed_and_left_as_they_are(model, form, kind):
    D = np.random.RandomState(0).poisson(1.5, size=(12, 8)).astype(float)
    X = stored_twice(D, form, kind)
    before = pickle.dumps([X.shape, X.nnz, X.data, *(getattr(X, name) for name in PLACES[form])])
    assert np.array_equal(X.toarray(), D) and X.nnz > 2 * np.count_nonzero(D)
    model = clone(model).set_params(random_state=0)
    found, expected = clone(model).fit(X), clone(model).fit(D)
    close = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(found.components_, expected.components_, **close)
    assert found.loss_ == pytest.approx(expected.loss_, rel=1e-6)
    assert found.reconstruction_err_ == pytest.approx(found.loss_**0.5)
    assert found.kkt_residual_ == pytest.approx(expected.kkt_residual_, rel=1e-3, abs=1e-8)
    np.testing.assert_allclose(found.transform(X), expected.transform(D), **close)
    assert found.score(X) == pytest.approx(expected.score(D))
    if model.parts is None:
        twins = zip(restarts(model, X, 2), restarts(model, D, 2), strict=True)
        assert all(one.loss_ == pytest.approx(two.loss_, rel=1e-6) for one, two in twins)
    if hasattr(model, "partial_fit"):
        streams = [clone(model).partial_fit(batch) for batch in (X, D)]
        assert streams[0].loss_ == pytest.approx(streams[1].loss_, rel=1e-6)
    after = pickle.dumps([X.shape, X.nnz, X.data, *(getattr(X, name) for name in PLACES[form])])
    assert after == before, "the caller's matrix stays as it was"


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_entries_that_are_stored_twice_mean_what_scipy_says(form, dtype):
    """In eight bits 200 + 200 is 144, and True + True is True."""
    X = stored_twice(400.0 * np.eye(3), form, "array").astype(dtype)
    fitted = NMF(2, random_state=0).fit(X)
    assert fitted.loss_ == pytest.approx(NMF(2, random_state=0).fit(X.toarray()).loss_)
    assert fitted.loss_ == pytest.approx(float(X.toarray()[0, 0]) ** 2)


NOTHING, MANY = np.zeros((1, 20)), np.zeros((50, 20))
ONE_PIXEL = np.zeros((6, 20))
ONE_PIXEL[2, 3] = 5.0
ONE_COLUMN = np.outer(np.arange(6.0), np.eye(20)[3])


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("settings", [{}, {"parts": "free"}, {"alpha_W": 1e-4}])
@pytest.mark.parametrize(
    "first",
    [[NOTHING], [NOTHING] * 20, [MANY], [ONE_PIXEL], [ONE_COLUMN], [NOTHING, ONE_PIXEL]],
    ids=["nothing", "nothing long", "many", "one pixel", "one column", "one pixel late"],
)
def test_a_stream_may_begin_with_little_or_nothing(first, settings, convert):
    """Afterwards it comes as near a whole fit as a stream that begins with the data."""
    D = random_matrix(3, 60, 4) @ random_matrix(4, 4, 20)
    late, early = (NMF(4, random_state=0, **settings) for _ in range(2))
    for batch in first:
        late.partial_fit(convert(batch))
    assert np.isfinite(late.components_).all() and np.isfinite(late.kkt_residual_)
    for model in (late, early):
        for _ in range(20):
            model.partial_fit(convert(D))
    whole = NMF(4, random_state=0, **settings).fit(D).score(D)
    assert late.score(D) > min(early.score(D), whole) - 0.01


@pytest.mark.parametrize(
    "settings",
    [{"alpha_W": 0.01}, {"alpha_W": 0.01, "l1_ratio": 1.0}, {"parts": "unit"}],
    ids=["L2", "L1", "unit"],
)
def test_how_small_a_first_batch_was_leaves_no_trace(settings):
    """Few samples, or small ones: the end of the stream is that of one without them."""
    D = datasets.load("planted", n_samples=200, n_parts=5, overlap=0.3, noise=0.1).D
    ends = {}
    firsts = {"none": [], "tiny": [1e-30 * D[:50]], "small": [1e-5 * D[:50], 1e-3 * D[:50]]}
    for name, first in (firsts | {"one": [D[:1]], "three": [1e-30 * D[:1], D[:3]]}).items():
        model = NMF(5, random_state=2, **settings)
        batches = [*first, *(D[rows : rows + 50] for rows in range(0, 200, 50))]
        for batch in batches:
            model.partial_fit(batch)
        assert model.n_iter_ == len(batches)
        ends[name] = model.score(D)
    assert list(ends.values()) == pytest.approx([ends["none"]] * len(ends), abs=1e-3)
    assert ends["none"] > NMF(5, random_state=2, **settings).fit(D).score(D) - 0.02


def test_a_large_batch_leaves_what_was_learned():
    """A stream begins anew only where that is better, and what a fit has found is never lost."""
    D = np.abs(random_matrix(3, 2000, 4) @ random_matrix(4, 4, 20))
    for model in (NMF(4, random_state=0), NMF(4, random_state=0).fit(D[:40])):
        for rows in 40 * [slice(0, 40)]:
            model.partial_fit(D[rows])
        before = model.components_
        model.partial_fit(D)
        assert match(model.components_, before).mcc > 0.95


def test_parts_that_the_first_batch_has_no_use_for_begin_in_a_later_one():
    """NNDSVD of data of rank 1 has one part and zeros."""
    D = random_matrix(3, 60, 4) @ random_matrix(4, 4, 20)
    nmf = NMF(4, init="nndsvd", random_state=0).partial_fit(ONE_COLUMN)
    assert (~nmf.components_.any(axis=1)).sum() == 3
    for _ in range(60):
        nmf.partial_fit(D)
    assert nmf.score(D) > 0.99


def test_parts_that_a_price_has_removed_stay_away():
    D = random_matrix(3, 60, 2) @ random_matrix(4, 2, 20)
    rng = np.random.RandomState(0)
    nmf = NMF(4, init="random", l1_ratio=1.0, random_state=rng).partial_fit(D)
    assert nmf.transform(D).any(axis=0).all(), "each part is used"
    drawn = rng.get_state()[2]
    nmf.set_params(alpha_H=1.0)
    for _ in range(5):
        nmf.partial_fit(D)
    assert not nmf.components_.any(axis=1).all(), "the price removes some"
    assert rng.get_state()[2] == drawn, "nothing has begun anew"


def test_a_given_start_survives_batches_of_zeros():
    D = random_matrix(3, 60, 4) @ random_matrix(4, 4, 20)
    fitted = NMF(4, random_state=0).fit(D)
    nmf = NMF(start=fitted).partial_fit(NOTHING).partial_fit(NOTHING)
    assert match(nmf.components_, fitted.components_).mcc == pytest.approx(1)


# As scikit-learn's --------------------------------------------------------------------------------


def test_settings_and_attributes_are_scikit_learns():
    """Each parameter of its NMF, with its default; each attribute of a fitted one."""
    ours, theirs = NMF().get_params(), decomposition.NMF().get_params()
    assert theirs.items() - ours.items() == {("max_iter", 200)}  # None here: by the solver
    assert NMF(solver="mu")._settings.max_iter == theirs["max_iter"]
    function = inspect.signature(non_negative_factorization).parameters
    expected = inspect.signature(decomposition.non_negative_factorization).parameters
    assert [(p.name, p.default, p.kind) for p in function.values()] == [
        (p.name, p.default, p.kind) for p in expected.values()
    ]
    D = pd.DataFrame(digits(50)).add_prefix("pixel ")
    ours, theirs = (model(3, max_iter=2000).fit(D) for model in (NMF, decomposition.NMF))
    for name in dir(theirs):
        if not name.startswith("_"):
            assert hasattr(ours, name), name
    assert ours.n_components_ == theirs.n_components_ == 3
    assert list(ours.feature_names_in_) == list(theirs.feature_names_in_)
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())


def test_what_is_accepted_for_scikit_learns_sake_changes_nothing():
    D = digits(50)
    plain = NMF(3, random_state=0).fit(D)
    other = NMF(3, random_state=0, verbose=1, shuffle=True).fit(D)
    assert np.array_equal(plain.components_, other.components_)
    _, H, _ = non_negative_factorization(D, n_components=3, random_state=0, shuffle=True, tol=1e-4)
    assert np.allclose(H, plain.components_)


@pytest.mark.parametrize("n_components", [None, "auto"])
def test_no_number_of_parts_is_that_of_the_features(n_components):
    D = random_matrix(0, 10, 4)
    assert NMF(n_components).fit(D).n_components_ == 4
    assert SAE(n_components, max_epochs=1).fit(D).n_components_ == 4
    assert NMF(n_components).partial_fit(D).n_components_ == 4
    assert len(non_negative_factorization(D, n_components=n_components)[1]) == 4
    W, H = np.ones((10, 4)), np.ones((4, 4))
    assert NMF(n_components, init="custom").fit(D, W=W, H=H).n_components_ == 4
    assert not hasattr(NMF(), "n_components_")


@pytest.mark.parametrize("init", ["nndsvd", "spa"])
def test_multiplicative_updates_warn_of_starts_with_zeros(init):
    D = digits(50)
    with pytest.warns(UserWarning, match=f"cannot update zeros .*init='{init}'"):
        presets.kl_nmf(3, init=init, max_iter=20, tol=0).fit(D)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for other in ("random", "nndsvda", "nndsvdar", None):
            presets.kl_nmf(3, init=other, max_iter=20, tol=0).fit(D)
        NMF(3, init=init).fit(D)


def test_partial_fit_is_there_where_it_works():
    assert hasattr(NMF(), "partial_fit") and hasattr(presets.semi_nmf(), "partial_fit")
    for model in (presets.kl_nmf(), presets.convex_nmf(), presets.projective_nmf()):
        assert not hasattr(model, "partial_fit")
    for model in (NMF(parts="nothing"), NMF(parts=3), NMF(solver="nothing"), NMF(inference=3)):
        hasattr(model, "partial_fit")  # whatever the answer, there is one


# Parts that were put there by hand ----------------------------------------------------------------


@pytest.mark.parametrize(
    "model", [NMF(3), presets.kl_nmf(3), NMF(3, codes=TopK(1)), NMF(3, alpha_W=0.1)]
)
def test_parts_may_be_put_there_by_hand(model):  # fmt: skip
    D = digits(60)
    fitted = clone(model).fit(D)
    by_hand = clone(model)
    by_hand.components_ = fitted.components_
    assert np.array_equal(by_hand.transform(D), fitted.transform(D))
    assert by_hand.score(D) == fitted.score(D)
    assert np.array_equal(by_hand.inverse_transform(np.eye(3)), fitted.components_)
    assert compare(by_hand, fitted, D).mcc == compare(fitted, fitted, D).mcc
    by_hand.components_ = fitted.components_.tolist()
    assert np.array_equal(by_hand.transform(D), fitted.transform(D))
    if hasattr(model, "partial_fit"):
        assert by_hand.partial_fit(D).n_iter_ == 1


@pytest.mark.parametrize(
    ("components", "message"),
    [
        (np.ones((3, 4)), "X has 64 features, but the parts in components_ have 4"),
        (np.full((3, 64), np.nan), "components_ contains NaN"),
        (-np.ones((3, 64)), r"Negative values in data passed to NMF \(components_\)"),
        (np.ones(64), "Expected 2D array"),
    ],
)
def test_parts_that_cannot_be_are_refused(components, message):
    nmf = NMF(3)
    nmf.components_ = components
    for method in (nmf.transform, nmf.score, nmf.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(digits(10))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda D: NMF(3, init="custom").partial_fit(D),
            ValueError,
            r"partial_fit takes start=\(H, X\)",
        ),
        (
            lambda D: NMF(3, init="custom").fit(D),
            ValueError,
            "begins from W= and H= given to fit: W is not",
        ),
        (
            lambda D: NMF(3, init="custom", n_init=2).fit(D, W=D[:, :3], H=D[:3]),
            ValueError,
            "init='custom' is a single start",
        ),
        (
            lambda D: choose_n_components(D, [2, 3], estimator=NMF(init="custom")),
            ValueError,
            "begins from W= and H= given to fit",
        ),
        (
            lambda D: non_negative_factorization(D, update_H=False),
            ValueError,
            "give these as H=",
        ),
        (
            lambda D: non_negative_factorization(D, H=np.ones((3, 5)), update_H=False),
            ValueError,
            "Expected 64, but got 5",
        ),
        (
            lambda D: non_negative_factorization(
                D, H=np.ones((3, 64)), n_components=2, update_H=False
            ),
            ValueError,
            "Expected 2, but got 3",
        ),
        (
            lambda D: non_negative_factorization(D, H=D[:3], update_H=False, tol=-1),
            ValueError,
            "tol must be",
        ),
        (lambda D: NMF(3).transform(D), NotFittedError, "not fitted yet"),
        (lambda D: NMF(3).inverse_transform(D), NotFittedError, "not fitted yet"),
        (lambda D: NMF(3).score(D), NotFittedError, "not fitted yet"),
        (
            lambda D: NMF(3).fit(D).inverse_transform(D),
            ValueError,
            "X has 64 columns, but there are 3 parts",
        ),
        (lambda D: consensus(NMF(3) for _ in range(2)), NotFittedError, "has no components_"),
        (lambda D: choose_n_components(D, 3), ValueError, "values must be the numbers of parts"),
        (lambda D: NMF(start=[D[:, :3], D[:3].T]).fit(D), NotFittedError, "or a tuple of two"),
        (lambda D: NMF(start="nmf").fit(D), NotFittedError, "It is 'nmf'"),
        (lambda D: walk(D, {}, 3), ValueError, "problems must hold at least one"),
        (lambda D: walk(D, [1], 3), ValueError, "problems must hold at least one"),
        (lambda D: consensus(iter([])), ValueError, "at least two fits.*got 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call(digits(60))


def test_parts_alone_make_no_autoencoder():
    sae = SAE(3)
    sae.components_ = np.ones((3, 64))
    for method in (sae.transform, sae.inverse_transform, sae.score):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            method(digits(5))


def test_a_consensus_takes_any_iterable():
    fits = restarts(NMF(3), digits(60), 3)
    assert np.array_equal(consensus(iter(fits)).components_, consensus(fits).components_)
