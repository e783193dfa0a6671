"""NMF against scikit-learn's: time to its own objective, restarts, growth, memory."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
from measure import Run, apart, peak_memory, race, row, timed
from scipy import sparse
from sklearn import decomposition
from sklearn.decomposition._nmf import _initialize_nmf
from sklearn.exceptions import ConvergenceWarning

from partsrep import NMF, datasets, restarts

PEER = decomposition.NMF


def size(full: int, scale: float) -> int:
    """A number of samples, features or iterations, shrunk for a test."""
    # Not below the number of parts.
    return max(50, round(full * scale))


def low_rank(n: int, d: int, m: int) -> np.ndarray:
    """Nonnegative, of rank m with 40 % dense factors, plus 5 % noise."""
    rng = np.random.RandomState(0)
    H, X = (rng.uniform(size=(k, m)) * (rng.uniform(size=(k, m)) < 0.4) for k in (n, d))
    D = H @ X.T
    noise = rng.standard_normal(D.shape)
    return np.maximum(D + 0.05 * np.linalg.norm(D) / np.linalg.norm(noise) * noise, 0)


def strokes(n: int) -> np.ndarray:
    """Images of 28 × 28 pixels in 10 classes, each a stroke of 8 blobs that wander; 89 % zeros."""
    rng = np.random.RandomState(0)
    steps = rng.uniform(-5, 5, (10, 8, 2)).cumsum(axis=1)
    paths = steps - steps.mean(axis=1, keepdims=True) + 14
    centres = paths[rng.randint(10, size=n)] + rng.standard_normal((n, 8, 2))
    profiles = np.exp(-((np.arange(28) - centres[..., None]) ** 2) / (2 * 1.2**2))
    images = np.swapaxes(profiles[:, :, 0], 1, 2) @ profiles[:, :, 1]
    return np.where(images > 0.3, np.minimum(images, 1), 0).reshape(n, -1)


def digits(scale: float) -> tuple[np.ndarray, str]:
    return datasets.load("digits").D[: size(1797, scale)], "digits of scikit-learn"


def square(scale: float) -> tuple[np.ndarray, str]:
    n = size(2000, scale)
    return low_rank(n, n, 40), "rank 40, 40 % dense factors, 5 % noise"


def tall(scale: float) -> tuple[np.ndarray, str]:
    """MNIST's first images, or strokes of the same shape where its file is not to be had."""
    n, made = size(20_000, scale), "strokes of 8 blobs in 10 classes, 89 % zeros"
    # A test does not wait for a download.
    if scale < 1:
        return strokes(n), made
    try:
        return datasets.load("mnist").D[:n], "the first images of MNIST"
    except FileNotFoundError:
        return strokes(n), made


@dataclass(frozen=True)
class Case:
    """A matrix, its number of parts, iterations until scikit-learn has converged, repeats."""

    make: Callable[[float], tuple[np.ndarray, str]]
    n_components: int
    converged: int
    repeats: int


CASES = {
    "digits": Case(digits, 16, 2000, 9),
    "square": Case(square, 40, 200, 6),
    "tall": Case(tall, 49, 400, 2),
}
PRECISIONS = ("float64", "float32")


@cache
def load(data: str, precision: str, scale: float) -> tuple[np.ndarray, str]:
    """The matrix of a case, and what it is."""
    D, about = CASES[data].make(scale)
    return D.astype(precision), about


def objective(D: np.ndarray, H: np.ndarray, components: np.ndarray) -> float:
    """‖D − HXᵀ‖² / ‖D‖², in double precision whatever the factors' own."""
    D, H, components = (factor.astype(float, copy=False) for factor in (D, H, components))
    energy = np.vdot(D, D)
    fitted = np.vdot(H.T @ H, components @ components.T)
    return (energy - 2 * np.vdot(H.T @ D, components) + fitted) / energy


def solve(method, D, start=None, **settings):
    """A complete fit from the raw `start`: (H, components, iterations)."""
    given = {}
    if start:
        # Copies, for scikit-learn works in the arrays it is given.
        settings["init"], given = "custom", dict(zip("WH", map(np.copy, start), strict=True))
    model = method(**settings)
    return model.fit_transform(D, **given), model.components_, model.n_iter_


def path(D, start, iterations: int) -> Iterator[float]:
    """scikit-learn's objective after each iteration; one at a time it takes the same steps."""
    H, components = map(np.copy, start)
    D64 = D.astype(float, copy=False)
    for _ in range(iterations):
        H, components, _ = decomposition.non_negative_factorization(
            D, H, components, len(components), init="custom", tol=0, max_iter=1
        )
        yield objective(D64, H, components)


def least(reaches: Callable[[int], bool], most: int) -> int | None:
    """The least number of iterations that reaches the goal: by doubling, then by bisection."""
    low, high = 0, min(16, most)
    while not reaches(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def flops(D, n_components: int, iterations: int) -> int:
    """Useful operations: the two products with the data that each iteration cannot do without."""
    return 4 * D.size * n_components * iterations


@cache
def target(data: str, precision: str, scale: float) -> list[dict]:
    """Seconds until within 1e-3 of scikit-learn's converged objective, from its own raw start."""
    (D, about), case = load(data, precision, scale), CASES[data]
    m = case.n_components
    start = _initialize_nmf(D, m, init="nndsvda", random_state=0)
    descent = list(path(D, start, size(case.converged, scale)))
    goal = 1.001 * descent[-1]
    fit = partial(solve, D=D, start=start, n_components=m, tol=0)

    def reaches(iterations):
        H, components, _ = fit(NMF, max_iter=iterations)
        return objective(D, H, components) <= goal

    peer_iterations = 1 + next(i for i, value in enumerate(descent) if value <= goal)
    iterations = least(reaches, 2 * len(descent))
    ours, peer = race(
        case.repeats,
        iterations and partial(fit, NMF, max_iter=iterations),
        partial(fit, PEER, max_iter=peer_iterations),
    )
    return [
        row(
            f"nmf target {data} {precision}",
            ours,
            peer,
            bar=("ratio", "≥", 1.3 if precision == "float64" else 2),
            flops=(flops(D, m, iterations or 0), flops(D, m, peer_iterations)),
            precision=precision,
            data=about,
            shape=[*D.shape, m],
            goal=goal,
            objective=objective(D, *ours.result[:2]) if iterations else None,
            peer_objective=objective(D, *peer.result[:2]),
            iterations=iterations,
            peer_iterations=peer_iterations,
            converged_iterations=len(descent),
        )
    ]


def mean(precision: str, scale: float) -> list[dict]:
    """The geometric mean of the rows above."""
    rows = [target(data, precision, scale)[0] for data in CASES]

    def run(side):
        means = (
            np.exp(np.mean([np.log(found[key] or np.inf) for found in rows]))
            for key in (side, f"{side}_wall")
        )
        return Run(*map(float, means))

    return [
        row(
            f"nmf target geometric mean {precision}",
            run("ours"),
            run("peer"),
            bar=("ratio", "≥", 4),
            precision=precision,
        )
    ]


def defaults(data: str, precision: str, scale: float) -> list[dict]:
    """Both at their defaults, start included, and how well each then fits."""
    (D, about), case = load(data, precision, scale), CASES[data]
    m = case.n_components
    ours, peer = race(
        max(1, case.repeats // 3),
        *(partial(solve, method, D, n_components=m, random_state=0) for method in (NMF, PEER)),
    )
    return [
        row(
            f"nmf defaults {data} {precision}",
            ours,
            peer,
            flops=(flops(D, m, ours.result[2]), flops(D, m, peer.result[2])),
            precision=precision,
            data=about,
            shape=[*D.shape, m],
            objective=objective(D, *ours.result[:2]),
            peer_objective=objective(D, *peer.result[:2]),
            iterations=ours.result[2],
            peer_iterations=peer.result[2],
        )
    ]


def random_starts(precision: str, scale: float) -> list[dict]:
    """Seconds of 16 random starts to the mean objective of 16 default fits of scikit-learn."""
    D, about = load("digits", precision, scale)
    m, seeds = CASES["digits"].n_components, range(16)
    energy = np.vdot(D.astype(float), D.astype(float))

    def together(iterations):
        return restarts(NMF(m, tol=0, max_iter=iterations), D, seeds)

    def one_by_one():
        return [solve(PEER, D, n_components=m, init="random", random_state=seed) for seed in seeds]

    def reached(models):
        return float(np.mean([model.loss_ for model in models]) / energy)

    def peer_reached(fits):
        return float(np.mean([objective(D, H, components) for H, components, _ in fits]))

    peers = one_by_one()
    goal = peer_reached(peers)
    iterations = least(lambda count: reached(together(count)) <= goal, 1000)
    peer_iterations = sum(count for _, _, count in peers)
    ours, peer = race(3, iterations and partial(together, iterations), one_by_one)
    return [
        row(
            f"nmf 16 restarts digits {precision}",
            ours,
            peer,
            bar=("ratio", "≥", 3),
            flops=(flops(D, m, 16 * (iterations or 0)), flops(D, m, peer_iterations)),
            precision=precision,
            data=about,
            shape=[*D.shape, m],
            goal=goal,
            objective=reached(ours.result) if iterations else None,
            peer_objective=peer_reached(peer.result),
            iterations=iterations,
            peer_iterations=peer_iterations / 16,
        )
    ]


def cost(precision: str, scale: float) -> list[dict]:
    """How the seconds of 20 iterations grow when n, d or m is doubled."""
    shape, iterations = (size(2000, scale), size(1000, scale), 20), 20
    doubled = {
        letter: tuple(length * (1 + (i == axis)) for i, length in enumerate(shape))
        for axis, letter in enumerate("ndm")
    }
    shapes = [shape, *doubled.values()]
    data = [low_rank(n, d, 20).astype(precision) for n, d, _ in shapes]
    settings = {"init": "random", "random_state": 0, "tol": 0, "max_iter": iterations}
    runs = [
        partial(solve, method, D, n_components=m, **settings)
        for D, (_, _, m) in zip(data, shapes, strict=True)
        for method in (NMF, PEER)
    ]
    ours, *ours_doubled = (found := race(5, *runs))[::2]
    peer, *peer_doubled = found[1::2]
    # Products grow with n, d and m alike; the Gram matrices and the sweeps with m squared.
    limits = {"n": 2.5, "d": 2.5, "m": 4.5}
    return [
        row(
            f"nmf cost of twice {letter} {precision}",
            ours_twice,
            peer_twice,
            bar=("growth", "≤", limits[letter]),
            flops=(4 * np.prod(twice, dtype=float) * iterations,) * 2,
            precision=precision,
            shape=[*twice],
            growth=ours_twice.cpu / ours.cpu,
            peer_growth=peer_twice.cpu / peer.cpu,
            iterations=iterations,
            peer_iterations=iterations,
        )
        for (letter, twice), ours_twice, peer_twice in zip(
            doubled.items(), ours_doubled, peer_doubled, strict=True
        )
    ]


BLOCK = 4096


def fit_whole(method, D) -> None:
    method(n_components=10, max_iter=10, random_state=0).fit(D)


def fit_blocks(method, D) -> None:
    model = method(n_components=10, random_state=0)
    for first in range(0, D.shape[0], BLOCK):
        model.partial_fit(D[first : first + BLOCK])


#: How it is fitted, by us and by the peer.
WAYS = {
    "memmap": (fit_whole, NMF, PEER),
    "partial_fit": (fit_blocks, NMF, decomposition.MiniBatchNMF),
    "sparse": (fit_whole, NMF, PEER),
}


def appetite(kind: str, side: int, file: Path) -> tuple[Run, int]:
    """Seconds and bytes of one fit, in a process of its own."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    fit, *methods = WAYS[kind]
    D = sparse.load_npz(file) if kind == "sparse" else np.load(file, mmap_mode="r")
    # Loads the code and fills the buffers of BLAS, which stay whatever the size of the data.
    fit(methods[side], D[:500])
    taken = []
    run = timed(lambda: taken.append(peak_memory(partial(fit, methods[side], D))))
    return run, taken[0]


def memory(kind: str, scale: float) -> list[dict]:
    """Anonymous memory at the peak, in units of the factors and one block of the data."""
    m, item = 10, 4
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sparse":
            n = d = size(20_000, scale)
            D = sparse.random(n, d, 1e-3, "csr", np.float32, np.random.RandomState(0))
            file = Path(folder) / "data.npz"
            sparse.save_npz(file, D)
            block = D.data.nbytes + D.indices.nbytes + D.indptr.nbytes
        else:
            n, d = size(200_000, scale), 500
            file = Path(folder) / "data.npy"
            D = np.lib.format.open_memmap(file, "w+", np.float32, (n, d))
            rng = np.random.RandomState(0)
            X = rng.uniform(size=(m, d)) * (rng.uniform(size=(m, d)) < 0.4)
            for first in range(0, n, BLOCK):
                codes = rng.exponential(size=(len(D[first : first + BLOCK]), m))
                D[first : first + BLOCK] = codes @ X + 0.1 * rng.uniform(size=(len(codes), d))
            block = item * BLOCK * d
        samples = BLOCK if kind == "partial_fit" else n
        unit = item * m * (samples + d) + block
        (ours, taken), (peer, peer_taken) = (apart(appetite, kind, side, file) for side in (0, 1))
    return [
        row(
            f"nmf memory {kind}",
            ours,
            peer,
            bar=("memory", "≤", 3),
            precision="float32",
            shape=[n, d, m],
            memory=taken / unit,
            peer_memory=peer_taken / unit,
            unit_bytes=unit,
        )
    ]


BENCHMARKS: dict[str, Callable[[float], list[dict]]] = {
    **{
        f"nmf target {data} {precision}": partial(target, data, precision)
        for precision, data in product(PRECISIONS, CASES)
    },
    **{
        f"nmf target geometric mean {precision}": partial(mean, precision)
        for precision in PRECISIONS
    },
    **{
        f"nmf defaults {data} {precision}": partial(defaults, data, precision)
        for precision, data in product(PRECISIONS, CASES)
    },
    **{
        f"nmf 16 restarts digits {precision}": partial(random_starts, precision)
        for precision in PRECISIONS
    },
    **{f"nmf cost {precision}": partial(cost, precision) for precision in PRECISIONS},
    **{f"nmf memory {kind}": partial(memory, kind) for kind in WAYS},
}
