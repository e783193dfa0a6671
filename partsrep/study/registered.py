"""A registered prediction: what is written down before training, and what comes out of it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from ..choices.codes import TopK
from ..estimators import NMF, SAE
from .prediction import EXACT, predict
from .verdict import WORDS, verdict


def autoencoder(name: str) -> SAE:
    """The autoencoder in question: relu, any sign, TopK k, or TopK k any sign.

    Examples
    --------
    >>> autoencoder("TopK 3")
    SAE(activation=TopK(k=3), decoder='unit-nonnegative')
    """
    first, *rest = name.split(maxsplit=2)
    if name == "relu":
        return SAE(decoder="nonnegative")
    if name == "any sign":
        return SAE()
    if first == "TopK" and rest and rest[0].isdigit() and rest[1:] in ([], ["any sign"]):
        return SAE(
            activation=TopK(int(rest[0])), decoder="unit" if rest[1:] else "unit-nonnegative"
        )
    raise ValueError(f"There is no autoencoder {name!r}: take relu, any sign, TopK 3 or such.")


def foretold(D: np.ndarray, n_components: int, name: str, seed: int = 0) -> dict[str, Any]:
    """What :func:`partsrep.predict` says of a matrix and an autoencoder, as plain numbers.

    What is not known is left out; ``sha256`` is that of the matrix in single precision.
    """
    said = predict(D, n_components, autoencoder(name), random_state=seed)
    expected = list(said.steps.values())[-1]
    numbers = {
        "probability": said.probability,
        "excess_low": said.excess[0],
        "excess_high": said.excess[1],
        "excess_expected": expected.excess,
        "near": expected.agreement,
        "certified_mcc": said.certified_mcc,
        "seed_mcc": said.own.seed_mcc,
        "chance": said.own.chance,
        "displacement": said.evidence.get("first-order displacement of a part"),
    }
    return _plain(
        {
            "sha256": sha256(np.ascontiguousarray(D, np.float32).tobytes()).hexdigest(),
            "n": D.shape[0],
            "d": D.shape[1],
            "agree": WORDS[said.agree],
            "deciding_condition": said.deciding_condition,
            **numbers,
        }
    )


def outcome(D: np.ndarray, n_components: int, name: str, seed: int = 0) -> dict[str, Any]:
    """What :func:`partsrep.verdict` says when both are trained, and the excess loss that came out.

    Five seeds of each method, the best of five random starts for each; they are others than the
    prediction's.
    """
    seeds = range(seed + 100, seed + 105)
    judged = verdict(
        D,
        NMF(n_components),
        autoencoder(name).set_params(n_components=n_components),
        seeds=seeds,
        random_state=seed,
    )
    least, other = (min(fit.loss_ for fit in fits) for fits in (judged.fits_a, judged.fits_b))
    low, high = judged.agreement_interval
    return _plain(
        {
            "sha256": sha256(np.ascontiguousarray(D, np.float32).tobytes()).hexdigest(),
            "verdict": WORDS[judged.agree],
            "mcc": judged.mcc,
            "seed_mcc": judged.seed_mcc,
            "chance": judged.chance,
            "agreement": judged.agreement,
            "agreement_low": low,
            "agreement_high": high,
            "replaceable": int(judged.replaceable.sum()),
            "determined": judged.determined,
            "optimiser_decides": judged.optimiser_decides,
            "excess": other / least - 1 if least > EXACT * np.sum(D**2) else None,
            "nmf_loss": least / np.sum(D**2),
        }
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Python's own kinds, without what is not known."""
    plain = {name: np.asarray(value).item() for name, value in values.items() if value is not None}
    return {name: value for name, value in plain.items() if value == value}
