"""How codes come from data: the third of the four choices.

NMF solves a nonnegative least-squares problem for each sample; an autoencoder applies one layer.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import nnls


@dataclass(frozen=True)
class NNLS:
    r"""The best codes: :math:`h = \arg\min_{h \ge 0} \|d - X h\|^2` for each sample d."""


@dataclass(frozen=True)
class Layer:
    """One layer: H = f(D Uᵀ + b), with f the problem's codes.

    Parameters
    ----------
    tied : bool
        Whether the encoder is the decoder, U = Xᵀ, instead of weights of its own.
    bias : bool
        Whether there is an encoder bias b.
    """

    tied: bool = False
    bias: bool = False


#: The encoders by name.
ENCODERS = {"linear": Layer(), "tied": Layer(tied=True)}


def nnls_sweep(F: np.ndarray, gram: np.ndarray, cross: np.ndarray) -> None:
    r"""One sweep of exact coordinate descent on nonnegative least squares, in place.

    Minimises :math:`\tfrac12 \mathrm{tr}(F^T G F) - \langle C, F\rangle` over each row of F in
    turn, the others fixed: :math:`F_k \leftarrow \max(0, F_k + (C_k - G_k F)/G_{kk})`. With G the
    Gram matrix of one factor and C its product with the data this is HALS for the other factor.

    Parameters
    ----------
    F : ndarray (m, n) ≥ 0
        Overwritten.
    gram : ndarray (m, m)
        The matrix G.
    cross : ndarray (m, n)
        The matrix C.

    Notes
    -----
    A row whose partner is zero (G_kk = 0) does not matter to the loss and is left as it is, so
    that it can return once its partner does.

    References
    ----------
    Cichocki, Phan (2009), "Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations", algorithm 2.

    Examples
    --------
    >>> F = np.zeros((1, 2))
    >>> nnls_sweep(F, np.array([[2.0]]), np.array([[4.0, -4.0]]))
    >>> F
    array([[2., 0.]])
    """
    for k in np.flatnonzero(gram.diagonal()):
        F[k] += (cross[k] - gram[k] @ F) / gram[k, k]
        np.maximum(F[k], 0, out=F[k])


def exact_nnls(D, components: np.ndarray) -> np.ndarray:
    r"""Solve :math:`\min_{H \ge 0} \|D - H X^T\|_F^2` exactly, sample by sample.

    Parameters
    ----------
    D : ndarray or sparse matrix (n, d)
    components : ndarray (m, d)
        Xᵀ.

    Returns
    -------
    H : ndarray (n, m)
        Each row the active-set solution of Lawson and Hanson (1974).

    Examples
    --------
    >>> exact_nnls(np.array([[2.0, -1.0]]), np.eye(2))
    array([[2., 0.]])
    """
    # ‖d − Xh‖² = ‖Qᵀd − Rh‖² + const for X = QR: each sample then costs m² instead of m·d.
    Q, R = np.linalg.qr(components.T.astype(np.float64))
    targets = D @ Q if sp.issparse(D) else np.asarray(D, np.float64) @ Q
    H = np.array([nnls(R, target)[0] for target in targets])
    return H.astype(components.dtype)


def linear_encoder(D: np.ndarray, bias: bool):
    """Prepare the least-squares encoder of a data matrix for many sets of codes.

    Returns the function that takes codes as rows, F (m, n), to the U (m, d) and b (m,) (None
    without bias) that minimise ‖F − (U Dᵀ + b)‖² + ε‖(U, b)‖², with ε a millionth of the mean
    eigenvalue of the Gram matrix: enough for data of any rank, too little to matter else.
    """
    inputs = np.column_stack([D, np.ones(len(D))]) if bias else D
    inputs = inputs.astype(np.float64)
    n, d = inputs.shape
    # Both forms are one ridge regression; the Gram matrix of the shorter side is cheaper.
    gram = inputs.T @ inputs if d <= n else inputs @ inputs.T
    gram[np.diag_indices_from(gram)] += 1e-6 * max(gram.trace() / len(gram), 1e-300)
    inverse = np.linalg.inv(gram)
    solution = inverse @ inputs.T if d <= n else inputs.T @ inverse

    def fit(F: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        weights = (solution @ F.T).T
        if not bias:
            return weights.astype(D.dtype), None
        return weights[:, :-1].astype(D.dtype), weights[:, -1].astype(D.dtype)

    return fit
