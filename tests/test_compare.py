from itertools import combinations

import numpy as np
import pytest
import scipy.optimize
from problems import digits, disjoint_parts
from sklearn.base import clone
from sklearn.decomposition import NMF as SklearnNMF
from sklearn.exceptions import NotFittedError

from partsrep import NMF, SAE, Fixed, TopK, compare, datasets, presets
from partsrep.study.compare import Fit

D = digits(300)
TRAINING, HELDOUT = D[:200], D[200:]


@pytest.fixture(scope="module")
def nmf():
    return NMF(8, random_state=0).fit(TRAINING)


@pytest.fixture(scope="module")
def sae():
    return SAE(8, decoder="nonnegative", random_state=0).fit(TRAINING)


@pytest.fixture(scope="module")
def result(nmf, sae):
    return compare(nmf, sae, TRAINING, HELDOUT)


def test_dead_dictionaries_have_a_table_and_no_picture(nmf):
    dead = SAE.from_weights(np.zeros((8, 64)), np.zeros((64, 8)))
    for pair in ((nmf, dead), (dead, nmf), (dead, dead)):
        found = compare(*pair, TRAINING)
        assert found.mcc == 0 and found.table().loc["MCC"].tolist() == [0]
        with pytest.raises(ValueError, match="No live part"):
            found.plot((8, 8))


def test_losses_are_the_models_own_on_both_sets(result, nmf, sae):
    assert result.loss_a == pytest.approx(nmf.loss_)
    assert result.loss_b == pytest.approx(sae.loss_)
    for split, samples in ((result, TRAINING), (result.heldout, HELDOUT)):
        D_hat = sae.inverse_transform(sae.transform(samples))
        assert split.loss_b == pytest.approx(np.sum((samples - D_hat) ** 2))


def test_the_split_adds_up_and_its_terms_are_those_of_scipys_nnls(result, nmf, sae):
    for split, samples in ((result, TRAINING), (result.heldout, HELDOUT)):
        E_a, E_b = (
            sum(scipy.optimize.nnls(model.components_.T, d)[1] ** 2 for d in samples)
            for model in (nmf, sae)
        )
        assert split.dictionary_gap == pytest.approx(E_b - E_a, abs=1e-8)
        assert split.amortisation_gap == pytest.approx(
            (split.loss_b - E_b) - (split.loss_a - E_a), abs=1e-8
        )
        assert split.amortisation_gap >= -1e-8, "no codes beat exact nonnegative least squares"


def test_matched_parts_are_in_the_order_of_the_pairs(result, nmf, sae):
    A, B = result.components_a, result.components_b
    assert np.array_equal(A, nmf.components_[result.pairs[:, 0]])
    norms = np.linalg.norm(A, axis=1) * np.linalg.norm(B, axis=1)
    assert np.allclose((A * B).sum(axis=1) / norms, result.cosines)
    assert (np.diff(result.cosines) <= 0).all()
    i, j = result.pairs[0]
    expected = np.corrcoef(nmf.transform(TRAINING)[:, i], sae.transform(TRAINING)[:, j])[0, 1]
    assert result.code_correlation[0] == pytest.approx(expected)


def test_a_model_equals_itself(nmf):
    same = compare(nmf, nmf, TRAINING)
    assert same.mcc == same.mcc_alive == pytest.approx(1)
    assert same.dictionary_gap == same.amortisation_gap == 0
    assert same.code_correlation == pytest.approx(np.ones(8))


def test_a_unit_that_is_never_active_is_dead_whatever_its_part(nmf):
    silent = SAE(8, decoder="nonnegative", start=nmf, max_epochs=1, random_state=0).fit(TRAINING)
    silent.module_.encoder.data[:2] = -1.0
    result = compare(nmf, silent, TRAINING)
    assert len(result.pairs) == 6
    assert result.mcc == pytest.approx(result.mcc_alive * 6 / 8)


def test_unequal_numbers_of_parts_count_the_missing_ones_as_zero(nmf):
    fewer = NMF(5, random_state=0).fit(TRAINING)
    result = compare(nmf, fewer, TRAINING)
    assert len(result.pairs) == 5
    assert result.mcc == pytest.approx(result.cosines.sum() / 8)


def test_where_samples_are_independent_a_tie_is_called_trivial(nmf, sae):
    assert not compare(nmf, sae, TRAINING).trivial
    faces = datasets.load("faces").D
    few = NMF(6, random_state=0).fit(faces)
    result = compare(few, few, faces)
    assert result.trivial
    repeated = np.vstack([faces, faces[:1]])
    assert not compare(few, few, repeated).trivial


def test_the_gap_of_a_logistic_output_is_refused(nmf):
    logistic = SAE(8, output="logistic", max_epochs=5, random_state=0).fit(TRAINING)
    result = compare(nmf, logistic, TRAINING)
    assert result.loss_b == pytest.approx(logistic.loss_)
    with pytest.raises(ValueError, match="this SAE has a logistic output"):
        _ = result.dictionary_gap


def test_the_gap_of_a_decoder_bias_or_signed_codes_is_refused(nmf):
    biased = SAE(8, decoder="nonnegative", bias="both", max_epochs=5, random_state=0).fit(TRAINING)
    result = compare(nmf, biased, TRAINING)
    for name in ("dictionary_gap", "amortisation_gap"):
        with pytest.raises(ValueError, match="this SAE has a decoder bias"):
            getattr(result, name)
    assert result.table().loc["dictionary gap"].isna().all()
    assert "undefined" in result._repr_html_()


def test_planted_parts_are_found_by_both():
    data = disjoint_parts()
    nmf = NMF(5, n_init=3, random_state=0).fit(data.D)
    sae = SAE(5, decoder="nonnegative", n_init=3, random_state=0).fit(data.D)
    result = compare(nmf, sae, data.D)
    assert result.mcc > 0.999
    assert min(result.code_correlation) > 0.99
    assert result.loss_b < 1e-3 * np.sum(data.D**2)


# Nulls, angles, supports, selection -------------------------------------------------------------


def test_random_parts_with_exact_codes_are_a_null_that_both_beat(result, nmf, sae):
    alive = len(sae.components_)
    parts = np.abs(np.random.RandomState(0).standard_normal((alive, TRAINING.shape[1])))
    codes = np.array([scipy.optimize.nnls(parts.T, sample)[0] for sample in TRAINING])
    assert result.null_loss == pytest.approx(np.sum((TRAINING - codes @ parts) ** 2))
    assert result.null_loss > max(result.loss_a, result.loss_b)
    shown = result.table().loc["  random parts, exact codes", "training"]
    assert shown == pytest.approx(result.null_loss / np.sum(TRAINING**2))
    fixed = NMF(alive, parts=Fixed(parts.T)).fit(TRAINING)
    assert compare(fixed, sae, TRAINING).loss_a == pytest.approx(result.null_loss)


def test_nulls_are_chance_and_come_from_the_seed(result, nmf, sae):
    again = compare(nmf, sae, TRAINING).nulls
    other = compare(nmf, sae, TRAINING, random_state=1, draws=7).nulls
    for name, null in result.nulls.items():
        assert null.shape == (100,) and other[name].shape == (7,)
        assert np.array_equal(null, again[name])
        assert not np.isin(other[name], null).any()
        assert 0 < null.max() < result.mcc
    # Features of each part in another order: as sparse as before, and nonnegative.
    assert result.nulls["random"].mean() > 0.2
    free = SAE(8, random_state=0, max_epochs=20).fit(TRAINING)
    assert compare(nmf, free, TRAINING).nulls["random"].mean() < 0.5 * result.nulls["random"].mean()


def test_angles_are_those_between_the_spans(nmf):
    components = nmf.components_
    turned = SAE.from_weights(np.ones(components.shape), ((np.eye(8) + 1) @ components).T)
    assert compare(nmf, turned, TRAINING).principal_angles == pytest.approx(np.zeros(8), abs=1e-6)
    first, second = (SAE.from_weights(U, U.T) for U in (np.eye(4)[:2], np.eye(4)[1:3]))
    angles = compare(first, second, np.ones((3, 4))).principal_angles
    assert angles == pytest.approx([0, np.pi / 2], abs=1e-9)


def test_supports_are_compared_sample_by_sample():
    def model(*rows):
        return SAE.from_weights(np.eye(3), np.eye(3)), np.array(rows, float)

    a, D = model([1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0])
    b = SAE.from_weights(np.eye(3), np.eye(3), activation="jumprelu", threshold=[0.0, 2.0, 0.0])
    result = compare(a, b, D)
    # The second unit of b is dead, so that it has no pair.
    assert len(result.pairs) == 2
    assert result.jaccard == 1
    b = SAE.from_weights(np.diag([1.0, 1.0, 1.0]) + 0.01, np.eye(3))
    result = compare(a, b, D)
    assert result.jaccard == pytest.approx((2 / 3 + 1 / 3 + 1 / 3) / 3)
    assert result.jaccard_thresholded == 1
    k = 4 / 4
    assert result.jaccard_expected == pytest.approx(k / (k + (3 - k) / 2))


@pytest.mark.parametrize("k", [1, 3])
def test_selection_and_encoder_add_up_to_the_amortisation_gap(nmf, k):
    sparse = SAE(8, activation=TopK(k), decoder="unit-nonnegative", random_state=0, max_epochs=40)
    result = compare(nmf, sparse.fit(TRAINING), TRAINING, HELDOUT)
    for split in (result, result.heldout):
        assert split.selection_gap + split.encoder_gap == pytest.approx(split.amortisation_gap)
        assert split.selection_gap >= -1e-9 and split.encoder_gap >= -1e-9
        samples, X = split.b.D, sparse.components_.T
        best = np.full(len(samples), np.inf)
        for support in combinations(range(8), k):
            errors = [scipy.optimize.nnls(X[:, support], d)[1] ** 2 for d in samples[:20]]
            best[:20] = np.minimum(best[:20], errors)
        found = Fit(sparse, samples[:20]).sparse_loss
        assert best[:20].sum() - 1e-9 <= found <= 1.05 * best[:20].sum()


def test_a_models_own_support_counts_where_the_search_does_worse():
    rng = np.random.RandomState(0)
    X = np.abs(rng.standard_normal((10, 8))) + 1  # coherent
    H = (rng.uniform(size=(50, 8)).argsort(axis=1) < 4) * rng.uniform(0.5, 2, (50, 8))
    fit = Fit(SAE.from_weights(np.linalg.pinv(X), X, activation=TopK(4)), H @ X.T)
    assert fit.sparse_loss <= fit.loss < 1e-9
    searched = TopK(4).infer(fit.D, X.T)
    assert np.sum((fit.D - searched @ X.T) ** 2) > 1


def test_a_model_without_k_has_no_selection(result):
    assert result.a.k is None and result.selection_gap == 0
    assert result.encoder_gap == result.amortisation_gap


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_l0_nmf_is_all_selection():
    sparse = presets.topk_nmf(6, k=2, random_state=0, max_iter=50).fit(TRAINING)
    plain = NMF(6, random_state=0).fit(TRAINING)
    result = compare(plain, sparse, TRAINING)
    assert result.b.k == 2
    assert result.selection_gap > 0
    assert result.encoder_gap == pytest.approx(0, abs=1e-6 * result.loss_b)


def test_what_is_said_of_a_model_by_itself():
    parts = np.array([[1.0, -3.0, 0.0, 0.0], [0.0, 0.0, 2.0, 2.0], [9.0, 9.0, 9.0, 9.0]])
    model = SAE.from_weights([[1, 0, 0, 0], [0, 0, 1, 0], [-1, -1, -1, -1]], parts.T)
    fit = Fit(model, np.array([[1.0, 0, 0, 0], [2, 0, 1, 0]]))
    assert (fit.alive, fit.l0) == (2, 1.5)
    assert fit.negative_mass == pytest.approx(3 / 8)
    assert fit.coherence == 0
    root = np.sqrt(3)
    assert fit.hoyer == pytest.approx((1 + (root - 3 / np.sqrt(5)) / (root - 1)) / 2)
    assert fit.hoyer_parts == pytest.approx((2 - 4 / np.sqrt(10) + 2 - np.sqrt(2)) / 2)


def test_heldout_samples_have_their_own_supports(result):
    for quantity in ("jaccard", "jaccard_thresholded", "jaccard_expected"):
        assert 0 < getattr(result.heldout, quantity) <= 1
    assert not result.heldout.trivial
    table = result.table()
    assert table.loc["active codes a sample, b", "held-out"] == result.heldout.b.l0


def test_scikit_learns_models_can_be_compared(nmf):
    theirs = SklearnNMF(8, init="random", random_state=0, max_iter=500).fit(TRAINING)
    result = compare(nmf, theirs, TRAINING)
    assert 0.5 < result.mcc <= 1
    assert np.isfinite(result.dictionary_gap)


def test_table_names_every_quantity_and_repr_shows_it(result):
    table = result.table()
    assert list(table.columns) == ["training", "held-out"]
    energy = np.sum(TRAINING**2)
    assert table.loc["relative loss, a", "training"] == pytest.approx(result.loss_a / energy)
    assert table.loc["MCC", "training"] == result.mcc
    assert "amortisation gap" in repr(result)
    assert result.plot(image_shape=(8, 8)).axes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[np.nan] * 64], "D contains NaN"),
        ([[np.inf] * 64], "D contains infinity"),
        (-np.ones((2, 64)), "Negative values"),
        (np.empty((0, 64)), "0 sample"),
        (np.ones(64), "Expected 2D array"),
        ([["a"] * 64], "could not convert"),
        (np.ones((3, 5)), "5 features, but NMF is expecting 64"),
    ],
)
def test_bad_data_get_an_error_that_says_what_is_wrong(nmf, sae, data, message):
    with pytest.raises(ValueError, match=message):
        compare(nmf, sae, data)
    with pytest.raises(ValueError, match=message.replace("D contains", "heldout contains")):
        compare(nmf, sae, TRAINING, heldout=data)


@pytest.mark.parametrize(
    "nmf",
    [NMF(2), NMF(2, parts="unit-nonnegative", codes=TopK(1)), presets.convex_nmf(2)],
    ids=lambda nmf: str(nmf).replace("\n", ""),
)
def test_no_quantity_depends_on_the_unit_of_the_data(nmf):
    """In single precision no square of these is a number."""
    tables = []
    for unit in (1, 4.0**-55):
        data = (unit * TRAINING[:40]).astype(np.float32)
        fits = (clone(nmf).set_params(init="random", random_state=seed) for seed in (0, 1))
        tables.append(compare(*(fit.fit(data) for fit in fits), data, draws=9).table()["training"])
    np.testing.assert_allclose(tables[1].astype(float), tables[0].astype(float), 1e-3, 1e-5)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_losses_that_are_no_numbers_are_an_error(unit):
    data = unit * (TRAINING[:40] + 0.1)
    one = presets.kl_nmf(2, max_iter=20, tol=0).fit(data)
    for of in ((data,), (np.ones_like(data), data)):
        with pytest.raises(ValueError, match=r"for sums of squares in float64: rescale it"):
            compare(one, one, *of)


def test_zeros_are_fine(nmf, sae):
    result = compare(nmf, sae, np.zeros((3, 64)))
    assert result.mcc == 0, "on zeros nothing is active"
    assert result.loss_a == result.loss_b == 0


def test_an_unfitted_model_is_an_error(nmf):
    with pytest.raises(NotFittedError):
        compare(nmf, SAE(8), TRAINING)
