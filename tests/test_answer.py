from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from partsrep import NMF, SAE, Layer, Parts, Problem, TopK, datasets, predict, presets, verdict
from partsrep.study.answer import answer, described, found_again, looked_at, methods

RNG = np.random.RandomState(0)
H = RNG.uniform(0.2, 1, (40, 2)) * (RNG.uniform(size=(40, 2)) < 0.6)
EXACT = H @ np.kron(np.eye(2), [[1, 2, 3]])
NOISY = EXACT + 0.1 * RNG.uniform(size=EXACT.shape)
OPEN = RNG.uniform(0.5, 1, (40, 2)) @ RNG.uniform(0.5, 1, (2, 6))


def answered(D, m, decoder="nonnegative", seeds=2, k=0):
    nmf, sae = methods(D, m, decoder, k)
    return answer(verdict(D, nmf, sae, seeds=seeds), predict(D, m, sae, seeds=2), D)


def test_exact_planted_parts_agree_and_either_method_will_do():
    found = answered(EXACT, 2)
    assert (found.agree, found.recommendation, found.deciding_condition) == (True, "either", "none")
    assert found.excess is None and found.predicted_excess == (None, None)


def test_with_noise_the_excess_is_that_of_the_best_fits():
    nmf, sae = methods(NOISY, 2)
    judged = verdict(NOISY, nmf, sae, seeds=2)
    found = answer(judged, predict(NOISY, 2, sae, seeds=2), NOISY)
    losses = ([fit.loss_ for fit in fits] for fits in (judged.fits_b, judged.fits_a))
    assert found.excess == min(next(losses)) / min(next(losses)) - 1
    low, high = found.predicted_excess
    assert low < high and found.recommendation == "either"


def test_provably_open_data_are_undetermined():
    found = answered(OPEN, 2)
    assert (found.agree, found.recommendation) == (None, "nobody-can-tell")
    assert found.deciding_condition == "uniqueness"


def test_a_free_decoder_disagrees_by_its_signs_and_nmf_is_used():
    D = RNG.exponential(size=(60, 4)) * (RNG.uniform(size=(60, 4)) < 0.5) @ np.eye(4).repeat(2, 1)
    found = answered(D, 4, "free", seeds=3)
    assert (found.agree, found.recommendation, found.deciding_condition) == (False, "nmf", "signs")


def test_topk_has_its_say_in_the_answer():
    assert methods(EXACT, 2, k=1)[1].problem.codes == TopK(1)
    with pytest.raises(ValueError, match="at least 3 parts"):
        methods(EXACT, 2, k=3)
    D = RNG.exponential(size=(60, 4)) * (RNG.uniform(size=(60, 4)) < 0.9) @ np.eye(4).repeat(2, 1)
    found = answered(D, 4, k=1)
    assert (found.agree, found.recommendation) == (False, "nmf")
    assert found.deciding_condition == "selection"


def test_signed_data_are_undetermined_for_their_parts_can_be_mixed_at_no_loss():
    D = EXACT - EXACT.mean(axis=0)
    found = answered(D, 2)
    assert (found.agree, found.recommendation) == (None, "nobody-can-tell")
    assert found.deciding_condition == "signs" and "semi-NMF" in found.reasons[0]
    # What it says of semi-NMF, on a fit:
    nmf = presets.semi_nmf(2, random_state=0).fit(D)
    mixing = np.eye(2) + 0.3 * (1 - np.eye(2))
    codes, parts = nmf.transform(D) @ mixing, np.linalg.solve(mixing, nmf.components_)
    assert (codes >= 0).all()
    np.testing.assert_allclose(codes @ parts, nmf.transform(D) @ nmf.components_, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_of_one_part_there_is_no_chance_and_the_cosine_decides(sign):
    D = np.outer(RNG.uniform(0.5, 1, 40), [1.0, 2 * sign, 0.5])
    found = answered(D, 1)
    assert (found.agree, found.recommendation) == (True, "either")
    assert "singular vector" in found.reasons[0]


def fit(loss, components, D, nonnegative=True):
    return SimpleNamespace(
        loss_=loss,
        n_components=len(components),
        components_=components,
        problem_=Problem(inference=Layer(), parts=Parts(nonnegative=nonnegative)),
        transform=lambda _: np.ones((len(D), len(components))),
        inverse_transform=lambda codes: codes @ components,
    )


def judged(agree, ours, theirs, determined=True, agreement=0.7):
    return SimpleNamespace(
        agree=agree,
        determined=determined,
        agreement=agreement,
        fits_a=ours,
        fits_b=theirs,
        chance=0.2,
        reason="so it is",
    )


def foretold(agree=True, condition="none", agreements=(1.0,)):
    names = "noise", "signs"
    steps = {
        name: SimpleNamespace(agreement=value)
        for name, value in zip(names, agreements, strict=False)
    }
    return SimpleNamespace(
        agree=agree, deciding_condition=condition, steps=steps, excess=(0.0, 0.1)
    )


LONG, WIDE = np.ones((9, 3)), np.ones((2, 3))
SAME, OTHER = np.eye(2, 3), np.array([[0.0, 0, 1], [1, 1, 1]])


@pytest.mark.parametrize(
    ("D", "agree", "loss", "theirs", "expected"),
    [
        (LONG, None, 9, [SAME, SAME], "nobody-can-tell"),
        (LONG, True, 9, [SAME, SAME], "either"),
        (WIDE, True, 9, [SAME, SAME], "nmf"),
        (LONG, False, 9.95, [SAME, SAME], "nmf"),  # hardly less
        (LONG, False, 9, [SAME, OTHER], "nmf"),  # not found again
        (LONG, False, 9, [SAME, SAME], "sae"),
        (WIDE, False, 9, [SAME, SAME], "nmf"),  # fewer samples than features
    ],
)
def test_the_rule_of_the_recommendation(D, agree, loss, theirs, expected):
    ours = [fit(10, SAME, D)]
    theirs = [fit(loss, parts, D) for parts in theirs]
    found = answer(judged(agree, ours, theirs), foretold(), D)
    assert found.recommendation == expected
    assert found.excess == pytest.approx(loss / 10 - 1)


@pytest.mark.parametrize(
    ("D", "verdict", "foretold", "expected"),
    [
        (LONG, (None, False), foretold(), "uniqueness"),
        (LONG, (None, False), foretold(None, "optimiser"), "optimiser"),
        (WIDE, (None, False), foretold(None, "optimiser"), "samples"),
        (LONG, (False, True), foretold(agreements=(1, 0.5)), "signs"),
        (LONG, (False, True), foretold(agreements=(0.5, 0.5)), "noise"),
        (LONG, (False, True), foretold(False, "signs"), "signs"),
        (LONG, (None, True), foretold(), "optimiser"),
        (LONG, (True, True), foretold(False, "noise"), "none"),
    ],
)
def test_the_rule_of_the_deciding_condition(D, verdict, foretold, expected):
    agree, determined = verdict
    fits = [fit(10, SAME, D)], [fit(10, SAME, D), fit(10, OTHER, D)]
    assert answer(judged(agree, *fits, determined), foretold, D).deciding_condition == expected


@pytest.mark.parametrize(
    ("agreement", "determined", "nonnegative", "expected"),
    [
        (0.7, True, False, False),
        (0.9, True, False, None),
        (0.7, False, False, None),
        (0.7, True, True, None),
    ],
)
def test_a_free_decoder_disagrees_where_seeds_leave_it_undecided(
    agreement, determined, nonnegative, expected
):
    fits = [fit(10, SAME, LONG)], [fit(10, OTHER, LONG, nonnegative)] * 2
    found = answer(judged(None, *fits, determined, agreement), foretold(False, "signs"), LONG)
    assert found.agree is expected
    assert ("claim T2" in found.reasons[0]) == (expected is False)


def test_a_method_finds_its_parts_again_as_far_as_a_verdict_asks_it_of_nmf():
    assert found_again([fit(1, SAME, LONG)] * 2, LONG, 0.2)
    assert not found_again([fit(1, SAME, LONG)] * 2, LONG, 0.99)
    assert not found_again([fit(1, SAME, LONG), fit(1, OTHER, LONG)], LONG, 0.6)


def test_data_are_described():
    D = np.array([[0.0, 2, 0], [0, -1, 0], [0, 0, 0]])
    said = {
        "samples": 3,
        "features": 3,
        "least entry": -1,
        "largest entry": 2,
        "zeros": 7 / 9,
        "negative entries": 1,
        "samples without an entry": 1,
        "features without an entry": 2,
    }
    assert described(D) == pytest.approx(said)
    assert described(sp.csr_array(D)) == pytest.approx(said)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_what_is_no_number_is_named_by_row_and_column(kind):
    D = np.ones((3, 2))
    D[1, 1] = D[2, 0] = np.nan
    with pytest.raises(ValueError, match="row 2, column 2 is nan, as 1 other entries: no finite"):
        described(kind(D))
    with pytest.raises(ValueError, match=r"row 2 \('two'\), column 2 \('b'\) is nan"):
        described(kind(D), np.array(["a", "b"]), np.array(["one", "two", "three"]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3), "from one sample.*transpose it"), ((3, 1), "from one feature"), ((3, 3), "are 0")],
)
def test_too_little_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        described(np.zeros(shape))


def test_of_large_data_some_samples_are_drawn_by_the_seed():
    D = np.arange(30_000.0).reshape(3000, 10)
    assert len(looked_at(D, 8)) == len(D)
    tall = np.tile(D, (20, 1))
    some = looked_at(tall, 8)
    assert len(some) == 10_000 and (looked_at(tall, 8) == some).all()
    assert (looked_at(tall, 8, seed=1) != some).any()
    assert len(looked_at(sp.csr_array(tall), 100)) == 4000
    assert len(looked_at(np.tile(D, 10))) == 2000
    wide = np.zeros((3000, 1000), np.float32)
    assert len(looked_at(wide, 20)) == 2000, "two a feature"
    assert len(looked_at(np.zeros((3000, 10_000), np.float32), 20)) == 400, "or as many as can be"


def test_large_data_are_trained_the_shorter_way():
    wide = np.broadcast_to(np.float32(1), (2000, 1000))
    nmf, sae = methods(wide, 20)
    assert (sae.solver, sae.decoder, nmf.n_components) == ("alternating", "nonnegative", 20)
    assert methods(EXACT, 2, "free")[1].decoder == "free"
    assert methods(EXACT, 2)[1].solver == SAE().solver and isinstance(nmf, NMF)


def test_signed_data_get_methods_that_take_them():
    nmf, sae = methods(-EXACT, 2)
    assert sae.decoder == "free" and nmf.fit(-EXACT).components_.min() < 0


def test_named_data_can_be_described():
    assert described(datasets.load("bars").D)["zeros"] > 0
