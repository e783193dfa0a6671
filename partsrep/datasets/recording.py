"""Activations of one's own network, written to the files that :func:`shards` reads."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..arguments import check_integer
from ..disk import write_whole
from ..lazy import is_tensor, torch
from ..progress import progress
from .shards import Shards, shards

PRECISIONS = ("float32", "float16")


def record(
    model: torch.nn.Module,
    layer: str,
    data: Iterable,
    out: str | Path,
    *,
    axis: int = -1,
    positions: int | None = None,
    dtype: str = "float32",
    shard_size: int = 65_536,
    seed: int = 0,
) -> Shards:
    """Run a network over data and write what one of its layers puts out, sample by sample.

    The network runs as in use, without dropout and gradients, and is left as it was. Each file
    appears whole: after Ctrl-C the folder holds the rows so far in whole shards.

    Parameters
    ----------
    model : torch.nn.Module
    layer : str
        Its name in ``model.named_modules()``. Of an output that is a tuple the first is taken.
    data : iterable of batches, or tensor (n, …)
        A batch is a tensor, a tuple of arguments, or a dict of named ones, as a tokenizer of
        Hugging Face returns it; positions that its ``attention_mask`` leaves out are not recorded.
        A tensor is taken 256 samples at a time.
    out : path
        A folder for the files ``00000.npy`` and so on; made if it is not there, and must hold no
        other ``.npy`` files.
    axis : int
        Where the units are in the layer's output: last, or 1 after convolutions. All other axes
        but the first are positions; each position is a row.
    positions : int, optional
        How many positions of each sample to keep, drawn from `seed`, in their order; by default
        all.
    dtype : "float32" or "float16"
        How numbers are stored. What float16 cannot hold is an error.
    shard_size : int
        Rows of a file.

    Returns
    -------
    Shards
        All rows, not loaded: ``SAE(…).fit(record(…))``.

    Raises
    ------
    ValueError
        If there is no such layer, it does not run or puts out no tensor, or its output holds NaN or
        infinity.
    FileExistsError
        If the folder holds ``.npy`` files.

    Examples
    --------
    >>> import torch
    >>> from tempfile import TemporaryDirectory
    >>> from partsrep import SAE, record
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.ReLU(), torch.nn.Linear(12, 2))
    >>> with TemporaryDirectory() as folder:
    ...     D = record(model, "1", torch.randn(1000, 8), folder)
    ...     sae = SAE(n_components=4, max_epochs=2, random_state=0).fit(D)
    >>> D, sae.components_.shape
    (Shards(1 files, 1000 x 12, float32), (4, 12))
    """
    for name, value in (("positions", positions), ("shard_size", shard_size)):
        if value is not None:
            check_integer(name, value)
    if dtype not in PRECISIONS:
        raise ValueError(f"dtype must be one of {', '.join(PRECISIONS)}; got {dtype!r}.")
    if isinstance(data, Mapping):
        raise ValueError("data is one batch; record takes several: put it into a list, [data].")
    modules, out = dict(model.named_modules()), Path(out)
    if layer not in modules:
        close = get_close_matches(str(layer), modules, n=3) or list(filter(None, modules))[:8]
        raise ValueError(f"The model has no layer {layer!r}. Near it, or the first: {close}.")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.glob("*.npy")):
        raise FileExistsError(f"{out} holds .npy files already: name an empty folder.")
    rng, waiting, n_waiting, written = check_random_state(seed), [], 0, []

    def write(rows):
        content = io.BytesIO()
        np.save(content, rows)
        written.append(out / f"{len(written):05}.npy")
        write_whole(written[-1], content.getvalue(), "shard")

    batches = data.split(256) if is_tensor(data) else data
    if hasattr(batches, "__len__"):
        batches = progress(batches, f"layer {layer}")
    with _listening(model, modules[layer]) as heard:
        for number, batch in enumerate(batches):
            _run(model, batch)
            if not heard:
                raise ValueError(f"Layer {layer!r} did not run on batch {number}.")
            for output in heard:
                where = f"Layer {layer!r}, batch {number}"
                waiting.append(_rows(output, batch, axis, positions, dtype, rng, where))
                n_waiting += len(waiting[-1])
            heard.clear()
            if n_waiting >= shard_size:
                rows = np.concatenate(waiting)
                whole = len(rows) // shard_size * shard_size
                for begin in range(0, whole, shard_size):
                    write(rows[begin : begin + shard_size])
                waiting, n_waiting = [rows[whole:]], len(rows) - whole
    if n_waiting:
        write(np.concatenate(waiting))
    if not written:
        raise ValueError("data holds no batches, or no position of them is to be recorded.")
    return shards(written)


@contextmanager
def _listening(model: torch.nn.Module, layer: torch.nn.Module) -> Iterator[list]:
    """What a layer puts out meanwhile, in a list; then the model is as it was."""
    heard: list[Any] = []
    training = {module: module.training for module in model.modules()}
    hook = layer.register_forward_hook(lambda module, given, output: heard.append(output))
    try:
        model.eval()
        with torch.no_grad():
            yield heard
    finally:
        hook.remove()
        for module, was in training.items():
            module.training = was


def _run(model, batch):
    if isinstance(batch, Mapping):
        model(**batch)
    else:
        model(*(batch if isinstance(batch, tuple | list) else [batch]))


def _rows(output, batch, axis, positions, dtype, rng, where) -> np.ndarray:
    """The output of one batch as rows, positions that are padded or not drawn left out."""
    output = output[0] if isinstance(output, tuple | list) else output
    if not is_tensor(output) or output.ndim < 2:
        kind = f"a tensor of shape {tuple(output.shape)}" if is_tensor(output) else type(output)
        raise ValueError(f"{where}: its output is {kind}, not a tensor (samples, …, units).")
    units = output.float().movedim(axis, -1)
    values = units.reshape(len(output), -1, units.shape[-1]).cpu().numpy()
    kept = np.ones(values.shape[:2], bool)
    padded = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    if padded is not None and tuple(padded.shape) == kept.shape:
        kept = padded.cpu().numpy().astype(bool)
    if positions is not None:
        order = np.where(kept, rng.uniform(size=kept.shape), 2)  # those left out come last
        kept &= order.argsort(axis=1).argsort(axis=1) < positions
    rows = values[kept]
    if not np.isfinite(rows).all():
        raise ValueError(f"{where}: its output holds NaN or infinity.")
    with np.errstate(over="ignore"):
        stored = rows.astype(dtype)
    if not np.isfinite(stored).all():
        raise ValueError(f"{where}: {np.abs(rows).max():.3g} is too large for {dtype}.")
    return stored
