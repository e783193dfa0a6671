"""The report on a matrix of one's own: a notebook, run on it, and the one page that it becomes."""

import html
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import numpy as np
import pandas as pd
from markdown_it import MarkdownIt
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from scipy import sparse

from ..datasets import LOADERS, Dataset, from_file, load
from ..progress import listeners
from ..storage import save
from ..study.answer import described, methods
from . import kernels
from .kernels import KernelServer, WarmKernel
from .parameters import RunError, read_notebook
from .records import write_json

NOTEBOOK = Path(__file__).with_name("report.ipynb")
PAGE, NUMBERS, EXECUTED = "report.html", "report.json", "report.ipynb"
BLOCK = 10_000  # samples that get their codes at a time
EVERY = 5  # seconds between words on how far a stage is
BESIDE = """## What lies beside this page

* `report.json`: its numbers.
* `nmf.safetensors`, `sae.safetensors`: the models, for `partsrep.load`.
* `nmf_codes.csv`, `nmf_parts.csv`, `sae_codes.csv`, `sae_parts.csv`, and all four in
  `codes_and_parts.npz`: a row of codes is a sample, a row of parts a part.
* `report.ipynb`: the notebook that ran, with its code.
"""
STYLE = Path(__file__).with_name("report.css")


def write_report(data: str, out: Path, parameters: Mapping[str, Any]) -> Path:
    """Run the notebook on data and leave a folder with all that comes out, whole or not at all.

    The page in it is returned.

    Parameters
    ----------
    data : str
        A file, a folder of images, or the name of a data set.
    out : path
        The folder to make. An earlier report there is replaced.
    parameters : mapping
        Of the notebook, but for `data` and `out`.

    Raises
    ------
    RunError
        What is wrong with the data, with the parameters, or with `out`.
    """
    out = out.absolute()
    if out.exists() and not (out / NUMBERS).exists() and (out.is_file() or any(out.iterdir())):
        raise RunError(f"{out} is there and holds no report: name another folder by --out.")
    if not out.parent.is_dir():
        raise RunError(f"There is no folder {out.parent}: make it.")
    try:  # before all else, for what is wrong should be said at once
        own = opened(data, parameters["image_shape"])
        described(own.D, own.features, own.samples)
        k = parameters["k"]
        methods(own.D, parameters["n_components"] or max(k, 1), parameters["decoder"], k)
    except (ImportError, TypeError, ValueError) as error:
        raise RunError(str(error)) from None
    # Elsewhere, so that of a report that is killed nothing lies beside `out`.
    with TemporaryDirectory(prefix="partsrep-report-") as folder:
        work = Path(folder, out.name)
        work.mkdir()
        given = {**parameters, "data": data, "out": str(work)}
        executed = _executed(given, Path(folder))
        (work / PAGE).write_text(page(executed), encoding="utf-8")
        nbformat.write(_neutral(executed, given | {"out": ""}), work / EXECUTED)
        _replace(work, out)
    return out / PAGE


def _executed(given: dict[str, Any], folder: Path) -> NotebookNode:
    """The notebook after it has run, while its words go to the terminal.

    Cells tagged ``book`` are for the book alone.
    """
    content = read_notebook(NOTEBOOK)
    content.cells = [cell for cell in content.cells if "book" not in _tags(cell)]
    source, target = folder / NOTEBOOK.name, folder / "executed.ipynb"
    nbformat.write(content, source)
    # In a thread, or the event loop would keep Ctrl-C for itself; the end of its server ends it.
    with ThreadPoolExecutor(1) as threads:
        server = KernelServer.of(kernels.imported([content])) if kernels.CAN_FORK else None
        with closing(server) if server else nullcontext():
            try:
                threads.submit(_run, source, target, given, server).result()
            except PapermillExecutionError as error:
                kind = "" if error.ename == "ValueError" else f"{error.ename}: "
                raise RunError(f"{kind}{error.evalue}") from None
            except RuntimeError as error:
                raise RunError(f"The process that computes has died: {error}") from None
    return nbformat.read(target, as_version=4)


def _run(source: Path, target: Path, given: dict[str, Any], server: KernelServer | None) -> None:
    with WarmKernel(server, os.getcwd()) if server else nullcontext() as kernel:
        kernels.execute(source, target, given, kernel, said=sys.stderr)


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags") or []


def _neutral(executed: NotebookNode, given: dict[str, Any]) -> NotebookNode:
    """Without the folder that it was made in, or when."""
    executed.metadata.papermill = {"parameters": given}
    for cell in executed.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in _tags(cell):
            cell.source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
        if cell.cell_type == "code":
            cell.outputs = _kept(cell)
    return executed


def _kept(cell: NotebookNode) -> list[NotebookNode]:
    """A cell's results, without what it said while it worked."""
    return [output for output in cell.outputs if output.output_type != "stream"]


def _replace(work: Path, out: Path) -> None:
    """Put a folder in the place of an older report: beside it first, then all at once."""
    fresh, old = (out.with_name(f".{out.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        shutil.copytree(work, fresh)
        if out.exists():
            out.rename(old)
        fresh.rename(out)
    finally:
        for rest in (fresh, old):
            shutil.rmtree(rest, ignore_errors=True)


def page(executed: NotebookNode) -> str:
    """One HTML page of an executed notebook, without anything that lies elsewhere.

    The cell tagged ``answer`` comes first. A figure has the caption and the words of its cell; the
    code is left to the notebook.
    """
    cells = sorted(executed.cells, key=lambda cell: "answer" not in _tags(cell))
    shown = "\n".join(map(_shown, cells))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>A report of partsrep</title>\n<style>\n{STYLE.read_text()}</style>\n</head>\n"
        f"<body>\n<main>\n{shown}\n</main>\n</body>\n</html>\n"
    )


def _shown(cell: NotebookNode) -> str:
    """A cell as HTML, without its code."""
    if cell.cell_type == "markdown":
        return _from_markdown(cell.source)
    results = "\n".join(map(_result, _kept(cell)))
    about = cell.metadata.get("mystnb", {})
    if "figure" in about and results:
        alt = html.escape(about["image"]["alt"], quote=True)
        caption = _from_markdown(about["figure"]["caption"])
        results = (
            f'<figure><div role="img" aria-label="{alt}">{results}</div>'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return results


def _result(output: NotebookNode) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return f'<div class="table">{data["text/html"]}</div>'
    if "image/svg+xml" in data:
        return data["image/svg+xml"]
    if "text/markdown" in data:
        return _from_markdown(data["text/markdown"])
    return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def _from_markdown(text: str) -> str:
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(text)


# What the notebook calls.


def opened(data: str, image_shape: str = "") -> Dataset:
    """A data set by name, or what a file or a folder of images holds.

    `image_shape` is height x width, such as "28x28": the pixels of each sample, row by row.
    """
    own = load(data) if data in LOADERS and not Path(data).exists() else from_file(data)
    if not image_shape:
        return own
    try:
        height, width = (int(side) for side in image_shape.lower().split("x"))
        if height < 1 or width < 1 or height * width != own.D.shape[1]:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"image_shape={image_shape!r} must be height x width with {own.D.shape[1]} pixels, as "
            "many as the data have features; such as 8x8 for 64."
        ) from None
    return Dataset(**{**vars(own), "image_shape": (height, width)})


def stages(out: str) -> Callable[..., Any]:
    """A context that says what is being done, and how far it is, where a folder is written."""
    began = time.perf_counter()

    @contextmanager
    def stage(words: str) -> Iterator[None]:
        if out:
            print(f"{time.perf_counter() - began:5.0f} s  {words} ...", flush=True)
            listeners[:] = [_teller(began)]
        yield
        listeners.clear()

    return stage


def _teller(began: float) -> Callable[[str, int, int], None]:
    """What says, now and then, where a loop stands, and how long the rest of it would take."""
    first = said = time.perf_counter()

    def tell(description: str, done: int, total: int) -> None:
        nonlocal first, said
        now = time.perf_counter()
        if not done:
            first = now
        elif now - said > EVERY:
            said, more = now, clock((now - first) / done * (total - done))
            print(
                f"{now - began:5.0f} s    {description}: {done} of {total}, {more} for the rest",
                flush=True,
            )

    return tell


def clock(seconds: float) -> str:
    """Such as "about 40 s" or "about 4 min"."""
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


def top_features(components: np.ndarray, names: Any, count: int = 6) -> list[str]:
    """Of each part the features with the largest entries, largest first."""
    names = np.arange(1, components.shape[1] + 1) if names is None else names
    order = np.argsort(-np.abs(components), axis=1, kind="stable")[:, :count]
    return [
        ", ".join(str(names[j]) for j in row if part[j])
        for row, part in zip(order, components, strict=True)
    ]


def axis_of(features: Any) -> np.ndarray | None:
    """The names of features as numbers, such as wavelengths, where all are and they ascend."""
    try:
        axis = np.asarray(features, float)
    except (TypeError, ValueError):
        return None
    return axis if axis.ndim == 1 and (np.diff(axis) > 0).all() else None


def codes_of(model: Any, D: Any) -> np.ndarray:
    """The codes (n, m) of all samples, a block of these at a time; sparse ones may be many."""
    blocks = (D[start : start + BLOCK] for start in range(0, D.shape[0], BLOCK))
    return np.vstack([model.transform(D.toarray() if sparse.issparse(D) else D) for D in blocks])


def keep(out: str, models: Mapping[str, Any], own: Dataset, numbers: Mapping[str, Any]) -> None:
    """Write what was found into a folder: models, codes, parts and numbers.

    ``NAME.safetensors`` is for :func:`partsrep.load`; ``NAME_codes`` and ``NAME_parts`` are tables,
    ``codes_and_parts.npz`` holds all four arrays; parts are rows, numbered from 1.
    """
    folder, arrays = Path(out), {}
    for name, model in models.items():
        save(model, folder / f"{name}.safetensors")
        H = codes_of(model, own.D)
        arrays |= {f"{name}_codes": H, f"{name}_parts": model.components_}
        parts = pd.Index(range(1, H.shape[1] + 1), name="part")
        pd.DataFrame(H, own.samples, parts.astype(str)).to_csv(
            folder / f"{name}_codes.csv", index_label="sample"
        )
        pd.DataFrame(model.components_, parts, own.features).to_csv(folder / f"{name}_parts.csv")
    np.savez_compressed(folder / "codes_and_parts.npz", **arrays)
    write_json(folder / NUMBERS, json.loads(json.dumps(dict(numbers))))
