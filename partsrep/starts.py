"""Where a solver begins. Codes and parts are returned as H (n, m) and components (m, d)."""

import numpy as np
from sklearn.utils.extmath import randomized_svd


def best_scale(D, H: np.ndarray, components: np.ndarray) -> float:
    """The scalar α = ⟨D, HXᵀ⟩ / ‖HXᵀ‖² that makes αHXᵀ fit D best."""
    energy = np.sum((H.T @ H) * (components @ components.T))
    return float(np.sum((D.T @ H).T * components) / energy) if energy > 0 else 1.0


def rescaled(D, H: np.ndarray, components: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share the best scalar between the two factors, so that the start has the data's scale."""
    root = max(best_scale(D, H, components), 0.0) ** 0.5
    return H * root, components * root


def random(D, n_components: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Half-normal factors, scaled to fit D best."""
    n, d = D.shape
    H = np.abs(rng.standard_normal((n, n_components))).astype(D.dtype)
    components = np.abs(rng.standard_normal((n_components, d))).astype(D.dtype)
    return rescaled(D, H, components)


def nndsvda(D, n_components: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Positive parts of the leading singular pairs, zeros filled by the mean, scaled to fit D best.

    Each singular pair is split into its positive and its negative half; the heavier half is kept.
    Filling zeros by the mean of D ignores the factors' scale and would start far above the data;
    the best scalar mends that.

    References
    ----------
    Boutsidis, Gallopoulos (2008), "SVD based initialization: a head start for nonnegative matrix
    factorization", variant NNDSVDa.
    """
    P, S, Qt = randomized_svd(D, n_components, random_state=rng)
    H, components = np.zeros((D.shape[0], n_components)), np.zeros((n_components, D.shape[1]))
    for j, (p, s, q) in enumerate(zip(P.T, S, Qt, strict=True)):
        halves = [(np.maximum(sign * p, 0), np.maximum(sign * q, 0)) for sign in (1, -1)]
        p, q = max(halves, key=lambda half: np.linalg.norm(half[0]) * np.linalg.norm(half[1]))
        weight = np.linalg.norm(p) * np.linalg.norm(q)
        if weight > 0:
            H[:, j] = np.sqrt(s * weight) * p / np.linalg.norm(p)
            components[j] = np.sqrt(s * weight) * q / np.linalg.norm(q)
    for factor in (H, components):
        factor[factor <= 1e-6 * factor.max()] = D.mean()
    return rescaled(D, H.astype(D.dtype), components.astype(D.dtype))


def samples(D: np.ndarray, n_components: int, rng: np.random.RandomState) -> np.ndarray:
    """Parts (m, d) of norm 1 for an autoencoder: randomly thinned samples of the data."""
    chosen = rng.choice(len(D), n_components, replace=len(D) < n_components)
    components = D[chosen] * rng.uniform(size=(n_components, D.shape[1]))
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    return (components / np.where(norms > 0, norms, 1)).astype(D.dtype)


#: NMF's starts by name.
STARTS = {"random": random, "nndsvda": nndsvda}
