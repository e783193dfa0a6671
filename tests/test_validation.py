"""What data and masks are accepted, and what the others are told."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import low_rank

from partsrep import NMF
from partsrep.arguments import check_integer, check_number
from partsrep.validation import check_mask, check_scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_whose_squares_leave_the_range_are_refused(dtype, convert, sign):
    numbers = np.finfo(dtype)
    for peak, size in ((1e-3 * float(numbers.tiny), "small"), (float(numbers.max) / 8, "large")):
        D = convert(sign * np.array([[peak, 0], [0, peak]], dtype))
        with pytest.raises(ValueError, match=rf"too {size} for .*{D.dtype}: rescale.*X / "):
            check_scale(D)
    for peak in (1e-15, 1.0, 1e15):
        check_scale(convert(sign * np.array([[peak, 0], [0, peak]], dtype)))


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_zeros_and_unknowns_have_no_scale(convert):
    check_scale(convert(np.zeros((2, 2))))
    check_scale(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="too large"):
        check_scale(np.array([[np.nan, 1e200]]))


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e200, np.float64), (1e-200, np.float64)],
)
@pytest.mark.parametrize("solver", ["cd", "mu"])
def test_data_whose_loss_is_no_number_get_an_error_that_names_the_rescaling(scale, dtype, solver):
    D = (scale * np.eye(4)).astype(dtype)
    with pytest.raises(ValueError, match="rescale the data, for instance X / "):
        NMF(2, solver=solver).fit(D)


@pytest.mark.parametrize("degree", [0.5, 1.0, 3.0, -1.0])
def test_the_range_is_that_of_the_power_which_is_summed(degree):
    for dtype in (np.float32, np.float64):
        limits = np.finfo(dtype)
        for edge in (float(limits.tiny), float(limits.max)):
            within, beyond = (edge ** min(s / abs(degree), 0.95) for s in (0.9, 1.1))
            check_scale(np.full((2, 2), within), degree, dtype)
            if abs(degree) > 1.2:
                with pytest.raises(ValueError, match=f"sums of its power {degree:g} in "):
                    check_scale(np.full((2, 2), beyond), degree, dtype)
    check_scale(np.array([1e300]), 0.0)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_scales_that_are_accepted_are_fitted(scale):
    D = low_rank(0, n=8, d=6, m=2)
    nmf = NMF(2, tol=1e-6, random_state=0).fit(scale * D)
    assert nmf.loss_ <= 1e-6 * np.sum((scale * D) ** 2)


def test_a_mask_gives_data_without_what_is_hidden_and_weights():
    D = np.array([[1.0, np.nan], [-3.0, 4.0]])
    seen, weights = check_mask([[True, False], [True, True]], D, columns=True)
    assert seen.tolist() == [[1, 0], [-3, 4]] and weights.tolist() == [[1, 0], [1, 1]]
    assert np.isnan(D[0, 1]), "the data stay as they are"
    single = check_mask(np.full((2, 2), 0.5), np.ones((2, 2), np.float32), columns=True)
    assert [array.dtype for array in single] == [np.float32] * 2


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 3)), r"mask has shape \(2, 3\), but X has shape \(3, 2\)"),
        (np.ones(3), r"mask has shape \(3,\), but X has shape \(3, 2\)"),
        ([[1, 1], [1, -1], [1, 1]], "Negative values in data passed to mask"),
        ([[1, 1], [1, np.nan], [1, 1]], "mask contains NaN"),
        ([[1, 1], [1, np.inf], [1, 1]], "mask contains infinity"),
        ([[1, 1], [0, 0], [1, 1]], r"mask hides every entry of row 1 \(1 such in all\): leave"),
        ([[0, 1], [0, 1], [0, 1]], r"mask hides every entry of column 0 \(1 such in all\): leave"),
    ],
)
def test_other_masks_get_an_error_that_says_what_is_wrong(mask, message):
    with pytest.raises(ValueError, match=message):
        check_mask(mask, np.ones((3, 2)), columns=True)
    with pytest.raises(ValueError, match=message):
        NMF(2).fit(np.ones((3, 2)), mask=mask)


def test_a_column_may_be_hidden_from_fitted_parts_but_no_row():
    nmf = NMF(2, random_state=0).fit(np.ones((3, 2)))
    assert nmf.transform(np.ones((1, 2)), mask=[[0, 1]]).shape == (1, 2)
    with pytest.raises(ValueError, match="hides every entry of row 0"):
        nmf.transform(np.ones((1, 2)), mask=[[0, 0]])


def test_what_is_seen_must_be_known_and_nonnegative():
    mask = np.array([[True, False], [True, True]])
    with pytest.raises(ValueError, match=r"NaN where the mask lets it be seen, first at \(1, 0\)"):
        NMF(1).fit([[1.0, 2.0], [np.nan, 3.0]], mask=mask)
    with pytest.raises(ValueError, match="Negative values in data"):
        NMF(1).fit([[1.0, np.nan], [-1.0, 3.0]], mask=mask)
    with pytest.raises(ValueError, match="contains NaN"):
        NMF(1).fit([[1.0, np.nan], [1.0, 3.0]])
    with pytest.raises(ValueError, match="infinity"):
        NMF(1).fit([[1.0, 1.0], [np.inf, 3.0]], mask=mask)


def test_sparse_data_have_no_mask():
    with pytest.raises(ValueError, match=r"needs a dense array of data; call X\.toarray"):
        NMF(1).fit(sp.csr_array(np.eye(3)), mask=np.ones((3, 3)))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({}, "a finite number of at least 0; got"),
        ({"minimum": -np.inf}, "a finite number; got"),
        ({"minimum": -np.inf, "maximum": 1}, "a finite number at most 1; got"),
        ({"maximum": 1, "above": True, "below": True}, "a finite number above 0 and below 1; got"),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, 10**400, True, None, "1"])
def test_numbers_are_finite_and_the_error_says_only_bounds_that_bind(bounds, said, value):
    with pytest.raises(ValueError, match=f"x must be {said}"):
        check_number("x", value, **bounds)


@pytest.mark.parametrize("setting", ["n_components", "max_iter", "n_init"])
def test_no_integer_is_larger_than_the_machine_counts(setting):
    with pytest.raises(ValueError, match=f"{setting} must be at most"):
        NMF(**{"n_components": 2, setting: 10**30}).fit(np.eye(4))
    assert check_integer("m", np.int64(2**62)) == 2**62


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"parts": "free"}, {"solver": "mu", "beta_loss": 1}])
def test_the_unit_of_weights_changes_nothing_or_is_refused(dtype, settings):
    D = low_rank(0, m=4).astype(dtype)
    seen = np.random.RandomState(0).rand(*D.shape) > 0.2

    def loss(unit):
        weights = (seen * unit).astype(dtype)
        return NMF(3, random_state=0, **settings).fit(D, mask=weights).loss_ / float(dtype(unit))

    within, beyond = (1e17, 1e30) if dtype == np.float32 else (1e140, 1e200)
    for unit in (within, 1 / within):
        assert loss(unit) == pytest.approx(loss(1), rel=1e-3)
    for unit in (beyond, 1 / beyond):
        with pytest.raises(ValueError, match=r"largest entry of mask.*rescale it.*mask /"):
            loss(unit)
