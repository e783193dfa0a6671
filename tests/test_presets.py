"""The named methods, each against another way to the same thing."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from problems import disjoint_parts, random_matrix, seeds
from scipy.optimize import minimize, nnls
from sklearn.decomposition import NMF as TheirNMF
from sklearn.exceptions import NotFittedError

from partsrep import (
    KL,
    L1,
    L2,
    NMF,
    SAE,
    AuxK,
    BatchTopK,
    FeatureChoice,
    Gaussian,
    Hoyer,
    JumpReLU,
    Layer,
    LogVolume,
    PathNorm,
    Pursuit,
    ReLU,
    TopK,
    datasets,
    presets,
    verdict,
)
from partsrep.choices.combinations import Cone, Hull
from partsrep.choices.parts import sparseness
from partsrep.study.matching import match

each_preset = pytest.mark.parametrize("name", presets.FACTORIZATIONS)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def signed(seed, n=30, d=8):
    """Data of both signs near three directions."""
    rng = np.random.RandomState(seed)
    clusters = rng.standard_normal((3, d))[rng.randint(3, size=n)]
    return clusters * rng.uniform(0.5, 2, (n, 1)) + 0.3 * rng.standard_normal((n, d))


def svd_tail(D, m):
    return float(np.sum(np.linalg.svd(D, compute_uv=False)[m:] ** 2))


def error(D, D_hat):
    return float(np.sum((D - D_hat) ** 2))


def positive(M):
    return np.maximum(M, 0), np.maximum(-M, 0)


@each_preset
def test_a_preset_is_an_unfitted_model_with_settings(name):
    nmf = presets.FACTORIZATIONS[name](3, random_state=5, tol=1e-2, max_iter=7)
    assert type(nmf) is NMF
    assert (nmf.n_components, nmf.random_state, nmf.tol, nmf.max_iter) == (3, 5, 1e-2, 7)
    assert not hasattr(nmf, "components_")
    D = random_matrix(0, 20, 6) + 0.1
    assert nmf.fit(D).components_.shape == (3, 6)
    assert presets.choices(nmf) == presets.choices(presets.FACTORIZATIONS[name](3))


def test_the_catalogue_says_what_is_written():
    table = presets.catalogue()
    assert list(table.index) == list(presets.FACTORIZATIONS)
    assert (table.map(len) > 0).all(axis=None)
    assert table["reference"].str.contains(r"\(\d{4}\)").all()
    assert table["minimises"].str.startswith(r"\min").all()
    others = table.drop(columns="minimises").to_numpy()
    assert not np.char.count(others.astype(str), "\\").any()
    # No two rows of the table are the same method.
    assert not table[["parts", "codes", "inference", "objective"]].duplicated().any()


@pytest.mark.parametrize("seed", range(3))
def test_semi_nmf_of_nonnegative_data_is_the_svd(seed):
    D = random_matrix(seed, 30, 10) + 0.05  # irreducible: T2
    nmf = presets.semi_nmf(3, tol=1e-7, max_iter=5000, random_state=0).fit(D)
    assert nmf.loss_ == pytest.approx(svd_tail(D, 3), rel=1e-3)
    assert nmf.components_.min() < 0
    assert nmf.transform(D).min() >= 0


def semi_by_multiplication(D, m, rng, rounds=400):
    """Ding, Li and Jordan's semi-NMF: least squares for the parts, a root for the codes."""
    H = rng.uniform(0.2, 1.2, (len(D), m))
    for _ in range(rounds):
        P = np.linalg.pinv(H) @ D
        (plus, minus), (up, down) = positive(D @ P.T), positive(P @ P.T)
        H = H * np.sqrt((plus + H @ down + 1e-12) / (minus + H @ up + 1e-12))
    return error(D, H @ np.linalg.pinv(H) @ D)


@pytest.mark.parametrize("seed", range(2))
def test_semi_nmf_of_signed_data(seed):
    D, rng = signed(seed), np.random.RandomState(seed)
    theirs = min(semi_by_multiplication(D, 3, rng) for _ in range(3))
    nmf = presets.semi_nmf(3, n_init=5, tol=1e-6, random_state=0).fit(D)
    assert svd_tail(D, 3) <= nmf.loss_ <= 1.001 * theirs


def convex_by_multiplication(D, m, rng, rounds=1500):
    """Ding, Li and Jordan's convex NMF, with their G = H and W = Aᵀ."""
    up, down = positive(D @ D.T)
    G, W = rng.uniform(0.2, 1.2, (2, len(D), m))
    for _ in range(rounds):
        G = G * np.sqrt((up @ W + G @ (W.T @ down @ W)) / (down @ W + G @ (W.T @ up @ W) + 1e-12))
        Q = G.T @ G
        W = W * np.sqrt((up @ G + down @ W @ Q) / (down @ G + up @ W @ Q + 1e-12))
    return error(D, G @ W.T @ D)


@pytest.mark.parametrize("data", [signed, random_matrix])
def test_convex_nmf(data):
    D, rng = data(1, 30, 8), np.random.RandomState(1)
    theirs = min(convex_by_multiplication(D, 3, rng) for _ in range(3))
    nmf = presets.convex_nmf(3, n_init=5, tol=1e-6, random_state=0).fit(D)
    np.testing.assert_allclose(nmf.parts_weights_ @ D, nmf.components_, atol=1e-9)
    assert nmf.parts_weights_.min() >= 0
    assert nmf.loss_ <= 1.002 * theirs


def projective_by_multiplication(D, m, rng, rounds=1500):
    """Yuan and Oja's update, scaled by the spectral norm after each."""
    S, W = D.T @ D, rng.uniform(0, 1, (D.shape[1], m))
    for _ in range(rounds):
        W = W * (2 * S @ W) / (W @ (W.T @ S @ W) + S @ W @ (W.T @ W) + 1e-12)
        W /= np.linalg.norm(W, 2)
    return error(D, D @ W @ W.T)


@pytest.mark.parametrize("seed", range(2))
def test_projective_nmf(seed):
    D, rng = random_matrix(seed, 30, 10), np.random.RandomState(seed)
    theirs = min(projective_by_multiplication(D, 3, rng) for _ in range(4))
    nmf = presets.projective_nmf(3, n_init=4, tol=1e-6, max_iter=2000, random_state=0).fit(D)
    assert nmf.loss_ <= 1.001 * theirs
    assert nmf.loss_ == pytest.approx(error(D, D @ nmf.components_.T @ nmf.components_))


def best_partition(D, m):
    """Least sum over all partitions of the columns of what rank one leaves of each group."""
    d = D.shape[1]
    tails = {}
    for chosen in product((False, True), repeat=d):
        tails[chosen] = svd_tail(D[:, list(chosen)], 1) if any(chosen) else 0.0
    return min(
        sum(tails[tuple(owner == k for owner in owners)] for k in range(m))
        for owners in product(range(m), repeat=d)
    )


@given(seed=seeds)
@settings(deadline=None, max_examples=5)
def test_orthogonal_parts_are_the_best_partition_of_features(seed):
    D = random_matrix(seed, 12, 6)
    nmf = presets.orthogonal_nmf(3, n_init=20, tol=1e-8, random_state=0).fit(D)
    rounding = 1e-8 * np.sum(D**2)
    assert nmf.loss_ == pytest.approx(best_partition(D, 3), rel=1e-4, abs=rounding)
    products = nmf.components_ @ nmf.components_.T
    assert not (products - np.diag(products.diagonal())).any()


@given(seed=seeds)
@settings(deadline=None, max_examples=8)
def test_orthogonal_codes_are_the_best_partition_of_samples(seed):
    rng = np.random.RandomState(seed)
    directions = rng.exponential(size=(2, 5)) + 4 * np.eye(2, 5)
    D = directions[[0, 1, 0, 1, 0, 1, 0]] * rng.uniform(0.5, 3, (7, 1))
    D = D * rng.uniform(0.9, 1.1, D.shape)
    nmf = presets.orthogonal_nmf(2, on="codes", tol=1e-8).fit(D)
    assert nmf.loss_ == pytest.approx(best_partition(D.T, 2), rel=1e-4)
    H = nmf.transform(D)
    assert not (H[:, 0] * H[:, 1]).any()


def test_orthogonal_nmf_rejects_another_factor():
    with pytest.raises(ValueError, match=r"on.*parts.*codes"):
        presets.orthogonal_nmf(3, on="both")


def test_archetypes_are_the_corners():
    rng = np.random.RandomState(0)
    corners = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 3.0]])
    D = np.vstack([corners, rng.dirichlet([1.0, 1.0, 1.0], 40) @ corners])
    nmf = presets.archetypal(3, tol=1e-7, max_iter=5000).fit(D)
    H, A = nmf.transform(D), nmf.parts_weights_
    for weights in (H, A):
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=1), 1)
    order = match(nmf.components_ + 1, corners + 1).pairs
    np.testing.assert_allclose(nmf.components_[order[:, 0]], corners[order[:, 1]], atol=1e-3)


def test_archetypal_against_a_general_solver():
    rng = np.random.RandomState(2)
    D, m = rng.standard_normal((8, 2)), 3
    n = len(D)

    def factors(z):
        return z[: n * m].reshape(n, m), z[n * m :].reshape(m, n)

    def sums(z):
        return np.concatenate([factor.sum(axis=1) - 1 for factor in factors(z)])

    found = []
    for _ in range(3):
        begin = np.concatenate([rng.dirichlet(np.ones(k), j).ravel() for j, k in ((n, m), (m, n))])
        result = minimize(
            lambda z: error(D, factors(z)[0] @ factors(z)[1] @ D),
            begin,
            bounds=[(0, 1)] * len(begin),
            constraints={"type": "eq", "fun": sums},
            method="SLSQP",
        )
        found.append(result.fun if np.abs(sums(result.x)).max() < 1e-6 else np.inf)
    nmf = presets.archetypal(m, n_init=5, tol=1e-7, max_iter=5000, random_state=0).fit(D)
    assert nmf.loss_ <= 1.001 * min(found)


@given(seed=seeds)
@settings(deadline=None, max_examples=10)
def test_separable_nmf_finds_planted_samples(seed):
    rng = np.random.RandomState(seed)
    anchors = rng.exponential(size=(4, 10)) + 5 * np.eye(4, 10)
    mixed = rng.dirichlet(np.full(4, 0.8), 40) @ anchors
    D = np.vstack([mixed, anchors]) * rng.uniform(0.5, 5, (44, 1))
    nmf = presets.separable_nmf(4).fit(D)
    assert set(nmf.parts_weights_.argmax(axis=1)) == {40, 41, 42, 43}
    assert nmf.loss_ < 1e-12 * np.sum(D**2)
    noisy = D * (1 + 1e-4 * rng.standard_normal(D.shape))
    assert match(presets.separable_nmf(4).fit(noisy).components_, anchors).mcc > 0.99


def hoyer_projection(x, value):
    """Hoyer's algorithm (2004, section 3.3): the nearest x ≥ 0 of the same norm and given sum."""
    d, norm = len(x), np.linalg.norm(x)
    total = norm * (np.sqrt(d) - value * (np.sqrt(d) - 1))
    s, free = x + (total - x.sum()) / d, np.ones(d, bool)
    while True:
        middle = np.where(free, total / free.sum(), 0)
        way = s - middle
        a, b, c = way @ way, 2 * way @ middle, middle @ middle - norm**2
        s = middle + way * (-b + np.sqrt(max(b * b - 4 * a * c, 0))) / (2 * a)
        if (s >= 0).all():
            return s
        free &= s >= 0
        s = np.where(free, s, 0)
        s = np.where(free, s - (s.sum() - total) / free.sum(), 0)


def sparse_by_gradients(D, m, value, rng, rounds=400):
    """Hoyer's algorithm: projected gradient steps for the parts, multiplication for the codes."""
    H, P = rng.uniform(size=(len(D), m)), rng.uniform(size=(m, D.shape[1]))
    P = np.array([hoyer_projection(x, value) for x in P])
    loss, step = error(D, H @ P), 1.0
    for _ in range(rounds):
        gradient = H.T @ (H @ P - D)
        while step > 1e-12:
            ahead = np.array([hoyer_projection(x, value) for x in P - step * gradient])
            if error(D, H @ ahead) <= loss:
                P, step = ahead, 1.2 * step
                break
            step /= 2
        H = H * (D @ P.T) / (H @ P @ P.T + 1e-12)
        loss = error(D, H @ P)
    return loss


@pytest.mark.parametrize("value", [0.4, 0.7])
def test_sparse_nmf(value):
    D, rng = random_matrix(3, 20, 9), np.random.RandomState(3)
    theirs = min(sparse_by_gradients(D, 3, value, rng, rounds=300) for _ in range(2))
    nmf = presets.sparse_nmf(3, sparseness=value, n_init=5, tol=1e-6, random_state=0).fit(D)
    np.testing.assert_allclose(sparseness(nmf.components_), value, atol=1e-9)
    assert nmf.loss_ <= 1.002 * theirs


def test_topk_nmf():
    D = random_matrix(4, 30, 9)
    sparse = presets.topk_nmf(4, k=2, random_state=0).fit(D)
    assert (np.count_nonzero(sparse.transform(D), axis=1) <= 2).all()
    start = sparse.transform(D) + 0.1, sparse.components_.T + 0.1
    everything, plain = (
        model.set_params(tol=1e-7, max_iter=5000, start=start).fit(D)
        for model in (presets.topk_nmf(4, k=4), NMF(4))
    )
    assert everything.loss_ == pytest.approx(plain.loss_, rel=1e-2)
    assert plain.loss_ <= sparse.loss_


def test_topk_codes_against_all_supports():
    """With the parts it found, no choice of two of the three codes is much better."""
    D = random_matrix(5, 25, 6)
    nmf = presets.topk_nmf(3, k=2, random_state=0).fit(D)
    best = np.full(len(D), np.inf)
    for dropped in range(3):
        some = np.delete(nmf.components_, dropped, axis=0)
        H = np.array([nnls(some.T, sample)[0] for sample in D])
        errors = np.sum((D - H @ some) ** 2, axis=1)
        best = np.minimum(best, errors)
    assert best.sum() <= nmf.loss_ * (1 + 1e-9) <= 1.001 * best.sum()


def planted_simplex(seed, m=4, d=20, n=300):
    """Dense parts of mean 1, and mixtures none of which is pure."""
    rng = np.random.RandomState(seed)
    P = rng.dirichlet(np.full(d, 0.5), m) * d + 1
    H = rng.dirichlet(np.ones(m), 5 * n)
    H = H[H.max(axis=1) < 0.85][:n] * rng.uniform(0.5, 1.5, (n, 1))
    return P, H @ P


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("seed", range(2))
def test_min_volume_recovers_what_plain_nmf_does_not(seed, scale):
    P, D = planted_simplex(seed)
    D = scale * D
    weight = 1e-4 * np.sum(D**2)
    nmf = presets.min_volume_nmf(4, weight=weight, max_iter=3000, random_state=0).fit(D)
    plain = NMF(4, random_state=0).fit(D)
    assert match(nmf.components_, P).mcc > 0.995
    assert match(plain.components_, P).mcc < 0.99
    np.testing.assert_allclose(nmf.components_.mean(axis=1), 1)
    objective = nmf.history_["objective"]
    assert (np.diff(objective) <= 1e-12 * objective[0]).all()


@pytest.mark.parametrize("name", ["kl_nmf", "itakura_saito_nmf"])
def test_divergences_as_scikit_learn(name):
    D, rng = random_matrix(6, 25, 8) + 0.1, np.random.RandomState(6)
    begin = rng.uniform(0.1, 1, (25, 3)), rng.uniform(0.1, 1, (3, 8))
    common = {"solver": "mu", "tol": 1e-9, "max_iter": 3000, "init": "custom"}
    ours = presets.FACTORIZATIONS[name](3, tol=1e-9, max_iter=3000, init="custom")
    ours.fit(D, W=begin[0], H=begin[1])
    theirs = TheirNMF(3, beta_loss=ours.beta_loss, **common)
    theirs.fit_transform(D, W=begin[0].copy(), H=begin[1].copy())
    assert np.sqrt(ours.loss_) == pytest.approx(theirs.reconstruction_err_, rel=1e-3)


@given(seed=seeds)
@settings(deadline=None, max_examples=2)
def test_each_constraint_costs(seed):
    """T1: the chain of sets is one of losses, where every minimum is found."""
    D, m = random_matrix(seed, 15, 6) + 0.05, 2
    find = {"random_state": 0, "n_init": 4, "tol": 1e-5, "max_iter": 2000}
    chain = [
        svd_tail(D, m),
        *(
            preset(m, **find).fit(D).loss_
            for preset in (presets.semi_nmf, NMF, presets.projective_nmf, presets.orthogonal_nmf)
        ),
    ]
    slack = 1e-4 * chain[0]
    assert (np.diff(chain) >= -slack).all()
    convex = presets.convex_nmf(m, **find).fit(D).loss_
    archetypal = presets.archetypal(m, **find).fit(D).loss_
    assert chain[2] - slack <= convex <= archetypal + slack


# The other method ------------------------------------------------------------------------------


def full_rank(seed):
    """Overlapping parts, linearly independent, with codes that have zeros: unique and encodable."""
    return datasets.load("planted", n_samples=200, n_parts=4, overlap=0.4, seed=seed).D


@pytest.mark.parametrize("start", ["there", "anywhere"])
@pytest.mark.parametrize(
    ("D", "m"), [(disjoint_parts().D, 5), (full_rank(0), 4)], ids=["disjoint", "independent"]
)
def test_like_meets_the_verdict_where_theory_says_so(D, m, start):
    nmf = NMF(m, init="random", n_init=3, random_state=0, tol=1e-6).fit(D)
    chosen = {"max_epochs": 60} | ({} if start == "there" else {"start": None})
    sae = presets.like(nmf, **chosen)
    assert verdict(D, NMF(m, tol=1e-6), sae, seeds=3).agree is True
    back = presets.like(sae.fit(D), **({} if start == "there" else {"start": None}))
    assert isinstance(back, NMF)
    assert verdict(D, back, sae, seeds=3).agree is True


def test_like_a_topk_nmf_selects_as_many_and_finds_its_parts():
    rng = np.random.RandomState(0)
    X = np.eye(4, 12) + 0.3 * random_matrix(0, 4, 12, zeros=0.7)
    H = (rng.uniform(size=(200, 4)).argsort(axis=1) < 2) * rng.uniform(1, 2, (200, 4))
    nmf = presets.topk_nmf(4, k=2, random_state=0, init="random", n_init=3).fit(H @ X)
    sae = presets.like(nmf, max_epochs=100)
    assert sae.activation == TopK(2)
    assert sae.decoder == "unit-nonnegative"
    assert match(sae.fit(H @ X).components_, nmf.components_).mcc > 0.99


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (NMF(3), {"decoder": "nonnegative", "activation": "relu", "penalty": None}),
        (presets.semi_nmf(3), {"decoder": "free"}),
        (presets.topk_nmf(3, k=2), {"decoder": "unit-nonnegative", "activation": TopK(2)}),
        (presets.projective_nmf(3), {"encoder": "tied", "decoder": "nonnegative"}),
        (NMF(3, parts="unit-nonnegative", penalty=L1(0.2)), {"penalty": L1(0.2)}),
        (NMF(3, penalty=L1(0.2)), {"penalty": None, "decoder": "nonnegative"}),
        (presets.convex_nmf(3), {"decoder": Cone()}),
        (NMF(3, parts=Cone(), penalty=L1(0.2)), {"decoder": Cone(), "penalty": None}),
        (NMF(3, parts=Hull(), penalty=L1(0.2)), {"decoder": Hull(), "penalty": L1(0.2)}),
        (NMF(3, codes=TopK(2), penalty=L1(0.2)), {"decoder": "unit-nonnegative"}),
        (presets.sparse_nmf(3), {"decoder": presets.Sparseness(0.7)}),
        (NMF(3, alpha_W=0.1), {"penalty": [L2(0.1, per="entry"), L2(0.1, "parts", "entry")]}),
        (NMF(3, alpha_W=0.1, alpha_H=0.0), {"penalty": None, "decoder": "nonnegative"}),
        (NMF(3, penalty=[LogVolume(0.1), L1(0.1)]), {"penalty": [LogVolume(0.1), L1(0.1)]}),
    ],
)
def test_like_sets_what_the_recipe_says(model, expected):
    D = random_matrix(0, 30, 8) + 0.1
    other = presets.like(model.set_params(random_state=7).fit(D))
    assert isinstance(other, SAE) and not hasattr(other, "components_")
    assert {name: getattr(other, name) for name in expected} == expected
    assert other.start is model and other.random_state == 7 and other.n_components == 3
    assert presets.like(model, random_state=1, start=None).random_state == 1
    said = set(presets.recipe(model)["set"])
    assert f"decoder={other.decoder!r}" in said and f"activation={other.activation!r}" in said
    assert other.set_params(max_epochs=2).fit(D).loss_ < np.sum(D**2)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SAE(3, decoder="nonnegative"), {"parts": "nonnegative", "codes": ReLU()}),
        (SAE(3), {"parts": "free"}),
        (SAE(3, decoder=Hull()), {"parts": Hull()}),
        (SAE(3, decoder=Hull(), penalty=L1(0.1)), {"parts": Hull(), "penalty": L1(0.1)}),
        (SAE(3, decoder=Cone(), penalty=L1(0.1)), {"parts": Cone(), "penalty": None}),
        (SAE(3, activation=BatchTopK(2)), {"codes": ReLU()}),
        (SAE(3, activation=FeatureChoice(2, zipf=1.0)), {"codes": ReLU()}),
        (SAE(3, activation=JumpReLU(0.01)), {"codes": ReLU()}),
        (SAE(3, encoder=Pursuit(2)), {"codes": TopK(2)}),
        (SAE(3, encoder="tied", decoder="nonnegative"), {"inference": Layer(tied=True)}),
        (SAE(3, decoder="unit", penalty=L1(0.1)), {"penalty": L1(0.1), "parts": "unit"}),
        (SAE(3, decoder="nonnegative", penalty=[L1(0.1), AuxK()]), {"penalty": None}),
        (SAE(3, decoder="nonnegative", penalty=KL(0.1)), {"penalty": None}),
        (SAE(3, decoder="nonnegative", penalty=PathNorm(0.1)), {"penalty": None}),
        (SAE(3, penalty=L1(0.1, by_norm=True)), {"parts": "unit", "penalty": L1(0.1)}),
        (SAE(3, decoder="unit", penalty=L2(0.1)), {"parts": "unit", "penalty": L2(0.1)}),
        (SAE(3, penalty=L2(0.1)), {"parts": "free", "penalty": None}),
    ],
)
def test_like_an_autoencoder(model, expected):
    D = random_matrix(0, 30, 8) + 0.1
    other = presets.like(model.set_params(max_epochs=2, random_state=0).fit(D))
    assert isinstance(other, NMF)
    assert {name: getattr(other, name) for name in expected} == expected
    assert other.set_params(max_iter=5).fit(D).components_.shape == (3, 8)
    assert presets.recipe(model)["because"].str.len().min() > 0


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (presets.archetypal(3), "no activation gives such codes"),
        (presets.kl_nmf(3), "squared error"),
        (presets.separable_nmf(3), "cannot be held in that set"),
        (SAE(3, decoder=Cone(), penalty=L1(0.1, by_norm=True)), r"Cone\(\) has no parts of norm 1"),
        (SAE(3, output="logistic"), "another link"),
        (SAE(3, bias="both"), "one with signs does what no part can"),
        (SAE(3, activation="logistic"), "never zero"),
        (SAE(3, penalty=Hoyer(0.1)), "no such penalty"),
        (SAE(3, penalty=[L1(0.1), L2(0.1, on="parts")]), "need nonnegative parts"),
        (SAE(3, decoder=Cone(), penalty=LogVolume(0.1)), "need nonnegative parts"),
        (SAE(3, decoder="unit", penalty=KL(0.1)), "no such penalty"),
        (SAE(3, activation=Gaussian()), "or signed"),
    ],
)
def test_where_theory_knows_no_counterpart_it_says_why(model, reason):
    with pytest.raises(ValueError, match=reason):
        presets.recipe(model)


def test_like_wants_a_fitted_model():
    with pytest.raises(NotFittedError):
        presets.like(NMF(3))


@pytest.mark.parametrize("selection", [BatchTopK(2), FeatureChoice(2), FeatureChoice(2, zipf=1.0)])
def test_a_budget_of_all_samples_becomes_no_budget_of_each(selection):
    """Of a budget for all samples, one sample may use more than its mean: TopK forbids it."""
    Z = torch.tensor([[4.0, 3.0, 2.0], [2.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    used = (selection(Z) > 0).sum(dim=1)
    assert used.sum() <= 2 * len(Z) and used.max() > 2
    model = SAE(3, activation=selection, decoder="nonnegative")
    row = presets.recipe(model).loc["codes"]
    assert row["set"] == "codes=ReLU()" and "T13" in row["because"]


def test_a_decoder_bias_is_not_said_to_be_a_part():
    """T1: one with signs reconstructs what no NMF with one more part does."""
    with pytest.raises(ValueError, match="with signs") as told:
        presets.recipe(SAE(2, bias="both"))
    assert "take NMF with one more" not in str(told.value)
    assert "signs" in presets.recipe(NMF(2)).loc["offset", "because"]
