"""Build the book: execute the notebooks that changed, then let Jupyter Book render it all.

In git a notebook holds quick defaults and no pictures. `build` executes each one with the
parameters that ``book/runs.yml`` publishes, stages the results under the same relative paths, and
renders that tree with warnings as errors. ``build/html`` is replaced only by a complete book.

=============== ==========================================================
``build/run``   what papermill wrote last, also for a notebook that failed
``build/cache`` executed notebooks, named by everything they were made from
``build/src``   the staged tree, which Jupyter Book renders
``build/html``  the last good book
=============== ==========================================================
"""

import hashlib
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path
from typing import IO

import nbformat
import yaml
from tqdm import tqdm

from . import kernels
from .kernels import ENVIRONMENT, KernelServers, WarmKernel
from .parameters import Parameter, RunError, declared, read_notebook, read_yaml, said_of, typed


class BookError(RunError):
    """The book cannot be built; the message says why and what to do."""


def build(root: Path, repository: str = "") -> Path:
    """Bring the book up to date; its first page is returned.

    Where a notebook fails or a page has a warning, the last good book is left in place. Only the
    address of a public `repository` brings what links there into the pages.
    """
    root = root.resolve()
    if not (root / "_config.yml").is_file():
        raise BookError(f"There is no book in {root}: run this in the folder of _config.yml.")
    runs = overrules(root)

    source = root / "build/src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "book", source / "book")
    for name in ("_toc.yml", "CHANGELOG.md"):
        shutil.copy(root / name, source)
    package = Path(__file__).parents[1]  # of which pages include some lines
    shutil.copytree(package, source / "partsrep", ignore=shutil.ignore_patterns("__pycache__"))
    config = yaml.safe_load((root / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"  # they arrive executed
    config["repository"]["url"] = repository
    (source / "_config.yml").write_text(yaml.safe_dump(config))

    lifeline, held = map(open, os.pipe(), "rw")
    servers = KernelServers(kernels.imported(read_notebook(root / run) for run in runs))
    # Ctrl-C comes to this thread alone; the others wait for processes, and swap whole books.
    with lifeline, held, closing(servers), ThreadPoolExecutor(os.cpu_count()) as workers:
        try:
            made = workers.map(
                lambda run: brought_up_to_date(root, *run, servers, lifeline), runs.items()
            )
            (source / "notebooks").mkdir()
            with tqdm(runs, unit="notebook", disable=None) as bar:
                for notebook in bar:
                    cached, said = next(made)
                    shutil.copy(cached, source / notebook)
                    refresh_pictures(cached, source / "book/_static")
                    bar.write(f"{notebook}: {said}")
            return workers.submit(render, root, lifeline).result()
        except KeyboardInterrupt:
            servers.close()  # these end what runs, and at once what a thread may yet start
            held.close()
            raise


def published(root: Path) -> dict[str, dict]:
    """Every notebook with all its parameters: its own defaults, overruled by ``book/runs.yml``."""
    return {
        notebook: {name: own.default for name, own in cell(root, notebook).items()} | given
        for notebook, given in overrules(root).items()
    }


def cell(root: Path, notebook: str) -> dict[str, Parameter]:
    """What the parameters cell of a notebook declares."""
    with said_of(f"{notebook}: "):
        return declared(read_notebook(root / notebook))


def overrules(root: Path) -> dict[str, dict]:
    """Every notebook with what ``book/runs.yml`` sets; it has its own defaults for the rest.

    Those that are named there come first, in its order.
    """
    notebooks = sorted(f"notebooks/{path.name}" for path in root.glob("notebooks/*.ipynb"))
    listed = read_yaml(root / "book/runs.yml") or {}
    if unknown := sorted(set(listed) - set(notebooks)):
        raise BookError(
            f"book/runs.yml names {', '.join(unknown)}; the notebooks are {', '.join(notebooks)}."
        )
    runs = {}
    for notebook in dict.fromkeys([*listed, *notebooks]):
        parameters = cell(root, notebook)
        overrule = listed.get(notebook) or {}
        if unknown := sorted(set(overrule) - set(parameters)):
            raise BookError(
                f"book/runs.yml sets {', '.join(unknown)} of {notebook}, "
                f"whose parameters are {', '.join(parameters)}."
            )
        with said_of(f"book/runs.yml, {notebook}: "):
            runs[notebook] = {n: typed(n, value, parameters) for n, value in overrule.items()}
    return runs


def environment() -> list[bytes]:
    """The package's code and the versions of everything installed beside it."""
    versions = sorted({f"{found.name}=={found.version}" for found in distributions()})
    return [*code(), json.dumps([sys.version, *versions]).encode()]


def code() -> list[bytes]:
    """The package's files, the one with the sha256 of the data included."""
    files = sorted(Path(__file__).parents[1].rglob("*"))
    return [path.read_bytes() for path in files if path.suffix in (".py", ".toml")]


def digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def brought_up_to_date(
    root: Path, notebook: str, given: dict, servers: KernelServers, lifeline: IO
) -> tuple[Path, str]:
    """The executed notebook, made now if the cache has none, and which of the two it was.

    It is named by all that it depends on. Data files need no part in it: the package loads only
    what has the sha256 that it knows.
    """
    source = nbformat.read(root / notebook, as_version=4)
    for cell in source.cells:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
    made_from = digest(json.dumps([source, given], sort_keys=True).encode(), *environment())
    cached = root / f"build/cache/{made_from}.ipynb"
    if cached.exists():
        return cached, "cached"
    start = time.perf_counter()
    execute(root, notebook, given, cached, servers, lifeline)
    return cached, f"executed, {time.perf_counter() - start:.1f} s"


def execute(
    root: Path, notebook: str, given: dict, cached: Path, servers: KernelServers, lifeline: IO
) -> None:
    """Run one notebook by papermill and keep it as ``cached``, without random ids.

    Of times it keeps one, how long the whole took, for the page says it.
    """
    output = Path("build/run") / Path(notebook).name
    (root / output).parent.mkdir(parents=True, exist_ok=True)
    (root / output).unlink(missing_ok=True)
    values = yaml.safe_dump(given, default_flow_style=True, width=math.inf).strip()
    command = [os.path.relpath(script("papermill"), root), notebook, str(output)]
    command += ["--cwd", "notebooks", "-y", values]
    start = time.perf_counter()
    try:
        if kernels.CAN_FORK:
            with servers.one() as server, WarmKernel(server, str(root / "notebooks")) as kernel:
                kernels.execute(root / notebook, root / output, given, kernel)
        else:
            options = {"env": os.environ | ENVIRONMENT, "stderr": subprocess.PIPE, "check": True}
            run(command, lifeline, cwd=root, **options)
    except Exception as error:  # whatever it is, it is of this notebook
        said = getattr(error, "stderr", None) or f"{type(error).__name__}: {error}"
        last_words = "\n".join(said.splitlines()[-5:])
        why = failure(root / notebook, root / output) or f"outside its cells:\n\n{last_words}"
        raise BookError(
            f"{notebook} failed {why}\n\nRun it again, alone:\n\n    {shlex.join(command)}\n"
        ) from error

    from nbconvert.preprocessors import CoalesceStreamsPreprocessor  # slow to import

    duration = round(time.perf_counter() - start, 1)
    # Where a kernel's stream is cut in pieces depends on the load of the machine.
    executed = nbformat.read(root / output, as_version=4)
    executed, _ = CoalesceStreamsPreprocessor().preprocess(executed, {})
    parameters = cell(root, notebook)
    values = {name: parameter.default for name, parameter in parameters.items()} | given
    executed.metadata.papermill = {"parameters": values, "duration": duration}
    lines = [f"{name} = {value!r}  # {parameters[name].help}" for name, value in values.items()]
    for ran in list(executed.cells):
        ran.metadata.pop("papermill", None)
        ran.metadata.pop("execution", None)
        tags = ran.metadata.get("tags", [])
        # In the place of the quick defaults: a page, and what is downloaded from it, has one cell
        # of parameters, with the values that made its numbers.
        if "parameters" in tags:
            ran.source = "\n".join(line.removesuffix("  # ") for line in lines)
            ran.outputs, ran.execution_count = [], None
        elif "injected-parameters" in tags:
            executed.cells.remove(ran)
    cached.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(executed, root / output)
    os.replace(root / output, cached)


def refresh_pictures(executed: Path, folder: Path) -> None:
    """Replace each picture in ``folder`` that bears the name of one of the notebook's figures.

    So a page may show a figure of any notebook; the copy in git is for those who do not build.
    """
    for cell in nbformat.read(executed, as_version=4).cells:
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        picture = folder / f"{name}.svg"
        for output in cell.get("outputs", []):
            if picture.exists() and "image/svg+xml" in output.get("data", {}):
                picture.write_text(output.data["image/svg+xml"], encoding="utf-8")


def failure(notebook: Path, output: Path) -> str:
    """Where and how a notebook failed; empty if no cell of it did."""
    number = {cell.id: i for i, cell in enumerate(nbformat.read(notebook, as_version=4).cells, 1)}
    for cell in nbformat.read(output, as_version=4).cells if output.exists() else []:
        for error in cell.get("outputs", []):
            if error.output_type == "error":
                from nbconvert.filters import strip_ansi  # slow to import

                source = "\n".join(f"    {line}" for line in cell.source.splitlines())
                traceback = strip_ansi("\n".join(error.traceback[-3:-1]))
                where = f"in cell {number.get(cell.id, 'of its parameters')}"
                return f"{where}:\n\n{source}\n\n{traceback}\n\n{error.ename}: {error.evalue}"
    return ""


def render(root: Path, lifeline: IO) -> Path:
    """Render ``build/src`` beside the last good book and put it in its place."""
    source, fresh, html = (root / "build" / name for name in ("src", "render", "html"))
    previous = root / "build/html.previous"
    if previous.exists() and not html.exists():  # an earlier build was stopped between two renames
        previous.rename(html)
    tree = sorted(path for path in source.rglob("*") if path.is_file())
    contents = ((path.relative_to(source).as_posix().encode(), path.read_bytes()) for path in tree)
    key = digest(*chain(*contents), *environment())
    stamp = html / ".made-from"
    if stamp.exists() and stamp.read_text() == key:
        return html / "index.html"

    # From scratch: an incremental build would not repeat the warnings of an unchanged page.
    shutil.rmtree(fresh, ignore_errors=True)
    start = time.perf_counter()
    command = [script("jupyter-book"), "build", str(source), "--path-output", str(fresh)]
    command += ["-W", "-n", "--keep-going", "-q"]
    ran = run(command, lifeline, stderr=subprocess.STDOUT)
    rendered = fresh / "_build/html"
    if ran.returncode or not (rendered / "index.html").exists():
        raise BookError(f"Jupyter Book failed:\n\n{ran.stdout.replace(f'{source}/', '')}")
    (rendered / stamp.name).write_text(key)

    shutil.rmtree(previous, ignore_errors=True)
    if html.exists():
        html.rename(previous)
    rendered.rename(html)
    shutil.rmtree(previous, ignore_errors=True)
    shutil.rmtree(fresh)
    tqdm.write(f"pages: rendered, {time.perf_counter() - start:.1f} s")
    return html / "index.html"


def run(command: list[str], lifeline: IO, **options) -> subprocess.CompletedProcess:
    """Run a command, which ends with all that it started when the pipe `lifeline` ends."""
    command = [sys.executable, "-P", Path(__file__).with_name("lifeline.py"), *command]
    options |= {"start_new_session": True}  # Ctrl-C is the driver's
    return subprocess.run(command, stdin=lifeline, stdout=subprocess.PIPE, text=True, **options)


def script(name: str) -> str:
    """A command of the environment that this Python belongs to."""
    return str(Path(sys.executable).with_name(name))
