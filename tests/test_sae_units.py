"""An autoencoder of c·D is that of D, told in other units: for every choice that can be scaled."""

from dataclasses import dataclass

import numpy as np
import pytest
from problems import digits

from partsrep import (
    KL,
    L0,
    L1,
    NMF,
    SAE,
    AuxK,
    BatchTopK,
    Cone,
    Decay,
    FeatureChoice,
    Gaussian,
    Hoyer,
    Hull,
    JumpReLU,
    Layer,
    Logistic,
    PathNorm,
    PriorKL,
    Pursuit,
    TopK,
    Unrolled,
    datasets,
    fit_all,
    presets,
)
from partsrep.choices.codes import Codes
from partsrep.choices.objective import Penalty

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# What has a unit in the arguments is given in that of the data, c.
CHOICES = {
    "relu": lambda c: {},
    "biases": lambda c: {"bias": "both", "decoder": "unit-nonnegative"},
    "tied": lambda c: {"encoder": "tied", "bias": "encoder"},
    "nonnegative": lambda c: {"encoder": "nonnegative", "decoder": "nonnegative"},
    "topk": lambda c: {"activation": TopK(2), "penalty": AuxK()},
    "batchtopk": lambda c: {"activation": BatchTopK(2), "decoder": "unit"},
    "feature": lambda c: {"activation": FeatureChoice(2, zipf=0.5), "bias": "encoder"},
    "jump": lambda c: {"activation": JumpReLU(0.3 * c), "decoder": "unit"},
    "learned": lambda c: {
        "activation": JumpReLU(0.3 * c, bandwidth=0.2 * c),
        "penalty": L0(0.05 * c * c),
        "decoder": "unit",
    },
    "logistic": lambda c: {"activation": Logistic(), "bias": "both"},
    "logistic, tied": lambda c: {
        "activation": Logistic(),
        "encoder": Layer(tied=True, gain=True),
        "bias": "encoder",
        "penalty": KL(0.1 * c * c, target=0.2),
    },
    "gaussian": lambda c: {
        "activation": Gaussian(),
        "penalty": PriorKL(0.1 * c * c),
        "bias": "both",
    },
    "pursuit": lambda c: {"encoder": Pursuit(2)},
    "unrolled": lambda c: {"encoder": Unrolled(3)},
    "hull": lambda c: {"decoder": Hull(), "penalty": L1(0.01 * c * c)},
    "cone": lambda c: {"decoder": Cone()},
    "L1": lambda c: {"penalty": [L1(0.1 * c), L1(0.05 * c, by_norm=True)], "decoder": "unit"},
    "path norm": lambda c: {"penalty": PathNorm(0.1 * c * c), "decoder": "nonnegative"},
    "path norm, tied": lambda c: {"penalty": PathNorm(0.1 * c * c), "encoder": "tied"},
    "KL": lambda c: {"penalty": KL(0.1 * c * c)},
    "Hoyer, Decay": lambda c: {"penalty": [Hoyer(0.2 * c * c), Decay(0.1 * c * c)]},
}
# Powers of two: then even the rounding is the same, and nothing can hide behind a tolerance.
SCALES = {"float64": (2.0**8, 2.0**-200, 2.0**250), "float32": (2.0**8, 2.0**-50, 2.0**45)}
ON_ITS_OWN = {"lbfgs": ("relu", "logistic", "gaussian", "KL"), "alternating": ("relu",)}


def data(dtype="float64"):
    return digits(60)[:, 18:46].astype(dtype)


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize(
    ("solver", "name"),
    [("adam", name) for name in CHOICES]
    + [(solver, name) for solver, names in ON_ITS_OWN.items() for name in names]
    + [("auto", name) for name in ("relu", "topk", "L1", "path norm", "unrolled")],
)
def test_a_fit_does_not_depend_on_the_unit_of_the_data(solver, name, dtype):
    D = data(dtype)
    fits = {}
    for c in (1.0, *SCALES[dtype]):
        sae = SAE(5, solver=solver, max_epochs=6, random_state=0, **CHOICES[name](c))
        fits[c] = sae.fit(D * D.dtype.type(c))
    rtol = 1e-9 if dtype == "float64" else 1e-4
    one = fits.pop(1.0)
    D_hat = one.inverse_transform(one.transform(D))
    for c, fit in fits.items():
        X = D * D.dtype.type(c)
        assert fit.loss_ / c / c == pytest.approx(one.loss_, rel=rtol)
        objective = fit.history_["objective"] / c / c
        np.testing.assert_allclose(objective, one.history_["objective"], rtol=rtol)
        H = fit.transform(X)
        np.testing.assert_allclose(fit.inverse_transform(H) / c, D_hat, rtol=rtol, atol=1e-5)
        assert np.array_equal(H > 0, one.transform(D) > 0)
        if one.threshold_ is not None:
            np.testing.assert_allclose(np.divide(fit.threshold_, c), one.threshold_, rtol=rtol)
        assert fit.problem_.codes == CHOICES[name](c).get("activation", fit.problem_.codes)


@pytest.mark.parametrize("source", ["mapped", "shards", "stack", "start"])
def test_the_unit_does_not_matter_behind_other_doors(source, tmp_path):
    """Memory maps, shards, stacks of a grid and a given start are scaled in the same place."""
    D, c = data(), 2.0**30
    losses = []
    for unit in (1.0, c):
        X = unit * D
        np.save(tmp_path / "data.npy", X)
        choices = {"solver": "adam", "max_epochs": 4, "random_state": 0, "decoder": "unit"}
        grid = [SAE(4, penalty=L1(w * unit), **choices) for w in (0.01, 0.1)]
        if source == "mapped":
            fits = [grid[0].fit(np.load(tmp_path / "data.npy", mmap_mode="r"))]
        elif source == "shards":
            fits = [grid[0].fit(datasets.shards([tmp_path / "data.npy"]))]
        elif source == "stack":
            fits = fit_all(grid, X)
        else:
            starts = NMF(4, random_state=0).fit(D), grid[1].fit(X)
            parts = starts[0].components_ * np.sqrt(unit)
            starts = [(parts / unit, parts.T), starts[1]]
            fits = [SAE(4, **choices).set_params(start=start).fit(X) for start in starts[1:]]
        losses.append([fit.loss_ / unit**2 for fit in fits])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


@pytest.mark.parametrize("c", [255.0, 1e-3])
def test_a_logistic_layer_learns_images_in_any_unit(c):
    D, one = data(), SAE(4, activation="logistic", random_state=0, max_epochs=150)
    for solver, least in (("auto", -np.inf), ("lbfgs", 0.5)):
        scores = [one.set_params(solver=solver).fit(u * D).score(u * D) for u in (1.0, c)]
        assert scores[0] > least
        assert scores[1] == pytest.approx(scores[0], abs=0.02)


def test_an_activation_and_a_penalty_of_ones_own_keep_the_unit_of_the_data():
    """They do not say what they are in other units, so that none is tried."""

    @dataclass(frozen=True)
    class Shifted(Codes):
        threshold: float

        def __call__(self, Z):
            return (Z - self.threshold).clamp(min=0)

    @dataclass(frozen=True)
    class Squares(Penalty):
        weight: float = 0.01

        def value(self, F):
            return self.weight * np.square(F).sum()

        def quadratic(self, F, gram, cross):
            return gram + self.weight * np.eye(len(F)), cross

        def __call__(self, output):
            return self.weight * output.H.square().sum(dim=-1).mean(dim=-1)

    D = 7 * data()
    for choices in ({"activation": Shifted(2.0), "decoder": "unit"}, {"penalty": Squares()}):
        sae = SAE(4, max_epochs=5, random_state=0, **choices).fit(D)
        module, H = sae.module_, sae.transform(D)
        pre = D @ sae.encoder_.T - (2.0 if "activation" in choices else 0.0)
        np.testing.assert_allclose(H, np.maximum(pre, 0), atol=1e-9)
        error = np.square(D - H @ sae.components_).sum()
        added = 0.01 * np.square(H).sum() if "penalty" in choices else 0.0
        assert sae.history_["objective"].min() == pytest.approx((error + added) / len(D))
        assert module.problem is sae.problem_
    D = 2.0**40 * data()
    nmf = NMF(4, parts="unit-nonnegative", penalty=Squares(), random_state=0, max_iter=5).fit(D)
    H = nmf.transform(D)
    gram = nmf.components_ @ nmf.components_.T + 0.01 * np.eye(4)
    # Where a code is positive, its gradient is zero.
    assert np.abs(np.where(H > 0, H @ gram - D @ nmf.components_.T, 0)).max() < 1e-6 * D.max()


@pytest.mark.parametrize("make", [presets.ncae, presets.sae_kl, None])
def test_what_reconstructs_between_zero_and_one_says_so_of_other_data(make):
    D = data()
    sae = SAE(3, output="logistic", max_epochs=2) if make is None else make(3, max_epochs=2)
    sae.fit(D / D.max())
    for wrong in (255 * D, D - 1, D + 0.5):
        with pytest.raises(ValueError, match=r"output='logistic' .* need data in \[0, 1\]"):
            sae.fit(wrong)
    # The bound that is missed by a hair is seen to be missed.
    with pytest.raises(ValueError, match=r" to 1\.000000001: scale"):
        sae.fit(D / D.max() * 1.000000001)
