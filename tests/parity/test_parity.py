"""Weights of our peers' own modules, in our own: the same codes and reconstructions."""

import numpy as np
import overcomplete.sae as overcomplete
import pytest
import sae_lens
import torch
import transformers
from dictionary_learning import dictionary
from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k
from sparsify import SparseCoder, SparseCoderConfig

from partsrep import SAE, convert, record

n, d, m, k = 64, 12, 20, 4


def draw(*shape):
    return torch.tensor(np.random.RandomState(sum(shape)).standard_normal(shape))


D = draw(n, d)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def with_weights(model, threshold=None):
    """A peer's module in double precision with weights and biases of order 1."""
    rng = np.random.RandomState(0)
    model = model.double()
    for name, weights in model.named_parameters():
        values = torch.tensor(rng.standard_normal(weights.shape))
        weights.copy_(values.abs() if name == "threshold" else values)
    if threshold is not None:
        model.threshold.fill_(threshold)
    return model


def arrays(model):
    return {name: weights.clone().numpy() for name, weights in model.state_dict().items()}


def assert_same(sae, H, D_hat, D=D):
    H = H.numpy()
    assert 0 < np.count_nonzero(H) < H.size
    np.testing.assert_allclose(sae.transform(D.numpy()), H, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        sae.inverse_transform(sae.transform(D.numpy())), D_hat.numpy(), rtol=1e-10, atol=1e-10
    )


# SAELens -------------------------------------------------------------------------------------


@pytest.mark.parametrize("input_bias", [True, False])
@pytest.mark.parametrize(
    "kind, settings",
    [
        ("Standard", {}),
        ("JumpReLU", {}),
        ("TopK", {"k": k}),
        ("TopK", {"k": k, "rescale_acts_by_decoder_norm": True}),
    ],
)
def test_saelens(kind, settings, input_bias):
    config = getattr(sae_lens, f"{kind}SAEConfig")(
        d_in=d, d_sae=m, dtype="float64", apply_b_dec_to_input=input_bias, **settings
    )
    model = with_weights(getattr(sae_lens, f"{kind}SAE")(config))
    sae = convert.from_saelens(arrays(model), config.to_dict())
    H = model.encode(D)
    assert_same(sae, H, model.decode(H))


def test_saelens_batch_topk_as_it_is_saved():
    config = sae_lens.BatchTopKTrainingSAEConfig(d_in=d, d_sae=m, k=k, dtype="float64")
    model = with_weights(sae_lens.BatchTopKTrainingSAE(config))
    for batch in D.split(8):
        model.update_topk_threshold(model.encode(batch))
    state = model.state_dict()
    model.process_state_dict_for_saving_inference(state)
    saved = config.get_inference_config_class()(d_in=d, d_sae=m, dtype="float64")
    used = sae_lens.JumpReLUSAE(saved)
    used.load_state_dict(state)
    H = used.encode(D)
    assert_same(convert.from_saelens(arrays(used), saved.to_dict()), H, used.decode(H))


@pytest.mark.parametrize("input_bias", [True, False])
def test_saelens_folds_a_scale_as_we_do(input_bias):
    config = sae_lens.JumpReLUSAEConfig(
        d_in=d, d_sae=m, dtype="float64", apply_b_dec_to_input=input_bias
    )
    model, s = with_weights(sae_lens.JumpReLUSAE(config)), 0.3
    sae = convert.from_saelens(arrays(model), config.to_dict())
    weights = sae.encoder_, sae.components_.T, sae.bias_, sae.decoder_bias_, sae.threshold_
    U, X, b, c, theta = convert.fold_keeping_codes(s, *weights)
    model.fold_activation_norm_scaling_factor(s)
    H = model.encode(D)
    assert_same(SAE.from_weights(U, X, b, c, "jumprelu", theta), H, model.decode(H))


# dictionary_learning -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, options",
    [
        (dictionary.AutoEncoder(d, m), {}),
        (dictionary.AutoEncoderNew(d, m), {}),
        (dictionary.JumpReluAutoEncoder(d, m), {}),
        (top_k.AutoEncoderTopK(d, m, k), {"batch": False}),
        (batch_top_k.BatchTopKSAE(d, m, k), {"batch": True}),
        (matryoshka_batch_top_k.MatryoshkaBatchTopKSAE(d, m, k, [5, 15]), {"input_bias": True}),
    ],
    ids=lambda value: type(value).__name__ if value and not isinstance(value, dict) else "",
)
@pytest.mark.parametrize("threshold", [-1.0, 2.5])
def test_dictionary_learning(model, options, threshold):
    model = with_weights(model, threshold if hasattr(model, "k") else None)
    sae = convert.from_dictionary_learning(arrays(model), **options)
    H = model.encode(D)
    assert_same(sae, H, model.decode(H))


def test_dictionary_learning_with_the_bias_taken_from_the_data():
    model = with_weights(dictionary.JumpReluAutoEncoder(d, m))
    model.apply_b_dec_to_input = True
    sae = convert.from_dictionary_learning(arrays(model), input_bias=True)
    H = model.encode(D)
    assert_same(sae, H, model.decode(H))


@pytest.mark.parametrize("kind", [dictionary.JumpReluAutoEncoder, batch_top_k.BatchTopKSAE])
def test_dictionary_learning_folds_a_scale_as_we_do(kind):
    batch = kind is batch_top_k.BatchTopKSAE
    model, s = with_weights(kind(d, m, k) if batch else kind(d, m), 1.5), 0.3
    sae = convert.from_dictionary_learning(arrays(model), batch=batch)
    weights = sae.encoder_, sae.components_.T, sae.bias_, sae.decoder_bias_, sae.threshold_
    U, X, b, c, theta = convert.fold_keeping_parts(s, *weights)
    D_hat = model.decode(model.encode(s * D)) / s
    model.scale_biases(1 / s)
    H = model.encode(D)
    torch.testing.assert_close(model.decode(H), D_hat)
    assert_same(SAE.from_weights(U, X, b, c, "jumprelu", theta), H, D_hat)


# sparsify ------------------------------------------------------------------------------------


def test_sparsify():
    config = SparseCoderConfig(num_latents=m, k=k)
    model = with_weights(SparseCoder(d, config))
    values, where, _ = model.encode(D)
    H = torch.zeros(n, m, dtype=D.dtype).scatter(-1, where, values)
    assert_same(convert.from_sparsify(arrays(model), config.to_dict()), H, model(D).sae_out)


# overcomplete --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, options",
    [
        (overcomplete.SAE(d, m), {}),
        (overcomplete.TopKSAE(d, m, top_k=k), {"k": k}),
        (overcomplete.TopKSAE(d, m, k, dictionary_params={"use_multiplier": True}), {"k": k}),
        (overcomplete.JumpSAE(d, m), {}),
    ],
)
def test_overcomplete(model, options):
    model = with_weights(model)
    sae = convert.from_overcomplete(arrays(model), **options)
    _, H, D_hat = model(D)
    assert_same(sae, H, D_hat)


def test_overcomplete_batch_topk_with_its_threshold():
    model = with_weights(overcomplete.BatchTopKSAE(d, m, top_k=k * 16))
    for batch in D.split(16):
        model(batch)
    model.eval()
    sae = convert.from_overcomplete(arrays(model), threshold=float(model.running_threshold))
    _, H, D_hat = model(D)
    assert_same(sae, H, D_hat)


def test_overcomplete_at_the_threshold():
    """A pre-activation that is the threshold is kept there, and so it is here."""
    model = overcomplete.JumpSAE(d, m).double()
    model.thresholds.fill_(0.0)
    model.encoder.final_block[0].weight.copy_(torch.eye(m, d))
    model.encoder.final_block[0].bias.fill_(0.0)
    sae = convert.from_overcomplete(arrays(model))
    at = torch.eye(d, dtype=torch.float64)
    assert (sae.transform(at.numpy()) == model.encode(at)[1].numpy()).all()
    assert sae.transform(at.numpy()).sum() == d


# Hugging Face --------------------------------------------------------------------------------


def test_a_block_of_a_transformer_is_recorded_where_there_are_words(tmp_path):
    """Its output is the hidden state that the model itself hands over, padding left out."""
    config = transformers.GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=50)
    torch.manual_seed(0)
    model = transformers.GPT2Model(config)  # with dropout, as long as it is trained
    ids = torch.randint(50, (6, 9))
    mask = (torch.arange(9) < torch.randint(2, 9, (6, 1))).long()
    batch = transformers.BatchEncoding({"input_ids": ids, "attention_mask": mask})
    blocks = record(model, "h.0", [batch], tmp_path / "block")
    units = record(model, "h.1.mlp.act", [batch], tmp_path / "units", positions=1)
    assert model.training
    model.eval()
    states = model(**batch, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(
        np.asarray(blocks), states[1][mask.bool()].numpy(), rtol=1e-5, atol=1e-6
    )
    assert units.shape == (6, 64) and np.asarray(units).min() < 0
