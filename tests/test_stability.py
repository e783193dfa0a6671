from types import SimpleNamespace

import numpy as np
import pytest
from problems import digits, random_matrix

from partsrep import (
    NMF,
    choose_n_components,
    choose_penalty,
    consensus,
    fit_all,
    predict,
    restarts,
    stability,
    verdict,
)
from partsrep.study.matching import match


def fit(*parts):
    return SimpleNamespace(components_=np.array(parts, float))


def test_parts_that_come_again_and_one_that_does_not():
    a, b, c, d = np.eye(4)
    found = stability([fit(a, b, c), fit(c, 2 * a, d), fit(b, c, a)])
    assert found.reappears.tolist() == [1, 0.5, 1]
    assert found.cosines.tolist() == [[1, 0, 1], [1, 1, 1]]
    assert found.subspace == pytest.approx(0), "b and d share nothing"
    assert "83%" in repr(found)


def test_other_parts_of_the_same_span():
    """Two of three turn within their plane."""
    a, b, c, _ = np.eye(4)
    turned = fit(a, b + 0.9 * c, c + 0.9 * b)
    found = stability([fit(a, b, c), turned])
    assert found.reappears.tolist() == [1, 0, 0]
    assert found.subspace == pytest.approx(1)


def test_of_others_only_the_first_fits_parts_are_asked():
    a, b, c, d = np.eye(4)
    first, other = fit(a, b), fit(a, c)
    found = stability([first, fit(c, d)], [other, first])
    assert found.reappears.tolist() == [1, 0.5]
    assert np.isnan(stability([first], [first]).subspace), "nothing is missed"


def test_a_fit_with_fewer_parts_has_no_match_for_the_rest():
    a, b, c, _ = np.eye(4)
    found = stability([fit(a, b, c), fit(b)])
    assert found.reappears.tolist() == [0, 1, 0]
    assert np.isnan(found.subspace), "there is nothing to compare with"


def test_mixtures_of_the_parts_do_not_count_as_found_again():
    rng = np.random.RandomState(1)
    parts = random_matrix(0, 6, 20, zeros=0.2) + 0.3
    mixed = [fit(*(rng.dirichlet(np.ones(6), 6) @ parts)) for _ in range(20)]
    found = stability([fit(*parts), *mixed])
    assert found.cosines.mean() > 0.85, "although they are much alike"
    assert found.reappears.mean() < 0.1
    assert found.chance == pytest.approx(found.cosines.mean(axis=0), abs=0.05)


def test_one_part_comes_again_although_all_its_mixtures_are_itself():
    found = stability([fit([1, 2, 3]), fit([1, 2, 3.001]), fit([3, 2, 1])])
    assert found.chance == pytest.approx([1])
    assert found.reappears.tolist() == [0.5]


def test_its_cosines_are_those_of_the_matching():
    fits = restarts(NMF(5, max_iter=30), digits(60), 3)
    found = stability(fits)
    for cosines, other in zip(found.cosines, fits[1:], strict=True):
        assert cosines.mean() == pytest.approx(match(fits[0].components_, other.components_).mcc)
    assert found.table()["mean cosine"].tolist() == found.cosines.mean(axis=0).tolist()


def test_one_fit_has_nothing_to_come_again_in():
    with pytest.raises(ValueError, match="at least two"):
        stability([fit([1, 0])])


D = random_matrix(0, 12, 5)
FITTED = NMF(2, random_state=0).fit(D)
NO_FITS = {
    "an estimator": NMF(2),
    "one fit": FITTED,
    "unfitted": [NMF(2), NMF(2)],
    "arrays": [FITTED.components_] * 2,
    "one array": FITTED.components_,
    "None": None,
    "a text": "NMF",
    "a class": NMF,
    "by name": {"a": FITTED},
}


@pytest.mark.parametrize("what", NO_FITS)
@pytest.mark.parametrize("function", [consensus, stability, lambda fits: stability([FITTED], fits)])
def test_what_is_no_list_of_fits_is_named(function, what):
    if function not in (consensus, stability) and NO_FITS[what] is None:
        return  # the rest of the fits, of which there are none
    with pytest.raises(ValueError, match="must be a list of fitted models, such as restarts"):
        function(NO_FITS[what])


@pytest.mark.parametrize("what", [[FITTED], FITTED.components_, "NMF", NMF, {"a": FITTED}, 3])
@pytest.mark.parametrize(
    "function",
    [
        lambda wrong: verdict(D, wrong, FITTED, seeds=2),
        lambda wrong: verdict(D, FITTED, wrong, seeds=2),
        lambda wrong: restarts(wrong, D, 2),
        lambda wrong: fit_all([wrong], D),
        lambda wrong: choose_n_components(D, [1, 2], estimator=wrong),
        lambda wrong: choose_penalty(wrong, D),
        lambda wrong: predict(D, 2, wrong),
    ],
    ids=["a", "b", "restarts", "fit_all", "choose_n_components", "choose_penalty", "predict"],
)
def test_what_is_no_estimator_is_named(function, what):
    with pytest.raises(TypeError, match=r"must be an (SAE|instance of an estimator), such as"):
        function(what)


def test_one_estimator_is_no_list_of_them():
    with pytest.raises(TypeError, match="estimators must be a list"):
        fit_all(NMF(2), D)
