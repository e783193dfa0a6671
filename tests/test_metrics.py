"""Every number that says how alike dictionaries are, on dictionaries whose likeness is known."""

from itertools import pairwise, permutations
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from partsrep import choose_n_components, compare, consensus, verdict
from partsrep.estimators.base import PartsModel
from partsrep.leastsquares import exact_nnls
from partsrep.study.matching import match, unit_rows

M = 5
# Disjoint parts of unequal size and length; no other part shares a feature with them.
TRUTH = np.zeros((M, 24))
for j in range(M):
    TRUTH[j, 2 * j : 2 * j + 2] = [1.0 + j, 2.0]
JUNK = np.zeros((M, 24))
JUNK[:, 12:17] = np.eye(M)
DATA = np.random.RandomState(0).exponential(size=(40, M)) @ TRUTH


def permuted(rng):
    return TRUTH[rng.permutation(M)] * rng.uniform(0.1, 10, size=(M, 1))


def random(rng):
    return np.abs(rng.standard_normal(TRUTH.shape))


# Of each kind: the parts, and the matched cosine (MCC) with the truth over all and over live pairs.
DICTIONARIES = {
    "perfect": (lambda rng: TRUTH, 1, 1),
    "permuted": (permuted, 1, 1),
    "small unit": (lambda rng: 1e-200 * TRUTH, 1, 1),
    "large unit": (lambda rng: 1e200 * TRUTH, 1, 1),
    "units a part": (lambda rng: TRUTH * 10.0 ** np.arange(-300, 301, 150)[:, None], 1, 1),
    "single precision": (lambda rng: (1e-25 * permuted(rng)).astype(np.float32), 1, 1),
    "duplicated": (lambda rng: TRUTH[[0, 0, 1, 1, 2]], 3 / 5, 3 / 5),
    "dead": (lambda rng: TRUTH * [[1], [0], [1], [0], [1]], 3 / 5, 1),
    "all dead": (lambda rng: 0 * TRUTH, 0, 0),
    "fewer": (lambda rng: TRUTH[[4, 0, 2]], 3 / 5, 1),
    "oversized by copies": (lambda rng: np.repeat(TRUTH, 2, axis=0), 5 / 10, 1),
    "oversized by others": (lambda rng: np.vstack([JUNK, permuted(rng)]), 5 / 10, 1),
    "oversized by dead": (lambda rng: np.vstack([0 * TRUTH, permuted(rng)]), 5 / 10, 1),
    "unrelated": (lambda rng: JUNK, 0, 0),
    "opposite": (lambda rng: -TRUTH, 0, 0),
    "half right": (lambda rng: np.vstack([TRUTH[:2], JUNK[:3]]), 2 / 5, 2 / 5),
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", DICTIONARIES)


class Planted(PartsModel):
    """A model that "finds" one of these dictionaries, in an order of its own for each seed."""

    def __init__(self, kind, n_components=M, random_state=None):
        self.kind, self.n_components, self.random_state = kind, n_components, random_state

    def _nonnegative(self):
        return False

    def fit(self, X, y=None, mask=None):
        rng = np.random.RandomState(self.random_state)
        parts = DICTIONARIES[self.kind][0](rng)
        self.components_ = parts[rng.permutation(len(parts))]
        return self

    def transform(self, X):
        """Every part that is not zero is active somewhere, and the codes are nonnegative."""
        best = exact_nnls(np.asarray(X, float), unit_rows(self.components_))
        return best + 1e-9 * self.components_.any(axis=1)

    def fit_transform(self, X, y=None, mask=None):
        return self.fit(X).transform(X)

    def inverse_transform(self, H):
        return H @ self.components_


@kinds
def test_matching(kind):
    parts, mcc, alive = DICTIONARIES[kind]
    parts = parts(np.random.RandomState(0))
    for found in (match(TRUTH, parts), match(parts, TRUTH)):
        assert found.mcc == pytest.approx(mcc, abs=1e-6 if parts.dtype == np.float32 else 1e-12)
        assert found.mcc_alive == pytest.approx(alive, abs=1e-6)
        assert (np.diff(found.cosines) <= 0).all()


def test_matching_of_random_parts_is_the_best_of_all_orders():
    parts = random(np.random.RandomState(0))
    cosines = unit_rows(TRUTH) @ unit_rows(parts).T
    best = max(np.mean([cosines[i, j] for i, j in enumerate(p)]) for p in permutations(range(M)))
    assert match(TRUTH, parts).mcc == pytest.approx(best)
    assert 0 < best < 0.5


def test_the_order_of_the_kinds():
    """perfect = permuted > duplicated > half right > random > unrelated."""
    rng = np.random.RandomState(0)
    order = ("perfect", "permuted", "duplicated", "half right")
    values = [match(TRUTH, DICTIONARIES[kind][0](rng)).mcc for kind in order]
    values += [match(TRUTH, random(rng)).mcc, match(TRUTH, JUNK).mcc]
    assert values[0] == pytest.approx(values[1])
    assert all(one > other for one, other in pairwise(values[1:]))


@kinds
@pytest.mark.filterwarnings("ignore:overflow")
def test_comparison(kind):
    truth = Planted("perfect", random_state=0).fit(DATA)
    model = Planted(kind, random_state=1).fit(DATA)
    result = compare(truth, model, DATA)
    assert result.mcc == pytest.approx(DICTIONARIES[kind][1], abs=1e-6)
    assert result.mcc_alive == pytest.approx(DICTIONARIES[kind][2], abs=1e-6)
    assert compare(model, truth, DATA).mcc == pytest.approx(result.mcc)


@kinds
def test_verdict(kind):
    _, mcc, _ = DICTIONARIES[kind]
    result = verdict(DATA, Planted("permuted"), Planted(kind), 3, draws=50)
    assert result.seed_mcc == pytest.approx(1)
    assert result.mcc == pytest.approx(mcc, abs=1e-6)
    assert result.agree == (mcc > 0.95)
    assert verdict(DATA, Planted(kind), Planted(kind), 3, draws=50).seed_mcc == pytest.approx(
        _own(kind), abs=1e-6
    )


def _own(kind):
    """What a dictionary gets with itself: the share of its parts that are not zero."""
    parts = DICTIONARIES[kind][0](np.random.RandomState(0))
    return parts.any(axis=1).mean()


@pytest.mark.filterwarnings("ignore:The largest number of parts")
@pytest.mark.parametrize("kind", ["perfect", "permuted", "small unit", "duplicated", "dead"])
def test_stability_in_a_choice(kind):
    chosen = choose_n_components(DATA, [4, 5], estimator=Planted(kind), repeats=3)
    assert chosen.stability == pytest.approx(np.full((2, 3), _own(kind)))


@kinds
def test_consensus(kind):
    fits = [Planted(kind, random_state=seed).fit(DATA) for seed in range(4)]
    own = fits[0].components_
    different = len(np.unique(unit_rows(own)[own.any(axis=1)].round(6), axis=0))
    if different < len(own):
        with pytest.raises(ValueError, match=f"only {different} different ones were found again"):
            consensus(fits)
        return
    common = consensus(fits)
    assert match(common.components_, own).mcc == pytest.approx(1, abs=1e-6)
    assert common.silhouette == pytest.approx(1, abs=1e-5) and common.kept.all()


def test_consensus_of_what_was_not_found_again():
    fits = [SimpleNamespace(components_=random(np.random.RandomState(seed))) for seed in range(4)]
    with pytest.raises(ValueError, match="only 0 different ones were found again"):
        consensus(fits, threshold=0.1)
    mixed = [Planted(kind, random_state=0).fit(DATA) for kind in ("perfect", "fewer")]
    with pytest.raises(ValueError, match="as many parts"):
        consensus(mixed)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_dictionary_is_refused(value):
    broken = TRUTH.copy()
    broken[0, 0] = value
    for pair in ((TRUTH, broken), (broken, TRUTH)):
        with pytest.raises(ValueError, match=r"Input components_. contains (NaN|infinity)"):
            match(*pair)
    for parts in (TRUTH[:0], TRUTH[:, :0], TRUTH[0], np.ones((2, 3, 4)), TRUTH * 1j, "parts"):
        with pytest.raises(ValueError, match=r"0 sample|0 feature|2D|dim 3|Complex|no array"):
            match(parts, parts)
    with pytest.raises(TypeError, match="toarray"):
        match(sp.csr_matrix(TRUTH), TRUTH)
