"""Weights of our peers against their forward passes, written out; what is no layer is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.exceptions import ConvergenceWarning

from partsrep import SAE, BatchTopK, TopK, convert
from partsrep.convert import (
    from_dictionary_learning,
    from_overcomplete,
    from_saelens,
    from_sparsify,
)

d, m, k = 8, 5, 2
PAGE = Path(__file__).parents[1] / "book" / "weights.md"


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


@pytest.mark.parametrize("input_bias", [True, False])
def test_saelens(input_bias):
    w = {"W_enc": U.T, "W_dec": X.T, "b_enc": b, "b_dec": c}
    config = {"apply_b_dec_to_input": input_bias}
    sae_in = S - c * input_bias
    hidden_pre = sae_in @ w["W_enc"] + w["b_enc"]

    acts = relu(hidden_pre)
    assert_forward(from_saelens(w, config), acts, acts @ w["W_dec"] + c)

    for threshold in (theta, -theta):
        acts = relu(hidden_pre) * (hidden_pre > threshold)
        sae = from_saelens(w | {"threshold": threshold}, config)
        assert_forward(sae, acts, acts @ w["W_dec"] + c)

    acts = largest(relu(hidden_pre), k)
    assert_forward(from_saelens(w, config | {"k": k}), acts, acts @ w["W_dec"] + c)

    norms = np.linalg.norm(w["W_dec"], axis=-1)
    acts = largest(relu(hidden_pre * norms), k)
    config = config | {"k": k, "rescale_acts_by_decoder_norm": True}
    assert_forward(from_saelens(w, config), acts, acts * (1 / norms) @ w["W_dec"] + c)


def test_saelens_without_flags_takes_the_bias_from_the_data():
    w = {"W_enc": U.T, "W_dec": X.T, "b_enc": b, "b_dec": c}
    acts = relu((S - c) @ w["W_enc"] + b)
    assert_forward(from_saelens(w, {}), acts, acts @ w["W_dec"] + c)


def linear(weight, bias=0.0):
    """nn.Linear, whose weight is (outputs, inputs)."""
    return lambda x: x @ weight.T + bias


def test_dictionary_learning_with_linear_layers():
    encoder, decoder = linear(U, b), linear(X)
    w = {"encoder.weight": U, "encoder.bias": b, "decoder.weight": X}

    f = relu(encoder(S - c))
    assert_forward(from_dictionary_learning(w | {"bias": c}), f, decoder(f) + c)
    f = relu(encoder(S))
    assert_forward(from_dictionary_learning(w | {"decoder.bias": c}), f, decoder(f) + c)

    post = relu(encoder(S - c))
    for threshold in (-1.0, 1.2):
        own = {"b_dec": c, "k": np.int32(k), "threshold": np.float32(threshold)}
        f = largest(post, k)
        assert_forward(from_dictionary_learning(w | own, batch=False), f, decoder(f) + c)
        f = post * (post > np.float32(threshold))
        assert_forward(from_dictionary_learning(w | own, batch=True), f, decoder(f) + c)


@pytest.mark.parametrize("threshold", [theta, np.float64(0.7), np.float64(-1)])
@pytest.mark.parametrize("input_bias", [True, False])
def test_dictionary_learning_with_plain_parameters(threshold, input_bias):
    w = {"W_enc": U.T, "W_dec": X.T, "b_enc": b, "b_dec": c, "threshold": threshold}
    pre_jump = (S - c * input_bias) @ w["W_enc"] + b
    f = relu(pre_jump * (pre_jump > threshold))
    sae = from_dictionary_learning(w, input_bias=input_bias)
    assert_forward(sae, f, f @ w["W_dec"] + c)


def test_sparsify():
    w = {"encoder.weight": U, "encoder.bias": b, "W_dec": X.T, "b_dec": c}
    preacts = relu(linear(U, b)(S - c))
    indices = np.argsort(-preacts, axis=1)[:, :k]
    values = np.take_along_axis(preacts, indices, axis=1)
    out = np.einsum("nk,nkd->nd", values, w["W_dec"][indices]) + c
    acts = np.zeros_like(preacts)
    np.put_along_axis(acts, indices, values, axis=1)
    assert_forward(from_sparsify(w, {"k": k}), acts, out)


def test_overcomplete():
    multiplier, log_theta = np.array(0.3), np.log(theta)
    w = {
        "encoder.final_block.0.weight": U,
        "encoder.final_block.0.bias": b,
        "dictionary._weights": X.T,
        "dictionary.multiplier": multiplier,
    }
    weights = X.T / (np.linalg.norm(X.T, axis=1, keepdims=True) + 1e-8)
    get_dictionary = weights * np.exp(multiplier)
    pre_codes = linear(U, b)(S)

    codes = relu(pre_codes)
    assert_forward(from_overcomplete(w), codes, codes @ get_dictionary)
    codes = largest(relu(pre_codes), k)
    assert_forward(from_overcomplete(w, k=k), codes, codes @ get_dictionary)
    codes = relu(pre_codes)
    codes[codes < np.exp(log_theta)] = 0
    assert_forward(from_overcomplete(w | {"thresholds": log_theta}), codes, codes @ get_dictionary)
    running = np.sort(pre_codes.ravel())[-50]  # one of the pre-activations
    codes = relu(pre_codes) * (relu(pre_codes) >= running)
    assert np.count_nonzero(codes) == 50
    assert_forward(from_overcomplete(w, threshold=running), codes, codes @ get_dictionary)


@pytest.mark.parametrize("scale", [0.3, 20.0])
def test_a_scale_of_the_data_folds(scale):
    """What a model makes of sD, divided by s, is what the folded model makes of D."""
    whole = U, X, b, c, theta / 5
    model = SAE.from_weights(U, X, b, c, "jumprelu", theta / 5)
    H = model.transform(scale * S)
    D_hat = model.inverse_transform(H) / scale
    for fold, codes in (("fold_keeping_codes", H), ("fold_keeping_parts", H / scale)):
        *weights, threshold = getattr(convert, fold)(scale, *whole)
        assert_forward(SAE.from_weights(*weights, "jumprelu", threshold), codes, D_hat)


def test_a_shift_of_the_data_is_a_bias_before_the_encoder():
    mean = S.mean(axis=0)
    model = SAE.from_weights(U, X, b, c)
    H = model.transform(S - mean)
    D_hat = model.inverse_transform(H) + mean
    assert_forward(SAE.from_weights(U, X, b - U @ mean, c + mean), H, D_hat)


# What is refused ------------------------------------------------------------------------------

SAELENS = {"W_enc": U.T, "W_dec": X.T, "b_enc": b, "b_dec": c}
LINEAR = {"encoder.weight": U, "encoder.bias": b, "decoder.weight": X}
TOPK = LINEAR | {"b_dec": c, "k": k, "threshold": -1.0}
MATRYOSHKA = SAELENS | {"threshold": 1.0, "k": k, "group_sizes": [2, 3]}
SPARSIFY = {"encoder.weight": U, "encoder.bias": b, "W_dec": X.T, "b_dec": c}
OVERCOMPLETE = {
    "encoder.final_block.0.weight": U,
    "encoder.final_block.0.bias": b,
    "dictionary._weights": X.T,
    "dictionary.multiplier": np.array(0.0),
}


@pytest.mark.parametrize(
    "more, config, said",
    [
        (
            {},
            {"activation_fn_kwargs": {"k": 2}},
            "'activation_fn_kwargs' among the config.*SAELens",
        ),
        ({}, {"activation_fn": "tanh-relu"}, "'activation_fn' among the config"),
        ({}, {"finetuning_scaling_factor": True}, "finetuning_scaling_factor"),
        ({}, {"a_later_option": 1}, "'a_later_option' among the config.*not known here"),
        ({}, {"architecture": "temporal"}, "architecture='temporal'"),
        ({}, {"architecture": "matching_pursuit"}, "architecture='matching_pursuit'"),
        ({}, {"architecture": "abstopk", "k": 2}, "architecture='abstopk'"),
        ({}, {"architecture": "topk"}, "architecture='topk' is not what.*'standard'"),
        ({}, {"architecture": "jumprelu"}, "architecture='jumprelu' is not what.*'standard'"),
        ({"threshold": theta}, {"architecture": "standard"}, "'standard' is not what.*'jumprelu'"),
        ({}, {"architecture": "transcoder", "d_out": d}, "'d_out'.*other data than it sees"),
        ({}, {"normalize_activations": "layer_norm"}, "normalize_activations='layer_norm'"),
        ({}, {"normalize_activations": "constant_norm_rescale"}, "normalize_activations"),
        ({}, {"normalize_activations": "expected_average_only_in"}, "fold_keeping_codes"),
        ({}, {"reshape_activations": "other"}, "reshape_activations='other'"),
        ({}, {"apply_b_dec_to_input": None}, "apply_b_dec_to_input=None"),
        ({}, {"k": 2.5}, "TopK's k"),
        ({}, {"d_in": m, "d_sae": d}, r"W_enc has shape \(8, 5\).*\(5, 8\)"),
        ({}, None, "config must be a dict"),
        ({"W_skip": X @ U}, {}, "'W_skip' among the weights.*skip connection"),
        ({"b_dec_out": c}, {}, "'b_dec_out' among the weights.*another"),
        ({"scaling_factor": np.ones(m)}, {}, "'scaling_factor' among the weights.*scaled"),
        ({"log_threshold": theta}, {}, "'log_threshold'.*in training"),
        ({"b_gate": b, "r_mag": b}, {"architecture": "gated"}, "gated encoder"),
        ({"something": b}, {}, "'something' among the weights.*not known here"),
    ],
)
def test_saelens_refuses(more, config, said):
    with pytest.raises(ValueError, match=said):
        from_saelens(SAELENS | more, config)


@pytest.mark.parametrize("name", SAELENS)
def test_saelens_needs_all_weights(name):
    with pytest.raises(ValueError, match=f"'{name}' is missing among the weights"):
        from_saelens({key: value for key, value in SAELENS.items() if key != name}, {})


@pytest.mark.parametrize("transposed", ["W_enc", "W_dec"])
def test_one_transposed_matrix_is_refused(transposed):
    with pytest.raises(ValueError, match="has shape"):
        from_saelens(SAELENS | {transposed: SAELENS[transposed].T}, {})


@pytest.mark.parametrize(
    "weights, options, said",
    [
        (TOPK, {}, "batch= must say"),
        (TOPK | {"k": np.array(2.5)}, {"batch": False}, "k must be an integer.*got 2.5"),
        (TOPK | {"k": np.array([1, 2])}, {"batch": True}, "size 1"),
        (TOPK, {"batch": "AutoEncoderTopK"}, "batch='AutoEncoderTopK'.*only True or False"),
        (TOPK, {"batch": True, "input_bias": False}, "input_bias=False.*only True"),
        (LINEAR | {"b_dec": c, "k": k}, {"batch": True}, "'threshold' is missing"),
        (LINEAR | {"b_dec": c, "threshold": 1.0}, {"batch": True}, "'k' is missing"),
        (LINEAR | {"bias": c}, {"batch": True}, "batch=True.*only False"),
        (LINEAR | {"bias": c, "decoder.bias": c}, {}, "'bias' among the weights"),
        (LINEAR | {"decoder.bias": c}, {"input_bias": True}, "input_bias=True.*only False"),
        (LINEAR, {}, "'bias' is missing"),
        (MATRYOSHKA, {"input_bias": False}, "input_bias=False.*only True"),
        (MATRYOSHKA, {"batch": False}, "batch=False.*only True"),
        (SAELENS | {"threshold": 1.0}, {"batch": True}, "batch=True.*only False"),
        (SAELENS, {}, "'threshold' is missing"),
        (
            {
                "encoder.weight": U,
                "decoder.weight": X,
                **dict.fromkeys(("r_mag", "gate_bias", "mag_bias"), b),
                "decoder_bias": c,
            },
            {},
            "gated encoder",
        ),
        (torch.nn.Linear(2, 2), {}, r"weights must be a dict.*state_dict.*got a Linear"),
        ("ae.pt", {}, "weights must be a dict.*got a str"),
    ],
)
def test_dictionary_learning_refuses(weights, options, said):
    with pytest.raises(ValueError, match=said):
        from_dictionary_learning(weights, **options)


def test_matryoshka_takes_its_bias_from_the_data_unasked():
    f = relu((S - c) @ U.T + b)
    f = f * (f > 1.0)
    assert_forward(from_dictionary_learning(MATRYOSHKA), f, f @ X.T + c)


@pytest.mark.parametrize(
    "more, config, said",
    [
        ({}, {"k": k, "activation": "groupmax"}, "activation='groupmax'.*other units"),
        ({}, {"k": k, "transcode": True}, "transcode=True.*other data"),
        ({}, {"k": k, "skip_connection": True}, "skip_connection=True.*adds"),
        ({}, {"k": k, "signed": True}, "signed=True.*negative"),
        ({}, {"k": k, "new": 0}, "'new' among the config"),
        ({}, {}, "'k' is missing among the config"),
        ({}, {"k": m + 1}, "needs at least 6 parts"),
        ({}, {"k": k, "num_latents": d, "d_in": m}, r"encoder.weight has shape \(5, 8\)"),
        ({"W_skip": X @ U}, {"k": k}, "skip connection"),
    ],
)
def test_sparsify_refuses(more, config, said):
    with pytest.raises(ValueError, match=said):
        from_sparsify(SPARSIFY | more, config)


@pytest.mark.parametrize(
    "more, options, said",
    [
        ({"encoder.final_block.1.running_mean": b}, {}, "final_block.1.running_mean"),
        ({"encoder.mlp_blocks.0.0.weight": U}, {}, "mlp_blocks"),
        ({"dictionary.Relax": X.T}, {}, "dictionary.Relax"),
        ({"thresholds": theta}, {"k": k}, "Only one of"),
        ({}, {"k": k, "threshold": 1.0}, "Only one of"),
    ],
)
def test_overcomplete_refuses(more, options, said):
    with pytest.raises(ValueError, match=said):
        from_overcomplete(OVERCOMPLETE | more, **options)


# Configurations as the peers write them ---------------------------------------------------------


def test_whole_configurations_come_in():
    saelens = {
        "d_in": d, "d_sae": m, "dtype": "float32", "device": "cuda", "apply_b_dec_to_input": False,
        "normalize_activations": "none", "reshape_activations": "none", "architecture": "topk",
        "metadata": {"sae_lens_version": "6.0"}, "k": k, "rescale_acts_by_decoder_norm": False,
    }  # fmt: skip
    assert from_saelens(SAELENS, saelens).problem_.codes == TopK(k)
    sparsify = {
        "activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": 0,
        "k": k, "multi_topk": False, "skip_connection": False, "transcode": False, "d_in": d,
    }  # fmt: skip
    assert from_sparsify(SPARSIFY, sparsify).problem_.codes == TopK(k)
    assert from_dictionary_learning(TOPK, batch=True).problem_.codes == BatchTopK(k)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_tensors_come_in_as_their_values_do(kind):
    tensors = {
        name: torch.nn.Parameter(torch.tensor(value).to(kind)) for name, value in SAELENS.items()
    }
    arrays = {name: value.detach().double().numpy() for name, value in tensors.items()}
    sae, exact = from_saelens(tensors, {}), from_saelens(arrays, {})
    assert sae.components_.dtype == (np.float64 if kind == torch.float64 else np.float32)
    np.testing.assert_allclose(sae.transform(S), exact.transform(S), rtol=1e-4, atol=1e-4)


def test_single_precision_keeps_what_is_at_the_threshold():
    """The number below the threshold is the next one in the precision of the weights."""
    eye = np.eye(2, dtype=np.float32)
    weights = dict(
        zip(OVERCOMPLETE, (eye, np.zeros(2, np.float32), eye, np.float32(0)), strict=True)
    )
    at = np.full((1, 2), np.float32(0.3))
    kept = from_overcomplete(weights, threshold=float(np.float32(0.3))).transform(at)
    np.testing.assert_array_equal(kept, at)


# The page -------------------------------------------------------------------------------------


def test_the_page_names_every_converter():
    text = PAGE.read_text()
    for name in ("from_saelens", "from_dictionary_learning", "from_sparsify", "from_overcomplete"):
        assert f"convert.{name}(" in text


def test_the_page_runs(tmp_path, monkeypatch):
    """Its blocks of Python, one after the other, with weights of each peer."""
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Module()
    for folder, file, weights, config in (
        ("saelens", "sae_weights.safetensors", SAELENS, {"architecture": "standard"}),
        ("dictionary_learning", "ae.pt", TOPK, {}),
        ("sparsify", "sae.safetensors", SPARSIFY, {"k": k}),
    ):
        tensors = {name: torch.tensor(value).contiguous() for name, value in weights.items()}
        (tmp_path / folder).mkdir()
        (save_file if "safe" in file else torch.save)(tensors, f"{folder}/{file}")
        Path(folder, "cfg.json").write_text(json.dumps(config))
    wide = {"U": draw(40, d), "X": draw(d, 40), "b": draw(40), "c": c}
    model.state_dict = lambda: dict(
        zip(OVERCOMPLETE, (wide["U"], wide["b"], wide["X"].T, np.zeros(())), strict=True)
    )
    names = {"sae": SAE.from_weights(U, X), "model": model, **wide}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert names["sae"].problem_.codes == TopK(32)


def test_training_goes_on_from_a_threshold_for_each_unit():
    rng = np.random.RandomState(0)
    D = rng.uniform(size=(60, 8))
    U, X = rng.uniform(size=(3, 8)), rng.uniform(size=(8, 3))
    thresholds = np.array([0.5, 1.0, 1.5])
    start = SAE.from_weights(U, X, activation="jumprelu", threshold=thresholds)
    go_on = SAE(3, activation=start.activation, start=start, max_epochs=5)
    with pytest.warns(ConvergenceWarning):
        go_on.fit(D)
    assert go_on.history_["solver"] == "adam"
    np.testing.assert_allclose(go_on.threshold_, thresholds, rtol=1e-6)
    with pytest.raises(ValueError, match="a threshold for each unit"):
        SAE(3, activation=start.activation, start=start, solver="projection").fit(D)
