"""How codes come from data: the third of the four choices.

NMF solves a nonnegative least-squares problem for each sample; an autoencoder applies one layer.
"""

from dataclasses import dataclass

from ..validation import check_fields, check_integer


@dataclass(frozen=True)
class NNLS:
    r"""The best codes: :math:`h = \arg\min_{h \ge 0} \|d - X h\|^2` for each sample d."""


@dataclass(frozen=True)
class Layer:
    r"""One layer: H = f(D Uᵀ + b), with f the problem's codes; or some, with the same weights.

    With T steps, the codes of the layer are improved T − 1 times:

    .. math:: H \leftarrow f(H + s\,[(D - H X^\top) U^\top + b]), \qquad
        s = 1 / \|X^\top U^\top\|_2.

    Tied to the decoder, s is one over the largest eigenvalue of XᵀX: these are the steps of a
    proximal gradient method for the best codes, and none of them raises the squared error of a
    sample with ReLU codes and no bias. Codes that rebuild the data exactly stay if b = 0.

    Parameters
    ----------
    tied : bool
        Whether the encoder is the decoder, U = Xᵀ, instead of weights of its own.
    bias : bool
        Whether there is an encoder bias b.
    nonnegative : bool
        Whether U ≥ 0.
    steps : int ≥ 1
        T.
    gain : bool
        Whether each unit of a tied encoder has a factor of its own, U = diag(a) Xᵀ.

    References
    ----------
    Gregor, LeCun (2010), "Learning fast approximations of sparse coding", for the steps.
    """

    tied: bool = False
    bias: bool = False
    nonnegative: bool = False
    steps: int = 1
    gain: bool = False

    def __post_init__(self):
        check_fields(self, check_integer, "steps")
        if self.gain and not self.tied:
            raise ValueError("gain=True needs tied=True: weights of its own have any gain.")


def Unrolled(steps: int, **layer: bool) -> Layer:
    """A :class:`Layer` of so many steps."""
    return Layer(steps=steps, **layer)


@dataclass(frozen=True)
class Pursuit:
    """Matching pursuit: k times the part that the residual has most of, and what it has of it.

    There is no encoder: the decoder's parts do it, so that the codes follow it as it changes.

    Parameters
    ----------
    k : int ≥ 1
        Steps, and so the most active codes per sample.

    References
    ----------
    Mallat, Zhang (1993), "Matching pursuits with time-frequency dictionaries"; Costa, Fel, Lubana,
    Tolooshams, Ba (2025), "From flat to hierarchical: extracting sparse representations with
    matching pursuit", for autoencoders.
    """

    k: int

    # It is a tied encoder without anything of its own.
    tied = True
    bias = False
    nonnegative = False
    gain = False

    def __post_init__(self):
        check_fields(self, check_integer, "k")


#: The encoders by name.
ENCODERS = {"linear": Layer(), "tied": Layer(tied=True), "nonnegative": Layer(nonnegative=True)}
