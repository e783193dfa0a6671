"""What an SAE takes: numbers of every kind in every container, choices, devices; the rest is told.

The same numbers give the same model whatever holds them.
"""

import array
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from partsrep import (
    KL,
    L0,
    L1,
    L2,
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
    LogVolume,
    MutualChoice,
    Online,
    PathNorm,
    PriorKL,
    Pursuit,
    ReLU,
    Simplex,
    TopK,
    Unrolled,
    compare,
    datasets,
    encodability_on,
    load,
    save,
    verdict,
)
from partsrep.choices.codes import Codes
from partsrep.choices.inference import NNLS
from partsrep.choices.parts import Parts
from partsrep.presets import Disjoint, Samples, Sparseness, UnitMean
from partsrep.solvers import adam

n, d, m, k = 40, 6, 4, 2
# Whole numbers that every kind below holds exactly.
D = np.random.RandomState(0).randint(0, 9, size=(n, d)).astype(float)
U, X = np.random.RandomState(1).randint(-4, 5, size=(2, m, d)).astype(float)
X = X.T

SINGLE, DOUBLE = np.float32, np.float64
NUMBERS = {
    **dict.fromkeys(("float16", "float32"), SINGLE),
    **dict.fromkeys(("float64", "int64", "int32", "uint8", ">f8", ">i4", "object"), DOUBLE),
}
TENSORS = {
    torch.float16: SINGLE, torch.bfloat16: SINGLE, torch.float32: SINGLE, torch.float64: DOUBLE,
    torch.int64: DOUBLE, torch.uint8: DOUBLE,
}  # fmt: skip


def as_numpy(kind, D=D):
    return D.astype(kind), NUMBERS[kind]


def as_tensor(kind, D=D):
    return torch.tensor(D).to(kind), TENSORS[kind]


def as_parameter(kind, D=D):
    return nn.Parameter(torch.tensor(D).to(kind)), TENSORS[kind]


def tagged(make, kinds):
    return [pytest.param(make, kind, id=f"{make.__name__}-{kind}") for kind in kinds]


KINDS = [
    *tagged(as_numpy, NUMBERS),
    *tagged(as_tensor, TENSORS),
    *tagged(as_parameter, [kind for kind in TENSORS if kind.is_floating_point]),
]
every_kind = pytest.mark.parametrize("make, kind", KINDS)


def small(**settings):
    return SAE(m, solver="adam", max_epochs=3, random_state=0, **settings)


# Numbers ---------------------------------------------------------------------------------------


@every_kind
def test_fit_takes_every_kind_of_number_in_the_precision_that_is_said(make, kind):
    given, dtype = make(kind)
    fit, same = small().fit(given), small().fit(D.astype(dtype))
    assert fit.components_.dtype == dtype and fit.transform(given).dtype == dtype
    np.testing.assert_array_equal(fit.components_, same.components_)
    np.testing.assert_array_equal(fit.transform(given), same.transform(D.astype(dtype)))
    assert fit.score(make(kind)[0]) == pytest.approx(same.score(D), rel=1e-5)


@every_kind
@pytest.mark.parametrize("precision", [SINGLE, DOUBLE])
def test_codes_and_reconstructions_are_in_the_precision_of_the_model(make, kind, precision):
    sae = SAE.from_weights(U.astype(precision), X.astype(precision))
    H = np.maximum(D @ U.T, 0)
    codes = sae.transform(make(kind)[0])
    assert codes.dtype == precision
    np.testing.assert_array_equal(codes, H)
    D_hat = sae.inverse_transform(make(kind, D[:, :m])[0])
    assert D_hat.dtype == precision
    np.testing.assert_array_equal(D_hat, D[:, :m] @ X.T)
    np.testing.assert_array_equal(sae.inverse_transform(codes), H @ X.T)
    expected = 1 - np.square(D - H @ X.T).sum() / np.square(D - D.mean(axis=0)).sum()
    assert sae.score(make(kind)[0]) == pytest.approx(expected, rel=1e-6)


@every_kind
def test_weights_and_thresholds_take_every_kind_of_number(make, kind):
    b, theta = np.array([1.0, 0, 2, 1]), np.array([3.0, 0, 1, 2])
    own = np.abs(U)
    sae = SAE.from_weights(
        make(kind, own)[0], make(kind, own.T)[0], make(kind, b)[0], make(kind, D[0])[0],
        "jumprelu", make(kind, theta)[0],
    )  # fmt: skip
    Z = D @ own.T + b
    np.testing.assert_array_equal(sae.transform(D), Z * (theta < Z))
    one = SAE.from_weights(make(kind, own)[0], own.T, activation=BatchTopK(1), threshold=theta[0])
    np.testing.assert_array_equal(one.transform(D), D @ own.T * (D @ own.T > 3))


@pytest.mark.parametrize("model", [SAE(m, max_epochs=2), NMF(m)], ids=["SAE", "NMF"])
@pytest.mark.parametrize(
    "given",
    [
        D > 4,
        (D > 4).tolist(),
        torch.tensor(D > 4),
        np.asfortranarray(D),
        np.broadcast_to(D[:, None], (n, 1, d))[:, 0],
        [torch.tensor(row, requires_grad=True) for row in D],
        list(D),
        memoryview(D),
    ],
    ids=["bool", "lists", "bool tensor", "columns", "view", "tensors", "rows", "buffer"],
)
def test_containers_of_numbers(model, given):
    rows = [torch.as_tensor(row).tolist() for row in given] if isinstance(given, list) else given
    values = np.array(rows, float)
    fit = model.set_params(random_state=0).fit(given)
    again = model.set_params(random_state=0).fit(values).components_
    np.testing.assert_array_equal(fit.components_, again)


def test_dask_arrays_are_arrays():
    """They too have `blocks`, which are not those of shards."""
    lazy = pytest.importorskip("dask.array").from_array(D, chunks=(7, 3))
    np.testing.assert_array_equal(small().fit(lazy).components_, small().fit(D).components_)


def test_tables_keep_the_names_of_their_columns():
    table = pd.DataFrame(D.astype(np.float32), columns=list("abcdef"))
    sae = small().fit(table)
    assert sae.transform(table).dtype == np.float32
    assert sae.feature_names_in_.tolist() == list("abcdef")
    assert small().fit(table).set_output(transform="pandas").transform(table).shape == (n, m)
    np.testing.assert_array_equal(
        sae.inverse_transform(pd.DataFrame(D[:, :m])), sae.inverse_transform(D[:, :m])
    )


NO_ARRAYS = {
    "DataLoader": lambda: DataLoader(torch.tensor(D)),
    "generator": lambda: (row for row in D),
    "TensorDataset": lambda: TensorDataset(torch.tensor(D)),
    "str": lambda: "activations.npy",
    "dict": lambda: {"a": D},
    "set": lambda: {1.0, 2.0},
    "NoneType": lambda: None,
    "Linear": lambda: nn.Linear(2, 2),
}


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_what_is_no_array_is_told_what_is_one(name):
    sae, said = SAE.from_weights(U, X), f"X is a {name}, which is no array.*shards.paths"
    nmf = NMF(m, random_state=0).fit(D)
    takers = [SAE(m).fit, NMF(m).fit]
    takers += [use for fit in (sae, nmf) for use in (fit.transform, fit.inverse_transform)]
    for use in (*takers, sae.score, nmf.score):
        with pytest.raises(ValueError, match=said):
            use(NO_ARRAYS[name]())


@pytest.mark.parametrize(
    "given, said",
    [
        (torch.tensor(D).to_sparse(), "torch tensor that is no array"),
        (torch.empty(3, d, device="meta"), "torch tensor that is no array"),
        (torch.tensor(D) * 1j, "[Cc]omplex"),
        (D[0], "2D"),
        (D[None], "dim 3"),
        (D[:0], "0 sample"),
        (D[:, :0], "0 feature"),
        (np.full((2, d), np.nan), "NaN"),
        (np.full((2, d), np.inf), "infinity"),
        (torch.full((2, d), torch.nan, dtype=torch.bfloat16), "NaN"),
        ([["a"] * d], "convert|string"),
        (array.array("d", [1.0]), "which is no array"),
        ([[10**400] * d], "beyond the range of floats"),
        (np.full((2, d), 10**400, dtype=object), "beyond the range of floats"),
        (np.full((2, d), np.datetime64("2020-01-01")), "dates or times"),
        (np.full((2, d), np.timedelta64(1, "s")), "dates or times"),
        (pd.DataFrame({i: [1, 2] for i in range(5)} | {5: pd.to_datetime(["2020"] * 2)}), "dates"),
        (pd.DataFrame({i: pd.to_datetime(["2020"] * 2, utc=True) for i in range(6)}), "dates"),
    ],
)
def test_what_is_no_matrix_of_numbers(given, said):
    nmf = NMF(m, random_state=0).fit(D)
    for use in (SAE(m).fit, SAE.from_weights(U, X).transform, NMF(m).fit, nmf.transform):
        with pytest.raises(ValueError, match=said):
            use(given)


def test_widths_that_do_not_fit():
    sae = SAE.from_weights(U, X)
    with pytest.raises(ValueError, match="X has 5 features, but SAE is expecting 6"):
        sae.transform(D[:, :5])
    for wrong in (D, D[:, :3]):
        with pytest.raises(ValueError, match=f"X has {wrong.shape[1]} columns.* 4 parts"):
            sae.inverse_transform(wrong)
    with pytest.raises(ValueError, match="2D"):
        sae.inverse_transform(D[0])
    with pytest.raises(TypeError, match="Sparse data"):
        sae.inverse_transform(sp.csr_array(D[:, :m]))


@pytest.mark.parametrize("scale, size", [(1e25, "large"), (1e-25, "small")])
def test_data_that_a_single_precision_model_cannot_square(scale, size):
    for use in (small(dtype="float32").fit, SAE.from_weights(*map(SINGLE, (U, X))).transform):
        with pytest.raises(ValueError, match=f"too {size} for sums of squares in float32"):
            use(scale * D)
    assert np.isfinite(small(dtype="float64").fit(SINGLE(D)).components_).all()


def test_a_long_transform_is_the_transform_of_its_parts(monkeypatch):
    sae = SAE.from_weights(U, X)
    H, D_hat = sae.transform(D), sae.inverse_transform(D[:, :m])
    monkeypatch.setattr(adam, "ROWS", 7)
    np.testing.assert_array_equal(sae.transform(D), H)
    np.testing.assert_array_equal(sae.inverse_transform(D[:, :m]), D_hat)


# Integers and numbers among the settings ---------------------------------------------------------

INTEGERS = [np.int64, np.int32, np.uint8, np.int8]
COUNTED = {
    "TopK": lambda i: {"activation": TopK(i(2))},
    "BatchTopK": lambda i: {"activation": BatchTopK(i(2))},
    "MutualChoice": lambda i: {"activation": MutualChoice(i(2))},
    "FeatureChoice": lambda i: {"activation": FeatureChoice(i(2))},
    "Pursuit": lambda i: {"encoder": Pursuit(i(2))},
    "Unrolled": lambda i: {"encoder": Unrolled(i(2), tied=True)},
    "AuxK": lambda i: {"activation": TopK(2), "penalty": AuxK(k=i(2))},
    "batch_size": lambda i: {"batch_size": i(16)},
    "max_epochs": lambda i: {"max_epochs": i(2)},
    "n_init": lambda i: {"n_init": i(2)},
    "n_components": lambda i: {"n_components": i(3)},
    "all": lambda i: {
        "n_components": i(3), "max_epochs": i(2), "batch_size": i(100), "activation": TopK(i(1)),
        "solver": "auto",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("integer", INTEGERS)
def test_numpys_integers_are_integers(name, integer):
    fits = [small().set_params(**COUNTED[name](i)).fit(D) for i in (integer, int)]
    np.testing.assert_array_equal(fits[0].components_, fits[1].components_)
    np.testing.assert_array_equal(fits[0].transform(D), fits[1].transform(D))
    assert repr(fits[0].problem_) == repr(fits[1].problem_)


@pytest.mark.parametrize("integer", INTEGERS)
def test_numpys_integers_in_given_weights(integer):
    one, other = (
        SAE.from_weights(U, X, activation=TopK(i(k))).transform(D) for i in (integer, int)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("wrong", [True, np.True_, 2.0, "2", None, 0, -1, torch.tensor(2)])
def test_what_is_no_count(wrong):
    for make in (TopK, BatchTopK, FeatureChoice, Pursuit, Unrolled):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            make(wrong)
    for name in ("max_epochs", "batch_size", "n_init"):
        with pytest.raises(ValueError, match=f"{name} must be an integer"):
            SAE(m, **{name: wrong}).fit(D)


NUMBERED = {
    "JumpReLU": lambda x: JumpReLU(x, bandwidth=x), "L1": L1, "L0": L0, "Hoyer": Hoyer,
    "KL": lambda x: KL(x, target=x), "Decay": lambda x: Decay(x, x), "AuxK": AuxK,
    "PriorKL": PriorKL, "L2": L2, "LogVolume": lambda x: LogVolume(x, x),
    "PathNorm": PathNorm,
    "Sparseness": Sparseness, "FeatureChoice": lambda x: FeatureChoice(1, zipf=x),
    "Online": lambda x: Online(x, x, x, x, x),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERED)
def test_numbers_become_pythons(name):
    expected = NUMBERED[name](0.5)
    for number in (Fraction(1, 2), np.float32(0.5), np.float16(0.5), np.float64(0.5)):
        assert repr(NUMBERED[name](number)) == repr(expected)
    for wrong in (np.nan, np.inf, -1, 10**400, "1", True, 1j, None):
        if not (name == "JumpReLU" and wrong is None):
            with pytest.raises(ValueError, match="must be a finite number"):
                NUMBERED[name](wrong)


# Shards ----------------------------------------------------------------------------------------


def sharded(folder, D=D, dtype=np.float32, files=3):
    for i, rows in enumerate(np.array_split(np.asarray(D, dtype), files)):
        np.save(folder / f"{i:03}.npy", rows)
    return datasets.shards(sorted(folder.glob("*.npy")))


@pytest.mark.parametrize("stored", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_shards_train_as_the_array_does(tmp_path, stored, dtype):
    stream = sharded(tmp_path, dtype=stored)
    fit, same = (small(dtype=dtype, batch_size=8).fit(d) for d in (stream, D.astype(stored)))
    expected = dtype or ("float64" if stored == "float64" else "float32")
    assert fit.components_.dtype == expected
    np.testing.assert_array_equal(fit.components_, same.components_)
    np.testing.assert_array_equal(fit.transform(stream), same.transform(D))
    assert fit.loss_ == same.loss_


def test_bfloat16_in_files_is_bfloat16_in_memory(tmp_path):
    tensor = torch.tensor(D / 7).to(torch.bfloat16)
    save_file({"acts": tensor}, tmp_path / "a.safetensors")
    fits = [small().fit(given) for given in (datasets.shards(tmp_path / "a.safetensors"), tensor)]
    np.testing.assert_array_equal(fits[0].components_, fits[1].components_)


@pytest.mark.parametrize(
    "settings, data",
    [
        ({}, 1e25 * D),
        ({}, 1e-25 * D),
        ({"dtype": "float32"}, 1e25 * D),
        ({"decoder": "nonnegative"}, D - 1),
        ({"loss": "bernoulli", "output": "logistic"}, D),
        ({"loss": "bernoulli", "output": "logistic"}, (D - 1) / 8),
    ],
    ids=["large", "small", "cast", "negative", "above", "below"],
)
def test_shards_are_checked_as_arrays_are(tmp_path, settings, data):
    dtype = np.float64 if "dtype" in settings else np.float32
    stream = sharded(tmp_path, data, dtype)
    said = []
    for given in (data.astype(dtype), stream):
        with pytest.raises(ValueError) as error:
            small(**settings).fit(given)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("settings", [{"solver": "lbfgs"}, {"decoder": Hull()}])
def test_what_needs_all_samples_at_once_says_so(tmp_path, settings):
    stream = sharded(tmp_path)
    with pytest.raises(ValueError, match=r"X are shards.*in memory.*np\.asarray\(X\)"):
        SAE(m, max_epochs=2, **settings).fit(stream)
    fit = SAE(m, max_epochs=2, random_state=0, **settings).fit(np.asarray(stream))
    np.testing.assert_array_equal(fit.transform(stream), fit.transform(np.asarray(stream)))


def test_nothing_else_loads_shards_unasked(tmp_path):
    stream, nmf = sharded(tmp_path), NMF(m, random_state=0).fit(D)
    sae = SAE.from_weights(U, X)
    for name, use in (
        ("D", lambda: compare(nmf, sae, stream)),
        ("heldout", lambda: compare(nmf, sae, D, stream)),
        ("D", lambda: encodability_on(stream, nmf.components_.T)),
        ("D", lambda: verdict(stream, NMF(m), NMF(m))),
    ):
        with pytest.raises(ValueError, match=f"{name} are shards, and here it has to be in memory"):
            use()
    for model in (nmf, sae):
        with pytest.raises(ValueError, match=r"^codes X are shards.* say, or np.asarray\(shards\)"):
            model.inverse_transform(stream)


def test_given_starts_may_be_sparse():
    H, P = np.eye(len(D), m), np.abs(D[:m])
    dense = NMF(m, start=(H, P.T)).fit(np.abs(D))
    sparse = NMF(m, start=(sp.csr_array(H), sp.csr_array(P.T))).fit(np.abs(D))
    assert np.array_equal(sparse.components_, dense.components_)


def test_shards_forget_the_names_of_an_older_fit(tmp_path):
    sae = small().fit(pd.DataFrame(D, columns=list("abcdef")))
    assert not hasattr(sae.fit(sharded(tmp_path)), "feature_names_in_")


def test_codes_of_shards_need_no_more_memory_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(adam, "ROWS", 500)
    monkeypatch.setattr(sys.modules["partsrep.datasets.shards"], "BLOCK", 2**15)
    wide = np.tile(D, (1000, 10))
    stream = sharded(tmp_path, wide, files=20)
    sae = SAE.from_weights(*(np.ones(s, np.float32) for s in ((1, 60), (60, 1))))
    tracemalloc.start()
    sae.transform(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < wide.size * 4 / 5


# Choices ---------------------------------------------------------------------------------------


class SoftThreshold(Codes):
    """A home-made activation."""

    def __call__(self, Z):
        return (Z - 0.1).clamp(min=0)

    def __repr__(self):
        return "SoftThreshold()"


WRONG = {
    "activation": [
        nn.ReLU(), nn.ReLU, torch.relu, nn.functional.relu, nn.Sigmoid(), lambda Z: Z, TopK,
        "TopK", "topk", "jumprelu", "ReLU", "gelu", None, 3, L1(0.1), Simplex, Layer(),
        Parts(), ["relu"], {"relu"}, np.ones(2),
    ],
    "decoder": [
        None, "Hull", Hull, nn.Linear(2, 2), Parts, Sparseness, Samples, TopK(2), "positive",
        np.ones((2, 2)), True,
    ],
    "encoder": [
        None, Unrolled, "unrolled", Pursuit, "pursuit", nn.Linear(2, 2), nn.Linear, Layer, NNLS,
        ReLU(), "Linear", torch.relu, np.ones((2, 2)),
    ],
    "penalty": [
        nn.L1Loss(), nn.L1Loss, L1, "L1", "l1", 0.1, [0.1], [L1(0.1), nn.MSELoss()], TopK(2),
        LogVolume, lambda output: 0.0, abs,
    ],
}  # fmt: skip
LISTED = {
    "activation": "choose one of 'relu', 'logistic', ReLU.., JumpReLU.threshold., TopK.k.",
    "decoder": "choose one of 'free', 'unit', 'nonnegative', 'unit-nonnegative', Hull.., Cone",
    "encoder": "choose one of 'linear', 'tied', 'nonnegative', Unrolled.steps., Pursuit.k.",
    "penalty": "choose one of L1.weight., L2.weight., L0.weight., KL",
}


@pytest.mark.parametrize(
    "name, value", [(name, value) for name, values in WRONG.items() for value in values]
)
def test_choices_of_a_wrong_kind_are_told_what_there_is(name, value):
    with pytest.raises(ValueError, match=rf"(?s){name}=.* is not known; {LISTED[name]}"):
        SAE(m, **{name: value}).fit(D)


@pytest.mark.parametrize(
    "name, value, meant",
    [
        ("activation", nn.ReLU(), "ReLU()"),
        ("activation", torch.relu, "ReLU()"),
        ("activation", TopK, "TopK(k)"),
        ("activation", "topk", "TopK(k)"),
        ("activation", "jumprelu", "JumpReLU(threshold)"),
        ("decoder", "Hull", "Hull()"),
        ("encoder", Unrolled, "Unrolled(steps)"),
        ("encoder", nn.Linear(2, 2), "'linear'"),
        ("penalty", "l1", "L1(weight)"),
    ],
)
def test_and_what_was_meant(name, value, meant):
    with pytest.raises(ValueError) as error:
        SAE(m, **{name: value}).fit(D)
    assert str(error.value).endswith(f"Here: {name}={meant}.")


@pytest.mark.parametrize(
    "settings",
    [
        *({"activation": a} for a in (ReLU(), JumpReLU(1), TopK(2), Logistic(), SoftThreshold())),
        {"activation": Gaussian(), "penalty": PriorKL(1)},
        *({"decoder": p} for p in (Parts(), Parts(nonnegative=True, unit=True), Hull(), Cone())),
        *({"decoder": p} for p in (Sparseness(0.5), UnitMean(), Disjoint())),
        *({"encoder": e} for e in (Layer(), Layer(tied=True), Pursuit(2))),
        *({"penalty": p} for p in (None, L1(0.1), [L1(0.1), Decay(0.1)], (Hoyer(1),), [])),
        *({"penalty": p} for p in (L2(0.1), LogVolume(0.1), L2(0.1, on="parts"))),
    ],
    ids=str,
)
def test_each_kind_of_choice_is_taken(settings):
    assert small().set_params(**settings).fit(D).transform(D).shape == (n, m)


def test_prior_kl_needs_codes_with_a_variance():
    with pytest.raises(
        ValueError, match=r"PriorKL\(weight=1.0\) acts .* set activation=Gaussian\(\)"
    ):
        SAE(m, penalty=PriorKL(1.0)).fit(D)


@pytest.mark.parametrize("value", [[1], np.ones(3), {"a": 1}, torch.ones(2), None, 3.5])
@pytest.mark.parametrize("name", ["bias", "output", "loss", "solver"])
def test_names_of_a_wrong_kind(name, value):
    with pytest.raises(ValueError, match=f"{name}=.* is not known; choose one of"):
        SAE(m, **{name: value}).fit(D)


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("value", WRONG["activation"])
def test_weights_are_given_with_an_activation_that_is_one(value, threshold):
    if isinstance(value, str) and value == "jumprelu":
        return  # which here has its threshold beside it
    with pytest.raises(ValueError, match="choose one of 'relu', 'logistic', 'jumprelu', ReLU"):
        SAE.from_weights(U, X, activation=value, threshold=threshold)


def test_weights_are_given_with_codes_that_an_encoder_gives():
    with pytest.raises(ValueError, match=r"Simplex\(\) is no activation"):
        SAE.from_weights(U, X, activation=Simplex())


@pytest.mark.parametrize("wrong", [None, "U", nn.Linear(d, m), (row for row in U)])
@pytest.mark.parametrize("name", ["encoder", "decoder", "bias", "decoder_bias", "threshold"])
def test_weights_that_are_no_arrays(name, wrong):
    given = {"encoder": U, "decoder": X, "activation": BatchTopK(k), "threshold": 1.0}
    if wrong is None and "bias" in name:
        return  # there is none
    said = (
        "needs its threshold" if (name, wrong) == ("threshold", None) else f"{name} is a .* array"
    )
    with pytest.raises(ValueError, match=said):
        SAE.from_weights(**(given | {name: wrong}))


@pytest.mark.parametrize("make, kind", [param for param in KINDS if "object" not in str(param)])
def test_a_start_takes_every_kind_of_number(make, kind):
    start = tuple(make(kind, np.abs(W))[0] for W in (U, X))
    fits = [SAE(start=s, max_epochs=2, random_state=0).fit(D) for s in (start, (abs(U), abs(X)))]
    np.testing.assert_array_equal(fits[0].components_, fits[1].components_)
    listed = tuple(np.abs(W).tolist() for W in (U, X))
    assert SAE(start=listed, max_epochs=2, random_state=0).fit(D).loss_ == fits[0].loss_


# Devices ---------------------------------------------------------------------------------------

ABSENT = ["gpu", "meta", "cuda:99", "", "cpu:-2", 3.5, [], torch.device("meta")]
ABSENT += [] if torch.cuda.is_available() else ["cuda", "cuda:0", torch.device("cuda")]


@pytest.mark.parametrize("device", ABSENT, ids=str)
def test_a_device_that_is_not_here_is_told_before_anything_else(device, monkeypatch):
    monkeypatch.setattr(SAE, "_data", None)  # which would look at the data
    with pytest.raises(ValueError, match=r"device=.* is not here: there is 'cpu'.*device=None"):
        SAE(m, device=device).fit(D)


@pytest.mark.parametrize("device", [None, "cpu", "cpu:0", torch.device("cpu")])
def test_a_device_that_is_here(device):
    np.testing.assert_array_equal(
        small(device=device).fit(D).components_, small().fit(D).components_
    )


def test_a_model_of_another_machine_loads_and_says_how_to_train_it(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("the device is here")
    sae = small().fit(D)
    H = sae.transform(D)
    save(sae.set_params(device="cuda"), tmp_path / "sae")
    again = load(tmp_path / "sae")
    np.testing.assert_array_equal(again.transform(D), H)
    with pytest.raises(ValueError, match=r"after set_params\(device=None\)"):
        again.fit(D)
    again.set_params(device=None).fit(D)
