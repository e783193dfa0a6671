import numpy as np
import pytest
import torch
from problems import digits
from sklearn.exceptions import ConvergenceWarning

from partsrep import datasets, presets
from partsrep.choices.codes import ReLU
from partsrep.choices.dense import Logistic
from partsrep.choices.inference import Layer
from partsrep.choices.objective import L1, Objective
from partsrep.choices.parts import Parts
from partsrep.choices.problem import Problem
from partsrep.solvers import Settings, online
from partsrep.solvers.autoencoder import Autoencoder
from partsrep.solvers.online import Online

NNSAE = Problem(Parts(nonnegative=True), Logistic(), Layer(tied=True, bias=True, gain=True))


def crosses(n_samples=500, seed=0):
    """The data of the rule's authors: one row and one column an image."""
    return datasets.load(
        "bars", size=9, probability=None, saturating=True, value=0.25, n_samples=n_samples,
        seed=seed,
    )  # fmt: skip


def begun(D, m=6, seed=0, problem=NNSAE):
    weights = online.start(D, m, problem, np.random.RandomState(seed))
    return Autoencoder(problem, *(None if w is None else torch.tensor(w) for w in weights))


def trained(D, seed=0, epochs=2, m=6, **settings):
    module = begun(D, m)
    return module, learned(module, D, seed, epochs, **settings)


def learned(module, D, seed=0, epochs=2, learning_rate=0.01, rule=None):
    settings = Settings(tol=0.0, max_iter=epochs, learning_rate=learning_rate, rule=rule)
    rngs = [np.random.RandomState(seed)]
    return online.train(module, torch.tensor(D), rngs, settings).arrays()


def step_by_hand(x, W, a, b, *, eta0, eps, eta_ip, mu, alpha, beta):
    """One step as the paper writes it, number by number, for W (d, m)."""
    d, m = W.shape
    g = [sum(W[p, j] * x[p] for p in range(d)) for j in range(m)]
    h = [1 / (1 + np.exp(-(a[j] * g[j] + b[j]))) for j in range(m)]
    x_hat = [sum(W[p, j] * h[j] for j in range(m)) for p in range(d)]
    eta = eta0 / (eps + sum(value**2 for value in h))
    new_W, new_a, new_b = W.copy(), a.copy(), b.copy()
    for j in range(m):
        for p in range(d):
            w = W[p, j] + eta * (x[p] - x_hat[p]) * h[j]
            new_W[p, j] = w - (alpha if w < 0 else beta) * w
        delta_b = eta_ip * (1 - (2 + 1 / mu) * h[j] + h[j] ** 2 / mu)
        new_b[j] = b[j] + delta_b
        new_a[j] = a[j] + eta_ip / a[j] + g[j] * delta_b
    return new_W, new_a, new_b


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.3, 0.1), (0.0, 0.5)])
def test_steps_are_those_of_the_formulas(alpha, beta):
    rng = np.random.RandomState(0)
    D, W = rng.uniform(size=(3, 5)), rng.normal(size=(5, 4))
    a, b = rng.uniform(0.5, 2, size=4), rng.normal(size=4)
    components, gain, bias = W.T.copy(), a.copy(), b.copy()
    rule = Online(plasticity=0.05, mean=0.3, negative=alpha, positive=beta, epsilon=0.1)
    online.epoch(D, components, gain, bias, learning_rate=0.7, rule=rule)
    for x in D:
        W, a, b = step_by_hand(
            x, W, a, b, eta0=0.7, eps=0.1, eta_ip=0.05, mu=0.3, alpha=alpha, beta=beta
        )
    assert np.allclose(components, W.T, rtol=1e-12, atol=1e-15)
    assert np.allclose(gain, a, rtol=1e-12)
    assert np.allclose(bias, b, rtol=1e-12)
    assert alpha == 1 or (components < 0).any(), "all weights are positive: decay is not tested"


def test_the_settings_are_the_authors():
    rule = Online()
    assert (rule.plasticity, rule.mean, rule.epsilon) == (0.001, 0.2, 0.0002)
    module = begun(np.zeros((1, 40)), m=50)
    components = module.components.detach().numpy()
    assert components.min() == pytest.approx(0.0125, abs=1e-4)
    assert components.max() == pytest.approx(0.0625, abs=1e-4)
    assert components.mean() == pytest.approx(0.0375, abs=1e-3)
    assert (module.gain == 1).all() and (module.bias == -3).all()


def test_a_full_decay_keeps_parts_nonnegative_and_a_partial_one_does_not():
    D = digits(200) / 4
    free = Problem(Parts(), NNSAE.codes, NNSAE.inference)
    module, _ = trained(D)
    assert module.components.min() == 0
    module = begun(D, problem=free)
    learned(module, D, rule=Online(negative=0.01))
    assert module.components.min() < 0


@pytest.mark.parametrize("mean", [0.05, 0.2])
def test_plasticity_makes_codes_exponential_with_its_mean(mean):
    # Inputs for which gain 1 and bias 0 give an exponential distribution, cut off at 1.
    rng = np.random.RandomState(0)
    h = -mean * np.log1p(-rng.uniform(size=(20_000, 1)) * -np.expm1(-1 / mean))
    D, components = np.log(h / (1 - h)), np.ones((1, 1))
    gain, bias = np.full(1, 0.5), np.full(1, -2.0)
    assert abs(online.codes(D, components, gain, bias).mean() - mean) > 0.2 * mean
    rule = Online(plasticity=0.002, mean=mean)
    for _ in range(3):
        online.epoch(D, components, gain, bias, learning_rate=0.0, rule=rule)
    assert gain == pytest.approx(1, rel=0.1)
    assert bias == pytest.approx(0, abs=0.2)
    assert online.codes(D, components, gain, bias).mean() == pytest.approx(h.mean(), rel=0.1)


def test_a_unit_without_input_rests_where_its_bias_does():
    components, gain, bias = np.zeros((1, 1)), np.ones(1), np.full(1, -3.0)
    online.epoch(
        np.zeros((3000, 1)), components, gain, bias, learning_rate=0.0,
        rule=Online(plasticity=0.01, mean=0.2),
    )  # fmt: skip
    # 1 − 7h + 5h² = 0
    assert online.codes(np.zeros(1), components, gain, bias) == pytest.approx((7 - 29**0.5) / 10)


def test_it_learns_bars():
    data = crosses(5000)
    module, history = trained(data.D, epochs=8, m=20)
    components = module.components.detach().numpy()
    norms = np.linalg.norm(components, axis=1)
    used = norms > 0.1
    bars = data.truth.X / np.linalg.norm(data.truth.X, axis=0)
    cosines = (components[used] / norms[used, None]) @ bars
    assert cosines.max(axis=1).min() > 0.9, "a used unit is no bar"
    assert len(set(cosines.argmax(axis=1))) == used.sum() > 10, "units share a bar"
    assert history["alive"][0] == 20 and history["alive"][-1] == used.sum()
    assert history["objective"][-1] < 0.5 * history["objective"][0]


def test_history_is_of_the_module_that_remains():
    D = crosses().D
    module, history = trained(D, epochs=3)
    with torch.no_grad():
        output = module(torch.tensor(D))
        H = online.codes(D, *(w.numpy() for w in (module.components, module.gain, module.bias)))
        assert np.allclose(output.H, H, rtol=1e-12)
        assert history["objective"][-1] == pytest.approx(float(NNSAE.objective(output)))
    assert {len(series) for series in history.values()} == {4}
    assert (np.diff(history["seconds"]) > 0).all()


def test_the_rng_alone_decides():
    D = crosses().D
    one, _ = trained(D, seed=0)
    same, _ = trained(D, seed=0)
    other, _ = trained(D, seed=1)
    assert torch.equal(one.components, same.components)
    assert torch.equal(one.bias, same.bias)
    assert not torch.equal(one.components, other.components), "the order is not drawn"


def test_each_epoch_has_an_order_of_its_own():
    D = crosses().D
    module = begun(D)
    weights = [getattr(module, w).detach().numpy().copy() for w in ("components", "gain", "bias")]
    rng = np.random.RandomState(3)
    for _ in range(2):
        order = rng.permutation(len(D))
        online.epoch(D[order], *weights, learning_rate=0.01, rule=Online())
    learned(module, D, seed=3)
    assert np.array_equal(module.components.detach().numpy(), weights[0])


def test_single_precision_stays_and_learns_the_same():
    D = crosses().D.astype(np.float32)
    double, _ = trained(D.astype(np.float64))
    single = begun(D)
    learned(single, D)
    assert single.components.dtype == torch.float32
    assert torch.allclose(single.components.double(), double.components, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("broken", [{"scale": 1e200}, {"learning_rate": 1e250}, {"scale": 1e3}])
def test_a_diverging_run_stops_and_keeps_what_was_finite(broken):
    D = crosses(50).D * broken.pop("scale", 1.0)
    module = begun(D)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch"):
        history = learned(module, D, epochs=2000, **broken)
    assert len(history["objective"]) <= 2000
    assert np.isfinite(history["objective"][1:]).all()
    assert all(torch.isfinite(w).all() for w in (module.components, module.gain, module.bias))
    assert (module.gain > 0).all()


def test_an_interrupted_run_leaves_the_last_whole_epoch(monkeypatch):
    D = crosses().D
    reference, _ = trained(D, epochs=1)
    module, whole, calls = begun(D), online.epoch, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        whole(*args, **kwargs)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(online, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learned(module, D, epochs=5)
    assert torch.equal(module.components, reference.components)


@pytest.mark.parametrize(
    ("problem", "solved"),
    [
        (NNSAE, True),
        (Problem(Parts(), NNSAE.codes, NNSAE.inference), True),
        (Problem(NNSAE.parts, ReLU(), NNSAE.inference), False),
        (Problem(NNSAE.parts, Logistic(), Layer(tied=True, bias=True)), False),
        (Problem(NNSAE.parts, Logistic(), Layer(bias=True)), False),
        (Problem(Parts(unit=True), Logistic(), NNSAE.inference), False),
        (Problem(Parts(nonnegative=True, offset=True), Logistic(), NNSAE.inference), False),
        (Problem(NNSAE.parts, Logistic(), NNSAE.inference, Objective(penalties=(L1(0.1),))), False),
    ],
)
def test_it_solves_only_its_own_problem(problem, solved):
    if solved:
        online.check(problem)
    else:
        with pytest.raises(ValueError, match='solver="online" needs logistic codes'):
            online.check(problem)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": 0.0}, "mean must be"),
        ({"mean": 1.0}, "mean must be .* below 1"),
        ({"plasticity": -1.0}, "plasticity must be"),
        ({"negative": 1.5}, "negative must be .* at most 1"),
        ({"positive": float("nan")}, "positive must be"),
        ({"epsilon": 0.0}, "epsilon must be"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Online(**settings)


def test_bad_calls_are_named():
    D = crosses(50).D
    with pytest.raises(ValueError, match="learning_rate must be"):
        presets.nnsae(6, learning_rate=0.0).fit(D)
    with pytest.raises(ValueError, match="epochs must be"):
        presets.nnsae(6, max_epochs=0).fit(D)
    with pytest.raises(ValueError, match="only shrinks negative weights"):
        trained(D, rule=Online(negative=0.5))
