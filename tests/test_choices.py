"""Parts, codes and objective: three of the four choices, each a small object."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from problems import seeds

from partsrep.codes import JumpReLU, ReLU, TopK
from partsrep.objective import KL, L1, Objective
from partsrep.parts import DECODERS


def gaussian(seed, rows=7, columns=5):
    return torch.tensor(np.random.RandomState(seed).standard_normal((rows, columns)))


@pytest.mark.parametrize("name", DECODERS)
@given(seed=seeds)
def test_projection_is_a_projection_on_arrays_and_tensors(name, seed):
    parts, components = DECODERS[name], gaussian(seed)
    projected = parts.project(components)
    assert torch.allclose(parts.project(projected), projected)
    assert np.allclose(parts.project(components.numpy()), projected.numpy())
    if parts.nonnegative:
        assert (projected >= 0).all()
    if parts.unit:
        norms = projected.norm(dim=1)
        assert torch.allclose(norms[norms > 0], torch.ones(1, dtype=norms.dtype))
    if name == "free":
        assert torch.equal(projected, components)


@pytest.mark.parametrize("name", DECODERS)
@given(seed=seeds)
def test_projection_finds_the_nearest_member(name, seed):
    components = gaussian(seed, 1, 3) + torch.tensor([0.5, 0.0, 0.0])  # mostly not all negative
    nearest = DECODERS[name].project(components)
    others = DECODERS[name].project(gaussian(seed + 1, 200, 3))
    if DECODERS[name].unit:
        others = others[others.any(dim=1)]
        assume(nearest.any())  # a part with no positive entry has no direction
    assert (components - nearest).norm() <= (components - others).norm(dim=1).min() + 1e-12


def test_a_zero_part_stays_zero():
    assert not DECODERS["unit-nonnegative"].project(-np.ones((1, 3))).any()


@given(seed=seeds, k=st.integers(1, 5))
def test_topk_is_jumprelu_with_a_threshold_per_sample(seed, k):
    Z = gaussian(seed)
    H = TopK(k)(Z)
    assert ((H > 0).sum(dim=1) <= k).all()
    ordered = Z.sort(dim=1, descending=True).values
    for z, row, largest in zip(Z, H, ordered, strict=True):
        threshold = max(float(largest[k]), 0.0) if k < Z.shape[1] else 0.0
        assert torch.equal(row, JumpReLU(threshold)(z))


@given(seed=seeds)
def test_topk_with_all_parts_and_jumprelu_at_zero_are_relu(seed):
    Z = gaussian(seed)
    assert torch.equal(TopK(5)(Z), ReLU()(Z))
    assert torch.equal(JumpReLU(0)(Z), ReLU()(Z))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TopK(0), "TopK's k must be an integer of at least 1; got 0"),
        (lambda: TopK(2.0), "got 2.0"),
        (lambda: TopK(True), "got True"),
        (lambda: JumpReLU(-1), "threshold must be a finite number of at least 0; got -1"),
        (lambda: JumpReLU(float("nan")), "got nan"),
        (lambda: L1(-0.1), "L1's weight must be"),
        (lambda: KL(1, target=0), "KL's target must be a finite number above 0"),
        (lambda: KL(1, target=1), "KL's target must be below 1"),
        (lambda: TopK(4).check(3), "needs at least 4 parts, but n_components=3"),
    ],
)
def test_impossible_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_penalties_by_hand():
    H = torch.tensor([[0.25, 1.0], [0.75, 0.0]], dtype=torch.float64)
    assert float(L1(2.0)(H)) == pytest.approx(2 * (1.25 + 0.75) / 2)
    p, means = 0.1, (0.5, 0.5)
    expected = sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)) for q in means)
    assert float(KL(3.0, target=p)(H)) == pytest.approx(3 * expected)


def test_kl_is_zero_at_its_target_infinite_from_one_on_and_finite_for_a_dead_unit():
    at_target = torch.full((4, 2), 0.2, dtype=torch.float64)
    assert float(KL(1.0, target=0.2)(at_target)) == pytest.approx(0, abs=1e-12)
    assert float(KL(1.0)(torch.tensor([[1.5], [0.6]]))) == float("inf")
    dead = float(KL(1.0)(torch.zeros(3, 1)))
    assert 0 < dead < float("inf")


def test_objective_is_a_mean_over_samples_of_a_sum_over_features():
    D = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    zero = torch.zeros_like(D)
    H = torch.ones(2, 3)
    assert float(Objective()(D, zero, H)) == pytest.approx((1 + 4 + 9 + 16) / 2)
    assert float(Objective((L1(0.5),))(D, D, H)) == pytest.approx(1.5)
