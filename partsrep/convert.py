"""Weights of other libraries' autoencoders, as :class:`partsrep.SAE`, exactly or not at all.

Each function takes the arrays of a file by name, NumPy's or PyTorch's, and what the file's
configuration says, and returns a fitted SAE. What D̂ = f(D Uᵀ + b) Xᵀ + c cannot be
(:meth:`partsrep.SAE.from_weights`) is a ValueError, which says which name or setting is missing,
not known, or not that of one layer, and why: the wrong model would still run.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .choices.codes import TopK
from .choices.selections import BatchTopK
from .estimators import SAE
from .validation import as_array, check_shape

# Why some names and settings have no place in one layer.
REASONS = {
    name: reason
    for names, reason in {
        "r_mag b_gate b_mag gate_bias mag_bias": "a gated encoder has two layers, one that chooses "
        "and one that measures",
        "W_skip skip_connection": "a skip connection adds a linear function of the data to the "
        "reconstruction",
        "transcode d_out": "a transcoder reconstructs other data than it sees",
        "b_dec_out": "the offset of the reconstruction is another than that of the data",
        "scaling_factor": "codes are scaled after they are chosen",
        "activation_fn_kwargs": "SAELens before version 6 wrote it; load and save the model there",
        "log_threshold topk_threshold": "it is of a model in training; save the one that is for "
        "use",
        "activation": "other units are chosen than the k largest",
        "signed": "codes are negative too",
        "normalize_activations": "each sample is scaled by a number of its own, or all by one that "
        "is not in the file: do that to the data, or fold it (fold_keeping_codes), and say 'none'",
    }.items()
    for name in names.split()
}
# What the configurations of two of them hold.
SAELENS = (
    *("architecture", "d_in", "d_sae", "dtype", "device", "metadata", "k"),
    *("apply_b_dec_to_input", "rescale_acts_by_decoder_norm"),
    *("normalize_activations", "reshape_activations"),
)
SPARSIFY = (
    *("activation", "k", "d_in", "num_latents", "expansion_factor", "normalize_decoder"),
    *("multi_topk", "skip_connection", "transcode", "signed"),
)


def from_saelens(weights: Mapping[str, Any], config: Mapping[str, Any]) -> SAE:
    """A standard, TopK or JumpReLU model of SAELens 6.

    A trained BatchTopK or Matryoshka model is saved as "jumprelu".

    Parameters
    ----------
    weights : dict of arrays
        Of ``sae_weights.safetensors``.
    config : dict
        Of ``cfg.json``.

    Examples
    --------
    >>> eye = np.eye(2)
    >>> weights = {"W_enc": eye, "W_dec": eye, "b_enc": np.zeros(2), "b_dec": np.ones(2)}
    >>> from_saelens(weights, {"architecture": "standard"}).transform([[3.0, 0.0]])
    array([[2., 0.]])
    >>> from_saelens(weights, {"architecture": "gated"})
    Traceback (most recent call last):
    ...
    ValueError: architecture='gated' is not what these weights and settings are: 'standard'.
    """
    w = _arrays(weights, ("W_enc", "W_dec", "b_enc", "b_dec"), ("threshold",))
    _known("config", config, SAELENS)
    kind = "jumprelu" if "threshold" in w else "topk" if "k" in config else "standard"
    if config.get("architecture", kind) != kind:
        raise ValueError(
            f"architecture={config['architecture']!r} is not what these weights and settings are: "
            f"{kind!r}."
        )
    _agreed(config, "normalize_activations", "none", None)
    _agreed(config, "reshape_activations", "none", "hook_z")  # which flattens the data
    input_bias = _agreed(config, "apply_b_dec_to_input", True, False)
    by_norm = _agreed(config, "rescale_acts_by_decoder_norm", False, True)
    m, d = w["W_dec"].shape
    check_shape("W_enc", w["W_enc"].shape, ((config.get("d_in", d), config.get("d_sae", m)),))

    U, X, b, c = w["W_enc"].T, w["W_dec"].T, w["b_enc"], w["b_dec"]
    b = _after_bias(U, b, c) if input_bias else b
    if by_norm:
        norms = np.linalg.norm(X, axis=0)
        U, X, b = norms[:, None] * U, X / norms, norms * b
    codes = TopK(config["k"]) if kind == "topk" else "relu" if kind == "standard" else kind
    return SAE.from_weights(U, X, b, c, codes, w.get("threshold"))


def from_dictionary_learning(
    weights: Mapping[str, Any], batch: bool | None = None, input_bias: bool | None = None
) -> SAE:
    """A model of dictionary_learning that is not gated.

    Parameters
    ----------
    weights : dict of arrays
        Of ``ae.pt``, as ``torch.load(path, weights_only=True)`` reads it.
    batch : bool or None
        Whether a model with k is a BatchTopKSAE instead of an AutoEncoderTopK: ``dict_class`` in
        ``config.json`` says it, the file itself does not.
    input_bias : bool or None
        Whether JumpReLU subtracts its bias from the data, its attribute ``apply_b_dec_to_input``;
        None: not. The other classes either always do or never.
    """
    _check_mapping("weights", weights)
    said = {"batch": batch, "input_bias": input_bias}
    said = {name: value for name, value in said.items() if value is not None}
    if "W_enc" in weights:  # JumpReLU, or Matryoshka's BatchTopK
        nested = ("k", "group_sizes") if "group_sizes" in weights else ()
        w = _arrays(weights, ("W_enc", "W_dec", "b_enc", "b_dec", "threshold", *nested))
        _agreed(said, "batch", bool(nested))
        input_bias = _agreed(said, "input_bias", *((True,) if nested else (False, True)))
        U, X, b, c = w["W_enc"].T, w["W_dec"].T, w["b_enc"], w["b_dec"]
        b = _after_bias(U, b, c) if input_bias else b
        return SAE.from_weights(U, X, b, c, "jumprelu", w["threshold"])

    offset = next((name for name in ("decoder.bias", "b_dec") if name in weights), "bias")
    selects = offset == "b_dec"
    w = _arrays(
        weights,
        ("encoder.weight", "encoder.bias", "decoder.weight", offset, *("k",) * selects),
        ("threshold",) * selects,
    )
    U, X, b, c = w["encoder.weight"], w["decoder.weight"], w["encoder.bias"], w[offset]
    # AutoEncoderNew subtracts nothing from the data.
    b = _after_bias(U, b, c) if _agreed(said, "input_bias", offset != "decoder.bias") else b
    if not selects:
        _agreed(said, "batch", False)
        return SAE.from_weights(U, X, b, c)
    if batch is None:
        raise ValueError(
            "batch= must say whether this is a BatchTopKSAE (True) or an AutoEncoderTopK (False): "
            "dict_class in config.json does, the weights do not."
        )
    if not _agreed(said, "batch", True, False):
        return SAE.from_weights(U, X, b, c, TopK(w["k"].item()))
    if "threshold" not in w:
        raise ValueError("'threshold' is missing among the weights, and BatchTopKSAE needs it.")
    return SAE.from_weights(U, X, b, c, BatchTopK(w["k"].item()), w["threshold"])


def from_sparsify(weights: Mapping[str, Any], config: Mapping[str, Any]) -> SAE:
    """A TopK model of sparsify.

    Parameters
    ----------
    weights : dict of arrays
        Of ``sae.safetensors``.
    config : dict
        Of ``cfg.json``.
    """
    w = _arrays(weights, ("encoder.weight", "encoder.bias", "W_dec", "b_dec"))
    _known("config", config, SPARSIFY, needed=("k",))
    _agreed(config, "activation", "topk")
    for name in ("transcode", "skip_connection", "signed"):
        _agreed(config, name, False)
    U, X, c = w["encoder.weight"], w["W_dec"].T, w["b_dec"]
    m, d = U.shape
    m, d = config.get("num_latents") or m, config.get("d_in", d)
    check_shape("encoder.weight", U.shape, ((m, d),))
    return SAE.from_weights(U, X, _after_bias(U, w["encoder.bias"], c), c, TopK(config["k"]))


def from_overcomplete(
    weights: Mapping[str, Any], k: int | None = None, threshold: Any = None
) -> SAE:
    """An SAE, TopKSAE, JumpSAE or BatchTopKSAE of overcomplete, with one linear encoder.

    The weights do not say which of them it is: without `k` and `threshold` an SAE, or a JumpSAE if
    there are thresholds.

    Parameters
    ----------
    weights : dict of arrays
        Of ``model.state_dict()``. The dictionary's normalization is "l2".
    k : int or None
        The ``top_k`` of a TopKSAE.
    threshold : None, number or array (m,)
        The ``running_threshold`` of a BatchTopKSAE, an attribute.
    """
    layer = ("encoder.final_block.0.weight", "encoder.final_block.0.bias")
    dictionary = ("dictionary._weights", "dictionary.multiplier")
    w = _arrays(weights, (*layer, *dictionary), ("thresholds",))
    if sum(("thresholds" in w, k is not None, threshold is not None)) > 1:
        raise ValueError("Only one of k=, threshold= and thresholds among the weights can choose.")
    U, b, parts, multiplier = (w[name] for name in (*layer, *dictionary))
    parts = parts / (np.linalg.norm(parts, axis=1, keepdims=True) + 1e-8)
    X = np.exp(multiplier) * parts.T
    if "thresholds" in w:
        threshold = np.exp(w["thresholds"])
    if threshold is not None:
        # There a code at the threshold is kept; the next smaller number in the weights' precision.
        dtype = np.result_type(U.dtype, np.float32)
        theta = np.nextafter(np.asarray(as_array(threshold, "threshold"), dtype), dtype.type(0))
        return SAE.from_weights(U, X, b, None, "jumprelu", theta)
    return SAE.from_weights(U, X, b, None, "relu" if k is None else TopK(k))


def fold_keeping_codes(s: float, U, X, b, c, threshold) -> tuple:
    """Weights for D, given those for sD: the codes stay, as SAELens folds a scale of the data."""
    return s * U, X / s, b, c / s, threshold


def fold_keeping_parts(s: float, U, X, b, c, threshold) -> tuple:
    """Weights for D, given those for sD: the codes are divided by s, as in dictionary_learning.

    Not for logistic codes.
    """
    return U, X, b / s, c / s, threshold / s


def _after_bias(U: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The bias of an encoder that sees D, of one that sees D − c."""
    check_shape("the bias of the encoder", b.shape, (U.shape[:1],))
    check_shape("the bias of the data", c.shape, (U.shape[1:],))
    return b - U @ c


def _arrays(
    weights: Mapping[str, Any], needed: Collection[str], optional: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Weights by name, all of which are known and none of which is missing."""
    _known("weights", weights, (*needed, *optional), needed)
    arrays = {name: np.asarray(as_array(value, name)) for name, value in weights.items()}
    if "threshold" in arrays:  # one below 0 keeps all codes, as 0 does
        arrays["threshold"] = np.maximum(arrays["threshold"], 0)
    for name in needed:
        matrix = name.startswith("W_") or name.endswith(("weight", "weights"))
        if matrix and arrays[name].ndim != 2:
            raise ValueError(f"{name} is no matrix, but has shape {arrays[name].shape}.")
    return arrays


def _known(
    what: str, given: Mapping[str, Any], known: Collection[str], needed: Collection[str] = ()
) -> None:
    """Raise a ValueError for what is not known and what is missing."""
    _check_mapping(what, given)
    unknown = sorted(set(given) - set(known), key=lambda name: (name not in REASONS, str(name)))
    if unknown:
        reason = REASONS.get(unknown[0], "it is not known here, and may change what the model does")
        raise ValueError(f"{unknown[0]!r} among the {what} cannot come in: {reason}.")
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f"{missing[0]!r} is missing among the {what}.")


def _check_mapping(what: str, given: Any) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{what} must be a dict by name, such as a module's state_dict() or a configuration; "
            f"got a {type(given).__name__}."
        )


def _agreed(settings: Mapping[str, Any], name: str, *allowed: Any) -> Any:
    """A setting, the first of those allowed if it is not given; a ValueError for any other."""
    value = settings.get(name, allowed[0])
    if value not in allowed:
        reason = f": {REASONS[name]}" if name in REASONS else ""
        raise ValueError(
            f"{name}={value!r} cannot come in, only {' or '.join(map(repr, allowed))}{reason}."
        )
    return value
