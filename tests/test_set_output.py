"""`set_output` and `transform_output` change what `transform` hands out, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from problems import disjoint_parts
from sklearn.base import clone
from sklearn.utils._set_output import ADAPTERS_MANAGER

from partsrep import (
    NMF,
    SAE,
    certificate,
    choose_n_components,
    compare,
    consensus,
    load,
    non_negative_factorization,
    presets,
    restarts,
    save,
    verdict,
)
from partsrep.study.walk import to_topk_sae, walk

D = disjoint_parts().D[:60]
SETTINGS = {"max_epochs": 5, "random_state": 0}
MODELS = [
    NMF(3, random_state=0),
    presets.kl_nmf(3, random_state=0, tol=1e-3),
    SAE(3, decoder="nonnegative", **SETTINGS),
]


class Opaque:
    """A container that can be turned into an array and can do nothing else."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numbers, dtype)


class OpaqueAdapter:
    container_lib = "opaque"

    def create_container(self, X_output, X_original, columns, inplace=True):
        return Opaque(X_output)

    def is_supported_container(self, X):
        return isinstance(X, Opaque)

    def rename_columns(self, X, columns):
        return X

    def hstack(self, Xs):
        raise NotImplementedError


@pytest.fixture(params=["pandas", "opaque"])
def container(request, monkeypatch):
    """What codes are handed out in; "opaque" stands for libraries that are not installed here."""
    monkeypatch.setitem(ADAPTERS_MANAGER.adapters, "opaque", OpaqueAdapter())
    return request.param


def studies(change) -> dict[str, np.ndarray]:
    """Numbers from all functions that see codes, of models that may have been changed."""
    nmf, kl, sae = (change(clone(model)).fit(D) for model in MODELS)
    heldout = disjoint_parts(1).D[:20]
    result = compare(nmf, sae, D, heldout)
    agreement = verdict(D, change(NMF(3)), change(SAE(3, **SETTINGS)), seeds=2, draws=20)
    common = consensus(restarts(change(NMF(3)), D, 3))
    chosen = choose_n_components(D, [2, 3], repeats=2, estimator=change(NMF(tol=1e-3)))
    steps = walk(D, to_topk_sae(2), 3, n_init=1, max_epochs=5)
    return {
        "scores": [model.score(D) for model in (nmf, kl, sae)],
        "compare": [compare(nmf, kl, D).mcc, result.mcc, result.loss_b, result.heldout.loss_b],
        "gaps": [result.dictionary_gap, result.encoder_gap, result.selection_gap, result.jaccard],
        "correlations": result.code_correlation,
        "verdict": [agreement.mcc, agreement.seed_mcc],
        "consensus": common.components_,
        "chosen": [*chosen.heldout.ravel(), *chosen.stability.ravel()],
        "walk": steps.table().to_numpy(),
        "certificate": [certificate(nmf, D, max_epochs=5).lower],
        "back": nmf.inverse_transform(nmf.transform(D)),
        "started": change(SAE(3, start=nmf, **SETTINGS)).fit(D).components_,
    }


@pytest.fixture(scope="module")
def plain():
    return studies(lambda model: model)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The largest number of parts")
@pytest.mark.parametrize("everywhere", [True, False])
def test_no_number_depends_on_the_container_of_the_codes(container, everywhere, plain):
    if everywhere:
        with sklearn.config_context(transform_output=container):
            found = studies(lambda model: model)
    else:
        found = studies(lambda model: model.set_output(transform=container))
    for name, numbers in plain.items():
        np.testing.assert_array_equal(found[name], numbers, err_msg=name)


@pytest.mark.parametrize("model", MODELS, ids=["NMF", "KL", "SAE"])
def test_codes_come_in_the_container_that_was_asked_for(model, container, tmp_path):
    model = clone(model).set_output(transform=container)
    kind = {"pandas": pd.DataFrame, "opaque": Opaque}[container]
    assert isinstance(model.fit_transform(D), kind)
    save(model, tmp_path / "model")
    for again in (model, clone(model).fit(D), load(tmp_path / "model")):
        codes = again.transform(D)
        assert isinstance(codes, kind)
        np.testing.assert_array_equal(codes, model.transform(D))


def test_the_function_returns_arrays(container):
    plain = non_negative_factorization(D, n_components=3, random_state=0)
    with sklearn.config_context(transform_output=container):
        W, H, n_iter = non_negative_factorization(D, n_components=3, random_state=0)
        codes, _, _ = non_negative_factorization(D, H=H, update_H=False)
    assert type(W) is type(H) is type(codes) is np.ndarray
    assert np.array_equal(W, plain[0]) and np.array_equal(H, plain[1]) and n_iter == plain[2]
    np.testing.assert_allclose(codes, W, atol=1e-8)


def test_a_container_that_is_not_there_stops_no_fit():
    """Only who asks for codes needs the library that they are to come in."""
    with sklearn.config_context(transform_output="polars"):
        assert NMF(3, random_state=0).fit(D).components_.shape == (3, D.shape[1])
