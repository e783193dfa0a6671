"""Models out and in again, and weights of our peers against their forward passes, written out."""

import json
import os
import pickle
from dataclasses import is_dataclass
from importlib.metadata import version

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from problems import random_matrix
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import partsrep
from partsrep import (
    KL,
    L0,
    L1,
    L2,
    NMF,
    SAE,
    BatchTopK,
    FeatureChoice,
    Fixed,
    Gaussian,
    Hull,
    JumpReLU,
    Logistic,
    PathNorm,
    PriorKL,
    Pursuit,
    TopK,
    Unrolled,
    compare,
    load,
    presets,
    save,
)
from partsrep.choices.codes import Codes
from partsrep.choices.inference import Inference
from partsrep.choices.objective import Penalty
from partsrep.choices.parts import PartSet
from partsrep.storage import CHOICES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
n, d, m, k = 60, 8, 5, 2
D = random_matrix(0, n, d, zeros=0.2) / 8  # in [0, 1], as Bernoulli wants it


def assert_equal(a, b):
    """The same values of the same kind, to the bit."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert_equal(list(a.items()), list(b.items()))
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_equal(one, other)
    elif isinstance(a, torch.nn.Module):
        assert_equal(
            {k: v.numpy() for k, v in a.state_dict().items()},
            {k: v.numpy() for k, v in b.state_dict().items()},
        )
    else:
        assert a == b


def there_and_back(model, folder, X=D):
    """The model that comes back, after a look at all it knows and does."""
    save(model, folder / "model.safetensors")
    again = load(folder / "model.safetensors")
    assert type(again) is type(model) and again.get_params() == model.get_params()
    ours, theirs = vars(model), vars(again)
    assert set(ours) == set(theirs)
    for name in set(ours) - set(model.get_params()):
        assert_equal(ours[name], theirs[name])
    H = model.transform(X)
    assert_equal(H, again.transform(X))
    assert_equal(model.inverse_transform(H), again.inverse_transform(H))
    return again


NMFS = {
    "plain": NMF(m),
    "kl": NMF(m, solver="mu", beta_loss="kullback-leibler"),
    "penalised": NMF(m, alpha_W=0.1, l1_ratio=0.5, penalty=[L1(0.01)]),
    "counted": NMF(m, penalty=(L1(0.01, per="data"), L2(0.1, on="parts", per="entry"))),
    "list of penalties": NMF(m, penalty=[L1(0.01), partsrep.LogVolume(0.1)]),
    "topk": NMF(m, codes=TopK(k), parts="unit-nonnegative"),
    "auto": NMF(init="random", random_state=np.int64(3)),
}


@pytest.mark.parametrize("name", NMFS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_nmf(tmp_path, name, dtype):
    model = NMFS[name].set_params(max_iter=20)
    there_and_back(model.fit(D.astype(dtype)), tmp_path, D.astype(dtype))


PRESETS = presets.FACTORIZATIONS | presets.AUTOENCODERS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset(tmp_path, name):
    model = PRESETS[name](m, random_state=0)
    model.set_params(**{"max_iter" if isinstance(model, NMF) else "max_epochs": 20})
    there_and_back(model.fit(D + 0.01), tmp_path, D + 0.01)


def test_each_choice_of_the_package_can_be_stored():
    """Also one in a file of its own, which nobody else names."""
    waiting, found = [Codes, PartSet, Inference, Penalty], set()
    while waiting:
        choice = waiting.pop()
        waiting += choice.__subclasses__()
        if choice.__module__.startswith("partsrep.") and is_dataclass(choice):
            found.add(choice)
    assert len(found) > 30 and found <= set(CHOICES.values())


SAES = {
    "plain": {},
    "tied": {"encoder": "tied", "bias": "encoder"},
    "nonnegative": {"encoder": "nonnegative", "decoder": "nonnegative", "bias": "both"},
    "unit": {"decoder": "unit", "penalty": L1(0.01)},
    "by norm": {"penalty": [L1(0.01, by_norm=True), L2(0.1, on="parts", per="data")]},
    "path norm": {"penalty": PathNorm(0.01, per="data")},
    "unrolled": {"encoder": Unrolled(3, tied=True)},
    "pursuit": {"encoder": Pursuit(k), "decoder": "unit"},
    "topk": {"activation": TopK(k)},
    "batch": {"activation": BatchTopK(k)},
    "feature": {"activation": FeatureChoice(k, zipf=0.5)},
    "jump": {"activation": JumpReLU(0.1), "decoder": "unit"},
    "learned": {
        "activation": JumpReLU(0.1, bandwidth=0.2),
        "decoder": "unit",
        "penalty": [L0(0.01)],
    },
    "logistic": {
        "activation": "logistic",
        "output": "logistic",
        "bias": "both",
        "loss": "bernoulli",
        "penalty": (KL(0.1), L1(0.01)),
    },
    "variational": {"activation": Gaussian(), "penalty": PriorKL(0.1), "bias": "encoder"},
    "hull": {"decoder": Hull()},
    "sparse": {"decoder": presets.Sparseness(0.5)},
    "fixed": {"decoder": Fixed(random_matrix(1, d, m))},
    "lbfgs": {"solver": "lbfgs", "dtype": "float32", "device": "cpu"},
    "alternating": {"solver": "alternating"},
}


@pytest.mark.parametrize("name", SAES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_sae(tmp_path, name, dtype):
    model = SAE(m, max_epochs=3, random_state=0, **SAES[name]).fit(D.astype(dtype))
    there_and_back(model, tmp_path, D.astype(dtype))


def test_parameters_that_changed_after_the_fit(tmp_path):
    model = SAE(m, bias="encoder", max_epochs=2).fit(D)
    model.set_params(activation=TopK(1), bias="both", decoder="unit")
    there_and_back(model, tmp_path)


def test_masked_sparse_and_streamed_data(tmp_path):
    mask = np.random.RandomState(0).uniform(size=D.shape) < 0.9
    there_and_back(NMF(m).fit(D, mask=mask), tmp_path)
    there_and_back(NMF(m).fit(sp.csr_matrix(D)), tmp_path)


def test_names_of_features_and_pandas(tmp_path):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(D, columns=[f"pixel {j}" for j in range(d)])
    model = NMF(m).fit(table).set_output(transform="pandas")
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert_equal(again.feature_names_in_, model.feature_names_in_)
    pd.testing.assert_frame_equal(again.transform(table), model.transform(table))


def test_mini_batches_go_on_where_they_were(tmp_path):
    model = NMF(m, random_state=0).partial_fit(D[:30])
    again = there_and_back(model, tmp_path)
    assert_equal(model.partial_fit(D[30:]).components_, again.partial_fit(D[30:]).components_)


def test_a_loaded_model_is_a_start_and_a_side_of_a_comparison(tmp_path):
    save(NMF(m, random_state=0).fit(D), tmp_path / "nmf")
    save(SAE(m, max_epochs=2, random_state=0).fit(D), tmp_path / "sae")
    nmf, sae = load(tmp_path / "nmf"), load(tmp_path / "sae")
    assert compare(nmf, sae, D).loss_a == pytest.approx(nmf.loss_)
    assert SAE(m, start=sae, max_epochs=1).fit(D).components_.shape == (m, d)


def test_what_is_passing_is_not_stored(tmp_path):
    model = NMF(m, start=NMF(m).fit(D), random_state=np.random.RandomState(0)).fit(D)
    save(model, tmp_path / "model")
    assert (load(tmp_path / "model").start, load(tmp_path / "model").random_state) == (None, None)
    assert model.start is not None and model.random_state is not None
    save(model.set_params(random_state=7), tmp_path / "model")
    assert load(tmp_path / "model").random_state == 7


# The file -------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    save(SAE(m, activation=BatchTopK(k), max_epochs=2, bias="both").fit(D), tmp_path / "sae")
    return tmp_path / "sae"


def header(path):
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["partsrep"])


def rewritten(path, change, **tensors):
    """The file with its JSON changed and some tensors replaced."""
    config = header(path)
    change(config)
    save_file(load_file(path) | tensors, path, metadata={"partsrep": json.dumps(config)})
    return path


def test_the_file_is_numbers_and_json(saved):
    sae, tensors = load(saved), load_file(saved)
    for name in ("components_", "encoder_", "bias_", "decoder_bias_"):
        assert_equal(tensors[name], getattr(sae, name))
    assert_equal(tensors["history_.objective"], sae.history_["objective"])
    config = header(saved)
    assert (config["format"], config["version"], config["class"]) == (2, version("partsrep"), "SAE")
    assert config["parameters"]["activation"] == {"BatchTopK": {"k": k}}
    assert config["fitted"]["loss_"] == sae.loss_
    # Nothing twice: the module's weights are these arrays.
    assert config["fitted"]["module_"]["dict"]["dictionary"] == {"array": "components_"}
    assert saved.stat().st_size < 2 * sum(array.nbytes for array in tensors.values()) + 5000


def test_an_older_file_is_replaced_at_once(saved):
    """Whoever is reading the older file reads it to its end."""
    older = saved.read_bytes()
    with open(saved, "rb") as file:
        save(NMF(m).fit(D), saved)
        assert file.read() == older
    assert isinstance(load(saved), NMF)
    assert list(saved.parent.iterdir()) == [saved]


def test_readable_like_any_new_file(saved):
    (saved.parent / "other").touch()
    assert os.stat(saved).st_mode == os.stat(saved.parent / "other").st_mode


def test_arrays_are_not_shared(saved):
    sae = load(saved)
    sae.components_[:] = 0
    assert sae.module_.components.any()


class Home(Codes):
    """An activation of one's own."""

    homogeneous = True

    def __call__(self, Z):
        return Z.clamp(min=0)


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model"
    for model in (NMF(m), SAE(m)):
        with pytest.raises(ValueError, match="not fitted"):
            save(model, path)
    for other in (partsrep.Problem(), TopK(3), None):
        with pytest.raises(ValueError, match="NMF or SAE"):
            save(other, path)
    with pytest.raises(ValueError, match=r"activation=.*cannot be stored"):
        save(SAE(m, activation=Home(), max_epochs=1).fit(D), path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(IsADirectoryError, match="folder"):
        save(NMF(m).fit(D), tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        save(NMF(m).fit(D), tmp_path / "missing" / "model")


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError, match="folder"):
        load(tmp_path)


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.99])
def test_truncated_files(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="not a whole one"):
        load(saved)


class Bomb:
    """Raises when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "sae.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="pickles are never loaded"):
        load(path)
    torch.save({"encoder.weight": torch.zeros(2, 3), "bomb": Bomb()}, path)
    with pytest.raises(ValueError, match="pickles are never loaded"):
        load(path)


def test_files_of_others(tmp_path):
    save_file({"W_enc": np.zeros((2, 3))}, tmp_path / "theirs")
    with pytest.raises(ValueError, match=r"from_weights"):
        load(tmp_path / "theirs")


def solved(config):
    """The four choices of an SAE, as its file names them."""
    return config["fitted"]["problem_"]["Problem"]


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda c: c.update(format=1), r"format 1 of partsrep .*reads format 2.*or fit again"),
        (
            lambda c: c.update(format=3, version="9.9"),
            r"format 3 of partsrep 9\.9.*install the one",
        ),
        (lambda c: c.update(format="2"), "reads format 2"),
        (lambda c: c.update({"class": "GAN"}), "'GAN'.*neither NMF nor SAE"),
        (lambda c: c["parameters"].update(activation={"TopQ": {"k": 2}}), "'TopQ'.*not know"),
        (lambda c: c["parameters"].update(activation={"TopK": {"k": 0}}), "TopK's k"),
        (lambda c: solved(c).update(codes={"BatchTopK": {"k": m + 1}}), "needs at least"),
        (lambda c: c["parameters"].update(activation={"TopK": {"q": 1}}), "q"),
        (lambda c: c["fitted"].pop("problem_"), "problem_"),
        (lambda c: c["parameters"].update(wings=2), "wings"),
        (lambda c: c["fitted"].update(loss_={"array": "gone"}), "gone"),
        (lambda c: c["fitted"].pop("module_"), "can be loaded"),
        (lambda c: c["fitted"]["module_"]["dict"].pop("encoder"), "encoder"),
        (lambda c: c.pop("format"), "format"),
    ],
)
def test_files_that_say_what_cannot_be(saved, change, said):
    with pytest.raises(ValueError, match=said) as error:
        load(rewritten(saved, change))
    assert str(saved) in str(error.value)


@pytest.mark.parametrize(
    "name, shape",
    [
        ("components_", (m, d + 1)),
        ("components_", (m + 1, d)),
        ("components_", (m * d,)),
        ("encoder_", (m, d - 1)),
        ("encoder_", (d, m)),
        ("bias_", (m - 1,)),
        ("decoder_bias_", (m,)),
        ("threshold_", (m + 1,)),
    ],
)
def test_shapes_that_do_not_fit(saved, name, shape):
    with pytest.raises(ValueError, match="can be loaded"):
        load(rewritten(saved, lambda config: None, **{name: np.ones(shape)}))


def test_shapes_of_an_nmf_that_do_not_fit(tmp_path):
    save(presets.archetypal(m, max_iter=5).fit(D), tmp_path / "nmf")
    for name, shape in (
        ("components_", (m, d + 1)),
        ("components_", (d,)),
        ("parts_weights_", (m + 1, n)),
    ):
        save_file(
            load_file(tmp_path / "nmf") | {name: np.ones(shape)},
            tmp_path / "wrong",
            metadata={"partsrep": json.dumps(header(tmp_path / "nmf"))},
        )
        with pytest.raises(ValueError, match="can be loaded"):
            load(tmp_path / "wrong")


# Weights that were trained elsewhere ------------------------------------------------------------


def draw(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape)


U, X, b, c, theta = draw(m, d), draw(d, m), draw(m), draw(d), np.abs(draw(m))
S = draw(200, d, seed=1)  # samples of both signs


def relu(Z):
    return np.maximum(Z, 0)


def largest(Z, k):
    """Z where it is among the k largest of its row, else 0."""
    return np.where(np.sort(Z, axis=1)[:, [-k]] <= Z, Z, 0)


def assert_forward(sae, H, D_hat, samples=S, tolerance=1e-12):
    assert 0 < np.count_nonzero(H) < H.size
    np.testing.assert_allclose(sae.transform(samples), H, atol=tolerance * np.abs(H).max())
    ours = sae.inverse_transform(sae.transform(samples))
    np.testing.assert_allclose(ours, D_hat, atol=tolerance * np.abs(D_hat).max())


@pytest.mark.parametrize("with_b", [False, True])
@pytest.mark.parametrize("with_c", [False, True])
def test_the_layer(tmp_path, with_b, with_c):
    bias, offset = b if with_b else None, c if with_c else None
    sae = SAE.from_weights(U, X, bias, offset)
    H = relu(S @ U.T + with_b * b)
    assert_forward(sae, H, H @ X.T + with_c * c)
    np.testing.assert_array_equal(sae.components_, X.T)
    np.testing.assert_array_equal(sae.encoder_, U)
    assert sae.n_features_in_ == d and sae.get_feature_names_out().shape == (m,)
    assert not hasattr(sae, "loss_")
    there_and_back(sae, tmp_path, S)
    assert compare(sae, sae, S).mcc == pytest.approx(1)
    assert SAE(m, start=sae, bias=sae.bias, max_epochs=1).fit(S).loss_ > 0


def test_the_activations(tmp_path):
    Z = S @ U.T + b
    for activation, threshold, H in (
        (TopK(k), None, largest(relu(Z), k)),
        (Logistic(), None, 1 / (1 + np.exp(-Z))),
        ("logistic", None, 1 / (1 + np.exp(-Z))),
        (JumpReLU(0.5), None, Z * (Z > 0.5)),
        ("jumprelu", 0.5, Z * (Z > 0.5)),
        ("jumprelu", theta, Z * (theta < Z)),
        (JumpReLU(0.1, bandwidth=0.2), theta, Z * (theta < Z)),
        (JumpReLU(0.1, bandwidth=0.2), None, Z * (Z > 0.1)),
        (BatchTopK(k), 1.5, Z * (Z > 1.5)),
        (FeatureChoice(k), theta, Z * (theta < Z)),
    ):
        sae = SAE.from_weights(U, X, b, c, activation, threshold)
        np.testing.assert_allclose(sae.transform(S), H, atol=1e-12)
        there_and_back(sae, tmp_path, S)


def test_a_threshold_itself_gives_no_code_and_the_next_number_below_it_does():
    at = np.array([[0.5]])
    assert SAE.from_weights([[1.0]], [[1.0]], None, None, "jumprelu", 0.5).transform(at) == 0
    below = np.nextafter(0.5, 0)
    assert SAE.from_weights([[1.0]], [[1.0]], None, None, "jumprelu", below).transform(at) == 0.5


def test_precision_is_that_of_the_weights():
    single = [w.astype(np.float32) for w in (U, X, b)]
    assert SAE.from_weights(*single).components_.dtype == np.float32
    assert SAE.from_weights(*single).transform(S.astype(np.float32)).dtype == np.float32
    assert SAE.from_weights(single[0], X).components_.dtype == np.float64
    assert SAE.from_weights(np.eye(2, dtype=int), np.eye(2)).components_.dtype == np.float64
    tensors = [torch.tensor(w) for w in (U, X, b)]
    np.testing.assert_array_equal(
        SAE.from_weights(*tensors).transform(S), SAE.from_weights(U, X, b).transform(S)
    )


def test_the_weights_are_copies():
    mine = U.copy()
    sae = SAE.from_weights(mine, X)
    H = sae.transform(S)
    mine[:] = 0
    np.testing.assert_array_equal(sae.transform(S), H)


@pytest.mark.parametrize(
    "weights, said",
    [
        ((U, X.T), r"decoder has shape \(5, 8\).*\(8, 5\)"),
        ((U.T, X), "decoder has shape"),
        ((U[0], X), "2D"),
        ((U, X, b[:-1]), r"bias has shape \(4,\)"),
        ((U, X, b[:, None]), "bias has shape"),
        ((U, X, b, c[:-1]), "decoder_bias has shape"),
        ((U, X, b, b), "decoder_bias has shape"),
        ((np.full_like(U, np.nan), X), "encoder contains NaN"),
        ((U, X, np.full_like(b, np.inf)), "bias contains infinity"),
        ((U, X * 1j), "[Cc]omplex"),
        ((U, [["a"] * m] * d), "string|convert"),
        ((U, X, b, c, "jumprelu"), "needs its threshold"),
        ((U, X, b, c, BatchTopK(k)), "needs its threshold"),
        ((U, X, b, c, "jumprelu", theta[:-1]), "threshold has shape"),
        ((U, X, b, c, "jumprelu", -theta), r"np\.maximum"),
        ((U, X, b, c, BatchTopK(k), -0.5), r"np\.maximum"),
        ((U, X, b, c, "jumprelu", np.nan), "threshold contains NaN"),
        ((U, X, b, c, "relu", 0.5), "has no threshold to give"),
        ((U, X, b, c, TopK(k), 0.5), "has no threshold to give"),
        ((U, X, b, c, JumpReLU(0.5), 0.5), "has no threshold to give"),
        ((U, X, b, c, TopK(m + 1)), "needs at least 6"),
        ((U, X, b, c, "tanh"), "tanh"),
        ((U, X, b, c, TopK), r"Here: activation=TopK\(k\)"),
    ],
)
def test_weights_that_make_no_layer(weights, said):
    with pytest.raises(ValueError, match=said):
        SAE.from_weights(*weights)
