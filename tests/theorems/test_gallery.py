"""Every example of the gallery in exact arithmetic: what fails, fails, and nothing else does."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from partsrep import datasets, encodability, encodability_on
from partsrep.datasets.gallery import exact

GALLERY = datasets.gallery()


def relu(Z):
    return np.where(Z > 0, Z, Fraction(0))


def parallel(a, b):
    """Whether two vectors are, by their 2 × 2 minors."""
    return not (np.outer(a, b) - np.outer(b, a)).any()


def rank(M):
    """By elimination in fractions."""
    M, found = [list(row) for row in M], 0
    for column in range(len(M[0])):
        pivot = next((r for r in range(found, len(M)) if M[r][column]), None)
        if pivot is None:
            continue
        M[found], M[pivot] = M[pivot], M[found]
        for r in range(found + 1, len(M)):
            factor = M[r][column] / M[found][column]
            M[r] = [a - factor * b for a, b in zip(M[r], M[found], strict=True)]
        found += 1
    return found


@pytest.mark.parametrize("name", GALLERY)
def test_each_is_exact_and_nonnegative(name):
    example = GALLERY[name]
    for array in (example.D, example.H, example.X, *example.rival.values()):
        assert all(isinstance(entry, Fraction | int) for entry in array.flat)
    assert (example.H >= 0).all()
    assert (example.X >= 0).all()
    if name != "noise":
        assert (example.H @ example.X.T == example.D).all()


@pytest.mark.parametrize("name", ["signs", "two answers", "too few", "tied weights", "dead unit"])
def test_the_codes_of_the_others_are_encodable(name):
    example = GALLERY[name]
    X, H = example.X.astype(float), example.H.astype(float)
    assert encodability(X, H).encodable.all()


def test_t02_signs_are_free_and_no_part_is_found():
    example = GALLERY["signs"]
    U, X = example.rival["U"], example.rival["X"]
    assert (relu(example.D @ U.T) @ X.T == example.D).all()
    assert (X < 0).any()
    assert not any(parallel(x, part) for x, part in product(X.T, example.X.T))


def test_t03_two_answers_are_exact_and_encodable():
    example = GALLERY["two answers"]
    H, X, U = (example.rival[key] for key in "HXU")
    assert (H @ X.T == example.D).all()
    assert (relu(example.D @ U.T) == H).all()
    inverse = exact([[2, -1], [-1, 2]]) / 3
    assert (relu(example.D @ inverse.T) == example.H).all()
    assert not any(parallel(x, part) for x, part in product(X.T, example.X.T))


def test_t04_no_unit_gives_the_codes_of_the_first_column():
    example = GALLERY["crossing bars"]
    D, H, y = example.D, example.H, example.rival["y"]
    assert rank(D) == 4 < H.shape[1] < D.shape[1]
    # 0 = u·Σ y_i d_i. Where its code is positive, unit 2 gives that code; where it is 0, a number
    # of at most 0, times a weight of at most 0. So the sum is at least what the first give.
    assert not (y @ D).any()
    assert (y[H[:, 2] == 0] <= 0).all()
    assert y @ H[:, 2] == 1


def test_t04_the_crossing_bars_are_the_only_exact_factorization():
    """By the zeros of D alone: first an entry for each part, then its support, then its values."""
    D, m = GALLERY["crossing bars"].D, 5
    entries = next(
        chosen
        for chosen in product(*(np.flatnonzero(D[j]) for j in range(m)))
        if all(D[j, chosen[k]] * D[k, chosen[j]] == 0 for j in range(m) for k in range(m) if j != k)
    )
    # Each part is positive at one entry (j, p_j), so its support is within sample j's.
    most = D[:m] > 0
    least = np.array([np.arange(D.shape[1]) == p for p in entries])
    for _ in range(m):
        # A part that is positive off a sample's support is not in it. What only one part can make
        # is positive in that one.
        for j in range(m):
            inside = [k for k in range(m) if k == j or not (least[k] & (D[j] == 0)).any()]
            only = (D[j] > 0) & ~np.any([most[k] for k in inside if k != j], axis=0)
            least[j] |= only
    for j in range(m):
        assert [k for k in range(m) if not (least[k] & (D[j] == 0)).any()] == [j], "pure samples"


def test_t04_and_its_codes_are_the_only_ones():
    """X v = 0 for the multiples of one v only, and every sample is without some of each sign."""
    H, X = GALLERY["crossing bars"].H, GALLERY["crossing bars"].X
    v = np.array([1, 1, -1, -1, -1])
    assert rank(X) == 4
    assert not (X @ v).any()
    for h in H:
        assert not h[v > 0].all(), "h − t v would be negative there"
        assert not h[v < 0].all(), "and h + t v"


def test_t04_a_bias_mends_the_crossing_bars():
    """So that the full bars are another matter: their certificate is strict, biases included."""
    example = GALLERY["crossing bars"]
    D, X = example.D.astype(float), example.X.astype(float)
    assert encodability_on(D, X).reconstruction is not True
    assert encodability_on(D, X, example.H.astype(float), bias=True).reconstruction is True


def test_t06_no_layer_gives_the_best_codes_off_the_cone():
    example = GALLERY["noise"]
    D, H, X, y = example.D, example.H, example.X, example.rival["y"]
    M = (H @ X.T - D) @ X
    assert (M >= 0).all()
    assert not (M * H).any(), "the codes are optimal"
    assert not (y @ D).any()
    # Unit 2: the first sample has code 0 and y < 0; the others have 1 − ½ > 0.
    assert y[0] < 0 == H[0, 1]
    assert y[1:] @ H[1:, 1] == Fraction(1, 2)
    inside = exact(example.D[:2])
    assert encodability_on(inside.astype(float), X.astype(float)).codes.all()


def test_t10_one_code_a_sample_prefers_other_parts():
    example = GALLERY["too few"]

    def loss(X):
        best = [max((d @ x) ** 2 / (x @ x) for x in X.T) for d in example.D]
        return sum(d @ d for d in example.D) - sum(best)

    assert loss(example.rival["X"]) == Fraction(2, 5) < loss(example.X) == 1


def test_t14_one_logistic_unit_is_exact_where_rank_one_is_not():
    example = GALLERY["logistic output"]
    powers = example.rival["H"] @ example.rival["X"].T
    odds = np.array([[Fraction(2 ** int(p)) for p in row] for row in powers])
    assert (odds / (1 + odds) == example.D).all()
    assert rank(example.D) == 2


def test_t05_a_tied_encoder_is_not_exact_whatever_its_parts():
    example = GALLERY["tied weights"]
    U, D, X = example.rival["U"], example.D, example.X
    assert (relu(D @ U.T) == example.H).all()
    # Zero loss needs X Xᵀ to be the projector on the rows of D, so nonnegative orthogonal parts in
    # their span, (α, α+β, β): their product is a sum of three terms ≥ 0.
    assert rank(D) == 2
    P = X @ U
    assert (P @ P == P).all()
    assert (P.T == P).all(), "the projector"
    assert (D @ P == D).all()
    assert (P < 0).any(), "and it is not X Xᵀ of any X ≥ 0"


def test_t09_a_dead_unit_is_stationary():
    example = GALLERY["dead unit"]
    U, X, D = example.rival["U"], example.rival["X"], example.D
    H = relu(D @ U.T)
    M = (H @ X.T - D) @ X
    assert not ((M * (H > 0)).T @ D).any(), "gradient of U"
    assert not ((H @ X.T - D).T @ H).any(), "gradient of X"
    assert ((H @ X.T - D) ** 2).sum() == 1
