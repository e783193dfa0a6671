"""T12: a KL penalty of mean activations changes nothing where lengths are free."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_matrix, seeds

from partsrep import KL, SAE, Problem
from partsrep.choices.inference import Layer
from partsrep.choices.objective import Output
from partsrep.solvers.autoencoder import Autoencoder


def penalty_of(H, target):
    H = torch.tensor(H)
    module = Autoencoder(Problem(inference=Layer()), torch.zeros(H.shape[1], 1), H.T)
    return float(KL(1.0, target)(Output(H, H, H, H, module)))


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0.01, 0.9), st.integers(1, 5))
def test_t12_lengths_make_the_penalty_vanish(seed, target, m):
    D, X = random_matrix(seed, 15, m + 3, zeros=0), random_matrix(seed + 1, m + 3, m, zeros=0)
    U = random_matrix(seed + 2, m, m + 3, zeros=0)
    H = SAE.from_weights(U, X).transform(D)
    scale = target / H.mean(axis=0)
    rescaled = SAE.from_weights(scale[:, None] * U, X / scale)
    codes = rescaled.transform(D)
    assert np.allclose(rescaled.inverse_transform(codes), H @ X.T)
    assert abs(penalty_of(codes, target)) < 1e-9
    assert np.array_equal(codes > 0, H > 0), "no code is any sparser"
    assert penalty_of(codes / 2, target) > 1e-4, "a penalty it is"


def test_t12_logistic_codes_at_the_target_are_not_sparse():
    H = np.full((10, 4), 0.05)
    assert abs(penalty_of(H, 0.05)) < 1e-9
    assert np.count_nonzero(H) == H.size


def test_t12_the_loss_is_flat_in_the_weight():
    D = random_matrix(0, 60, 3) @ random_matrix(1, 3, 10)
    losses = [
        SAE(3, decoder="nonnegative", penalty=penalty, random_state=0, max_epochs=150).fit(D).loss_
        for penalty in (None, KL(0.1, 0.05), KL(10.0, 0.05))
    ]
    assert max(losses) < 1e-3 * np.sum(D**2)
