import numpy as np
import pytest
import scipy.optimize
from problems import digits, disjoint_parts
from sklearn.decomposition import NMF as SklearnNMF
from sklearn.exceptions import NotFittedError

from partsrep import NMF, SAE, compare, datasets

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
        compare(nmf, sae, TRAINING, heldout=data).heldout.loss_a  # noqa: B018


def test_zeros_are_fine(nmf, sae):
    result = compare(nmf, sae, np.zeros((3, 64)))
    assert result.mcc == 0, "on zeros nothing is active"
    assert result.loss_a == result.loss_b == 0


def test_an_unfitted_model_is_an_error(nmf):
    with pytest.raises(NotFittedError):
        compare(nmf, SAE(8), TRAINING)
