"""Data made from known parts and codes, so that what a method finds can be held against them."""

from itertools import product

import numpy as np
from scipy.special import ndtr
from sklearn.utils import check_random_state

from ..arguments import check_integer, check_number
from .dataset import Dataset, Truth


def swimmer() -> Dataset:
    """A swimmer of one torso (12 pixels) and four limbs (6), each in one of four positions.

    D = H Xᵀ exactly, with H binary (256 × 17) and X binary (1024 × 17).
    All 4⁴ = 256 poses occur once.
    The four columns of H that belong to one limb add up to the torso's column of ones: so D has
    rank 17 − 4 = 13, and the torso can be moved into the limbs without changing D. So can each
    limb's shoulder, the pixel beside the torso that its four positions share and every image has.

    References
    ----------
    Donoho and Stodden, "When does non-negative matrix factorization give a correct decomposition
    into parts?", NIPS 2003.

    Examples
    --------
    >>> from partsrep import datasets
    >>> datasets.load("swimmer")
    Dataset('swimmer', 256 x 1024, images 32 x 32)
    """
    shape, limb = (32, 32), np.arange(6)
    top, bottom, middle = 10, 21, 16
    parts = [np.zeros(shape)]
    parts[0][top : bottom + 1, middle] = 1
    names = ["torso"]
    shoulders = {
        "left arm": (top, middle - 1, -1, -1),
        "right arm": (top, middle + 1, -1, 1),
        "left leg": (bottom, middle - 1, 1, -1),
        "right leg": (bottom, middle + 1, 1, 1),
    }
    # A position is a step along the torso (1: away from it) and a step sideways.
    positions = {"straight": (1, 0), "out": (1, 1), "sideways": (0, 1), "back": (-1, 1)}
    for limb_name, (row, column, away, side) in shoulders.items():
        for position, (along, across) in positions.items():
            part = np.zeros(shape)
            part[row + away * along * limb, column + side * across * limb] = 1
            parts.append(part)
            names.append(f"{limb_name} {position}")
    X = np.stack([part.ravel() for part in parts], axis=1)
    poses = np.array(list(product(range(4), repeat=4)))
    H = np.hstack([np.ones((len(poses), 1)), *(np.eye(4)[poses[:, i]] for i in range(4))])
    return Dataset(
        name="swimmer",
        D=H @ X.T,
        about="Swimmer (Donoho and Stodden 2003), generated: 256 poses of one torso and four "
        "limbs; pixels are 0 or 1; D = H Xᵀ exactly.",
        image_shape=shape,
        truth=Truth(H, X, names),
    )


def bars(
    size: int = 8,
    probability: float | None = 0.2,
    n_samples: int = 500,
    saturating: bool = False,
    value: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Images of horizontal and vertical bars.

    Parts are the `size` rows and the `size` columns of a square image, so m = 2·size.
    Linear: D = H Xᵀ, a crossing is twice as bright. Saturating: D = min(H Xᵀ, `value`), a crossing
    is as bright as the bars, and no exact factorisation with these parts exists.
    Rows and columns both add up to the full image, so X has rank 2·size − 1.

    Parameters
    ----------
    size : int
        Height and width of the image in pixels, at least 2.
    probability : float in (0, 1], or None
        Each bar is present with this probability, independently; an image left without a bar gets
        one bar, drawn uniformly. None: exactly one horizontal and one vertical bar an image.
    value : float
        Brightness of a bar, above 0. H is binary.

    References
    ----------
    Földiák, "Forming sparse representations by local anti-Hebbian learning", 1990. The variant of
    Lemme, Reinhart and Steil (NNSAE, 2012) is
    ``load("bars", size=9, probability=None, n_samples=10_000, saturating=True, value=0.25)``.

    Examples
    --------
    >>> from partsrep import datasets
    >>> crosses = datasets.load("bars", size=9, probability=None, saturating=True, value=0.25)
    >>> crosses.D.max(), (crosses.D > 0).sum(axis=1).max()
    (np.float64(0.25), np.int64(17))
    """
    check_integer("size", size, 2)
    check_integer("n_samples", n_samples)
    check_number("value", value, above=True)
    rng = check_random_state(seed)
    if probability is None:
        rows, columns = rng.randint(size, size=(2, n_samples))
        H = np.hstack([np.eye(size)[rows], np.eye(size)[columns]])
    else:
        check_number("probability", probability, maximum=1, above=True)
        H = _active(rng, n_samples, 2 * size, probability).astype(float)
    line, across = np.eye(size), np.ones((size, 1))
    X = value * np.hstack([np.kron(line, across), np.kron(across, line)])
    D = H @ X.T
    return Dataset(
        name="bars",
        D=np.minimum(D, value) if saturating else D,
        about=f"Bars, generated: {size} horizontal and {size} vertical bars of brightness {value}; "
        + ("crossings saturate, D = min(H Xᵀ, brightness)." if saturating else "D = H Xᵀ exactly."),
        image_shape=(size, size),
        truth=Truth(H, X, [f"{kind} {i}" for kind in ("row", "column") for i in range(size)]),
    )


def planted(
    n_samples: int = 500,
    n_parts: int = 9,
    part_size: int = 6,
    overlap: float = 0.0,
    activity: float = 0.3,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Images composed of blobs on a grid, with set overlap, activity and noise.

    D = max(H Xᵀ + `noise`·E, 0) with E standard normal: clipping keeps D nonnegative, so for
    `noise` > 0 the error is not quite Gaussian where H Xᵀ is near 0.

    The parts are blobs of brightness 1, equally wide, on a grid that fills the image (a grid that
    is not full leaves its last cells empty). At `overlap` 0 their supports are disjoint, towards 1
    the parts become equal, and the cosine between neighbours rises steadily between.

    H is drawn before E and depends on `n_samples`, `n_parts`, `activity` and `seed` alone: when
    `overlap` or `noise` is swept, the codes stay the same.

    Parameters
    ----------
    part_size : int
        Pixels to a grid cell's side: 9 parts of 6 × 6 pixels make images of 18 × 18.
    overlap : float in [0, 1)
        Share of its width that a part has in common with its neighbour.
    activity : float in (0, 1]
        Probability that a part is active in a sample, independently of all others. A sample left
        without a part gets one, drawn uniformly. Active codes are uniform in [0.5, 1.5].
    noise : float
        Standard deviation of the noise before clipping, in units of a part's brightness.

    Examples
    --------
    >>> from partsrep import datasets
    >>> datasets.load("planted", n_parts=16, overlap=0.3, noise=0.05)
    Dataset('planted', 500 x 576, images 24 x 24)
    """
    check_integer("n_samples", n_samples)
    check_integer("n_parts", n_parts)
    check_integer("part_size", part_size)
    check_number("overlap", overlap, maximum=1, below=True)
    check_number("activity", activity, maximum=1, above=True)
    check_number("noise", noise)
    rng = check_random_state(seed)
    active = _active(rng, n_samples, n_parts, activity)
    H = active * rng.uniform(0.5, 1.5, active.shape)
    columns = int(np.ceil(np.sqrt(n_parts)))
    rows = int(np.ceil(n_parts / columns))
    grid = np.kron(_blobs(part_size, rows, overlap), _blobs(part_size, columns, overlap))
    X = (grid / grid.max(axis=1, keepdims=True))[:n_parts].T
    D = H @ X.T
    if noise:
        D = np.maximum(D + noise * rng.standard_normal(D.shape), 0)
    return Dataset(
        name="planted",
        D=D,
        about=f"Planted parts, generated: {n_parts} blobs with overlap {overlap}, activity "
        f"{activity} and noise {noise}; D = max(H Xᵀ + noise, 0).",
        image_shape=(rows * part_size, columns * part_size),
        truth=Truth(H, X, [f"blob {i}" for i in range(n_parts)]),
    )


def overcomplete(
    n_samples: int = 500,
    n_features: int = 12,
    n_parts: int = 16,
    correlation: float = 0.0,
    hierarchy: float = 0.0,
    zipf: float = 0.0,
    activity: float = 0.2,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Nonnegative parts, more than features if wanted, that occur together as features of nets do.

    D = max(H Xᵀ + `noise`·E, 0), E standard normal. Each part has about a third of the features, at
    least one, with exponential entries, and norm 1. Part j = 1, 2, … is active with a probability
    proportional to j^−`zipf`, `activity` in the mean and at most 1. Parts that leave the same
    remainder by a quarter of their number share a normal variable, of which `correlation` is the
    share of variance. With probability `hierarchy` a part j > 1 is inactive where part j // 2 is.
    Active codes are uniform in [0.5, 1.5]; a sample left without a part gets one, drawn uniformly.

    Examples
    --------
    >>> from partsrep import datasets
    >>> datasets.load("overcomplete", zipf=1, correlation=0.5).truth
    Truth(H 500 x 16, X 12 x 16)
    """
    for name, count in (("n_samples", n_samples), ("n_features", n_features), ("n_parts", n_parts)):
        check_integer(name, count)
    for name, share in (("correlation", correlation), ("hierarchy", hierarchy)):
        check_number(name, share, maximum=1)
    check_number("zipf", zipf)
    check_number("activity", activity, maximum=1, above=True)
    check_number("noise", noise)
    rng, m = check_random_state(seed), n_parts
    X = rng.exponential(size=(n_features, m)) * (rng.uniform(size=(n_features, m)) < 1 / 3)
    X[rng.randint(n_features, size=m), np.arange(m)] += 1
    X /= np.linalg.norm(X, axis=0)
    shares = np.arange(1, m + 1) ** -float(zipf)
    rates = np.minimum(activity * shares / shares.mean(), 1)
    groups = rng.standard_normal((n_samples, max(m // 4, 1)))[:, np.arange(m) % max(m // 4, 1)]
    own = rng.standard_normal((n_samples, m))
    active = ndtr(correlation**0.5 * groups + (1 - correlation) ** 0.5 * own) < rates
    bound = rng.uniform(size=(n_samples, m)) < hierarchy
    for j in range(2, m + 1):
        active[:, j - 1] &= active[:, j // 2 - 1] | ~bound[:, j - 1]
    active = _never_empty(rng, active)
    H = active * rng.uniform(0.5, 1.5, active.shape)
    D = H @ X.T
    if noise:
        D = np.maximum(D + noise * rng.standard_normal(D.shape), 0)
    return Dataset(
        name="overcomplete",
        D=D,
        about=f"Overcomplete parts, generated: {m} in {n_features} features, correlation "
        f"{correlation}, hierarchy {hierarchy}, Zipf exponent {zipf}, activity {activity} and "
        f"noise {noise}; D = max(H Xᵀ + noise, 0).",
        truth=Truth(H, X, [f"part {j + 1}" for j in range(m)]),
    )


LOADERS = {"swimmer": swimmer, "bars": bars, "planted": planted, "overcomplete": overcomplete}


def _active(rng, n_samples, n_parts, probability):
    """Which parts are active in which sample; never none, for an empty sample says nothing."""
    return _never_empty(rng, rng.random_sample((n_samples, n_parts)) < probability)


def _never_empty(rng, active):
    """A sample without a part gets one, drawn uniformly."""
    empty = np.flatnonzero(~active.any(axis=1))
    active[empty, rng.randint(active.shape[1], size=len(empty))] = True
    return active


def _blobs(part_size, count, overlap):
    """One-dimensional profiles (count × pixels): equal domes that span the line together."""
    pixels = part_size * count
    width = pixels / ((count - 1) * (1 - overlap) + 1)
    centres = width / 2 + width * (1 - overlap) * np.arange(count)
    edges = np.clip((np.arange(pixels + 1) - centres[:, None]) / (width / 2), -1, 1)
    # The half circle √(1 − t²) integrated over each pixel: sampled at the pixels' centres it would
    # change in steps, not steadily, with the overlap.
    return np.diff((edges * np.sqrt(1 - edges**2) + np.arcsin(edges)) / 2)
