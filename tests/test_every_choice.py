"""Every documented object at every argument of NMF: it fits, or the error says what to do."""

from itertools import product

import numpy as np
import pytest
from problems import low_rank, random_matrix

from partsrep import (
    KL,
    L0,
    L1,
    L2,
    NMF,
    AuxK,
    BatchTopK,
    Cone,
    Decay,
    FeatureChoice,
    Fixed,
    Gaussian,
    Hoyer,
    Hull,
    JumpReLU,
    Layer,
    Logistic,
    LogVolume,
    MutualChoice,
    PathNorm,
    PriorKL,
    Pursuit,
    ReLU,
    Simplex,
    TopK,
    Unrolled,
)
from partsrep.choices.inference import NNLS
from partsrep.choices.parts import DECODERS
from partsrep.presets import Disjoint, Samples, Sparseness, UnitMean

PARTS = [*DECODERS, Sparseness(0.5), UnitMean(), Disjoint(), Cone(), Hull(), Samples()]
PARTS += [Fixed(random_matrix(1, 12, 3))]
CODES = [ReLU(), TopK(2), Simplex()]
OTHER_CODES = [
    *(JumpReLU(0.1), JumpReLU(0.1, 0.1), BatchTopK(2), FeatureChoice(2), MutualChoice(2)),
    *(Logistic(), Gaussian()),
]
INFERENCE = [NNLS(), Layer(tied=True)]
OTHER_INFERENCE = [Layer(), Unrolled(2), Pursuit(2)]
PENALTIES = [L1(0.1), L2(0.1), LogVolume(0.1), [L1(0.1), LogVolume(0.1)]]
PENALTIES += [[L2(0.1), L2(0.1, on="parts")]]
OTHER_PENALTIES = [L0(0.1), KL(0.1, 0.1), Hoyer(0.1), Decay(0.1), AuxK(), PriorKL(0.1)]
OTHER_PENALTIES += [PathNorm(0.1)]
EVERYTHING = [
    *(*PARTS, *CODES, *OTHER_CODES, *INFERENCE, *OTHER_INFERENCE, *PENALTIES, *OTHER_PENALTIES),
    *(ReLU, TopK, Layer, L1, Sparseness, "relu", 3, 0.5, True),
]
MEANT = {"parts": PARTS, "codes": CODES, "inference": INFERENCE, "penalty": PENALTIES}
D = low_rank(0)


def outcome(**settings) -> str:
    """ "fits" with finite factors that are better than none, or the text of the ValueError."""
    try:
        nmf = NMF(3, random_state=0, max_iter=30, tol=0, **settings).fit(D)
    except ValueError as error:
        return str(error)
    assert np.isfinite(nmf.components_).all()
    assert nmf.loss_ < np.sum(D**2)
    return "fits"


@pytest.mark.parametrize("argument", MEANT)
def test_what_is_meant_for_an_argument_fits(argument):
    for choice in MEANT[argument]:
        assert outcome(**{argument: choice}) == "fits", choice


@pytest.mark.parametrize("argument", MEANT)
def test_what_is_not_is_named_in_the_error_with_what_is(argument):
    meant = [repr(choice) for choice in MEANT[argument]]
    for choice in EVERYTHING:
        if repr(choice) not in meant:
            said = outcome(**{argument: choice})
            assert argument in said and repr(choice) in said, (choice, said)
            ways = ("Sparseness(", "'nonnegative'", "TopK(", "NNLS()", "L1(")
            assert any(way in said for way in ways), said


@pytest.mark.parametrize("parts", PARTS, ids=repr)
def test_every_combination_fits_or_names_a_choice(parts):
    for codes, inference, penalty in product(CODES, INFERENCE, [None, *PENALTIES]):
        said = outcome(parts=parts, codes=codes, inference=inference, penalty=penalty)
        assert said == "fits" or any(
            name in said for name in ("alpha_H", "LogVolume", "inference=", "penalty=")
        ), said


@pytest.mark.parametrize("parts", ["nonnegative", "free", Sparseness(0.5)], ids=repr)
def test_a_penalty_by_norm_is_that_of_parts_of_norm_1(parts):
    by_norm = L1(0.1, by_norm=True)
    assert "unit" in outcome(parts=parts, penalty=by_norm)
    for unit in ("unit", "unit-nonnegative"):
        with_it, without = (
            NMF(3, random_state=0, parts=unit, penalty=penalty).fit(D)
            for penalty in (by_norm, L1(0.1))
        )
        assert with_it.loss_ == without.loss_
