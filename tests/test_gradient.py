import copy

import numpy as np
import pytest
import torch
from problems import digits

from partsrep import KL, L1, SAE, JumpReLU, ReLU, TopK
from partsrep.choices.inference import Layer
from partsrep.choices.objective import Objective
from partsrep.choices.parts import DECODERS, Parts
from partsrep.choices.problem import Problem
from partsrep.solvers import Settings
from partsrep.solvers.adam import SEEN, RelativeAdam, evaluate, train
from partsrep.solvers.autoencoder import Autoencoder


def module_and_data(problem, m=6, samples=200, seed=0):
    D = torch.tensor(digits(samples))
    rng = np.random.RandomState(seed)
    weights = [torch.tensor(rng.uniform(size=(m, D.shape[1])) / 8) for _ in range(2)]
    return Autoencoder(problem, *weights), D


def trained(problem, **settings):
    module, D = module_and_data(problem)
    return module, D, descended(module, D, **settings)


def descended(module, D, **settings):
    settings = {"learning_rate": 0.03, "max_iter": 60, "batch_size": 64, "tol": 1e-4} | settings
    return train(module, D, [np.random.RandomState(0)], Settings(**settings)).arrays()


def objective(module, D):
    with torch.no_grad():
        return float(module.problem.objective(module(D)))


@pytest.mark.parametrize("codes", [ReLU(), JumpReLU(0.2), TopK(2)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("penalties", [(), (L1(0.05),), (KL(0.5),)])
def test_training_lowers_the_objective_and_ends_at_its_best_epoch(codes, tied, offset, penalties):
    problem = Problem(
        Parts(nonnegative=True, offset=offset),
        codes,
        Layer(tied=tied, bias=offset),
        Objective(penalties=penalties),
    )
    module, D = module_and_data(problem)
    module.scale_to(D)
    module.make_kl_finite(D)
    before = objective(module, D)
    history = descended(module, D, max_iter=30)
    assert history["objective"][0] == pytest.approx(before)
    assert objective(module, D) == pytest.approx(np.nanmin(history["objective"]))
    assert objective(module, D) < before


@pytest.mark.parametrize("name", DECODERS)
def test_parts_stay_in_their_set(name):
    module, _, _ = trained(Problem(DECODERS[name], inference=Layer()))
    components = module.components.detach()
    assert torch.allclose(DECODERS[name].project(components), components)


def test_the_offset_of_nonnegative_parts_is_nonnegative():
    problem = Problem(Parts(nonnegative=True, offset=True), inference=Layer(bias=True))
    module, _ = module_and_data(problem)
    with torch.no_grad():
        module.offset.fill_(-1.0)
    module.project()
    assert (module.offset == 0).all()


def test_the_step_is_halved_until_it_is_a_thousandth():
    _, _, history = trained(Problem(inference=Layer()), max_iter=5000, tol=1.0)
    steps = np.unique(history["step"])[::-1]
    assert np.allclose(steps, 0.5 ** np.arange(len(steps)))
    assert len(history["step"]) < 5000 and steps[-1] / 2 < 1e-3


def test_dead_units_are_begun_anew():
    problem = Problem(Parts(nonnegative=True), inference=Layer())
    module, D = module_and_data(problem)
    with torch.no_grad():
        module.encoder[2:] *= -1  # never active on nonnegative data, and no gradient to leave by
    history = descended(module, D, max_iter=300, tol=1e-3)
    assert history["alive"][0] == 2
    assert history["alive"][-1] == 6


def test_a_diverging_run_is_undone_and_keeps_finite_weights():
    problem = Problem(Parts(offset=True), inference=Layer(bias=True))
    module, D, history = trained(problem, learning_rate=1e200, max_iter=40)
    assert not np.isfinite(history["objective"]).all(), (
        "this step must blow up, or it tests nothing"
    )
    assert all(torch.isfinite(weights).all() for weights in module.parameters())
    assert objective(module, D) <= history["objective"][0]


@pytest.mark.parametrize("codes", [ReLU(), JumpReLU(0.2), TopK(2)])
@pytest.mark.parametrize(("unit", "steps"), [(False, 1), (True, 1), (False, 3)])
def test_kl_starts_finite_and_keeps_the_reconstruction_where_the_norm_is_free(codes, unit, steps):
    problem = Problem(
        Parts(nonnegative=True, unit=unit),
        codes,
        Layer(steps=steps),
        Objective(penalties=(KL(1.0, target=0.1),)),
    )
    module, D = module_and_data(problem)
    with torch.no_grad():
        module.encoder.mul_(100)
    assert objective(module, D) == float("inf")
    before = module(D).D_hat
    module.make_kl_finite(D)
    assert objective(module, D) < float("inf")
    if codes.homogeneous and not unit:
        assert torch.allclose(module(D).D_hat, before)
    if codes == ReLU() and (unit, steps) == (False, 1):
        assert torch.allclose(module.encode(D).mean(dim=0), torch.full((6,), 0.1, dtype=D.dtype))


@pytest.mark.parametrize("codes", [ReLU(), JumpReLU(0.2), TopK(2)])
@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("tied", [False, True])
def test_scaling_a_start_lowers_the_loss_and_leaves_the_selection(codes, name, tied):
    module, D = module_and_data(Problem(DECODERS[name], codes, Layer(tied=tied)))
    before, active = objective(module, D), module.encode(D) > 0
    module.scale_to(D)
    assert objective(module, D) <= before
    assert torch.equal(module.encode(D) > 0, active)


def test_the_path_does_not_depend_on_the_units_of_the_data():
    D = digits(200)
    for scale in (1e-4, 1e4):
        one, other = (
            SAE(4, decoder="nonnegative", solver="adam", max_epochs=20, random_state=0).fit(c * D)
            for c in (1.0, scale)
        )
        assert other.loss_ / scale**2 == pytest.approx(one.loss_, rel=1e-6)


def test_gradient_is_that_of_a_loss_written_out():
    problem = Problem(
        inference=Layer(bias=True), codes=TopK(2), objective=Objective(penalties=(L1(0.1),))
    )
    module, D = module_and_data(problem)
    output = module(D)
    D_hat, H = output.D_hat, output.H
    problem.objective(output).backward()
    U, P, b = module.encoder, module.components, module.bias
    with torch.no_grad():
        active = (H > 0).to(D.dtype)
        error = 2 * (D_hat - D) / len(D)
        dZ = (error @ P.T + 0.1 / len(D)) * active
        assert torch.allclose(P.grad, H.T @ error)
        assert torch.allclose(U.grad, dZ.T @ D)
        assert torch.allclose(b.grad, dZ.sum(dim=0))


def test_its_steps_are_those_of_adam_relative_to_the_weights():
    module, D = module_and_data(Problem(inference=Layer(bias=True)))
    twin = copy.deepcopy(module)
    sizes = {name: float(w.detach().square().mean().sqrt()) for name, w in twin.named_parameters()}
    sizes["bias"] = sizes["encoder"]  # it is zero
    ours = RelativeAdam(module, 0.03)
    theirs = torch.optim.Adam(
        [{"params": [w], "lr": 0.03 * sizes[name]} for name, w in twin.named_parameters()],
        eps=1e-30,
    )
    for i in range(20):
        for model in (module, twin):
            model.zero_grad()
            model.problem.objective(model(D[10 * i :])).backward()
        ours.step()
        theirs.step()
    for own, other in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other)


def test_what_a_dead_unit_keeps_of_its_gradient_does_not_become_subnormal():
    module, _ = module_and_data(Problem(inference=Layer()))
    optimiser = RelativeAdam(module, 0.03)
    tiny = torch.finfo(torch.float64).tiny
    for mean, square in optimiser.moments.values():
        mean[0], mean[1], mean[2], square[:] = tiny / 4, -tiny / 4, -2 * tiny, tiny / 4
    optimiser.flush()
    for mean, square in optimiser.moments.values():
        assert not mean[:2].any() and (mean[2] == -2 * tiny).all() and (square == tiny / 4).all()


def test_of_many_samples_some_say_how_an_epoch_ended_and_all_which_units_are_dead():
    rng = np.random.RandomState(0)
    D = torch.tensor(rng.exponential(size=(5 * SEEN, 8)) * (rng.uniform(size=(5 * SEEN, 8)) < 0.3))
    rare = 17  # only one sample, which hardly is among those seen, activates the last unit
    D[:, -1] = 0
    D[rare] = torch.eye(8)[-1]
    parts = torch.eye(8, dtype=torch.float64)
    module = Autoencoder(Problem(inference=Layer()), parts, 0.8 * parts)
    history = descended(module, D, max_iter=4, learning_rate=0.001)
    assert (history["alive"][1:] == 8).all()
    every = float(evaluate(module, D))
    assert every == pytest.approx(history["objective"].min(), rel=0.2)
    assert every < history["objective"][0]


@pytest.mark.parametrize("codes", [ReLU(), TopK(2)])
def test_a_reinitialised_unit_is_active_among_others(codes):
    """Where codes compete, its code has to be as large as theirs, whatever the parts' scale."""
    for scale in (0.01, 100.0):
        module, D = module_and_data(Problem(codes=codes, inference=Layer()))
        with torch.no_grad():
            module.encoder[-1] *= -1
            module.dictionary *= scale
            module.encoder /= scale
        module.scale_to(D)
        history = descended(module, D, max_iter=10)
        assert history["alive"][0] == 5 and history["alive"][-1] == 6


def test_the_step_falls_in_the_last_fifth():
    module, D = module_and_data(Problem(inference=Layer()))
    lengths, step = [], RelativeAdam.step

    def noted(self, share):
        lengths.append(share * self.lengths[0])
        step(self, share)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RelativeAdam, "step", noted)
        descended(module, D, max_iter=10, batch_size=50)
    first = lengths[0]
    np.testing.assert_allclose(lengths[:32], first)
    np.testing.assert_allclose(np.array(lengths[32:]) / first, np.arange(8, 0, -1) / 8)
