"""The command line: ``partsrep COMMAND``."""

import random
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .interrupt import loud
from .lazy import require

require("runs")

from typer import Argument, Exit, Option, Typer, echo  # noqa: E402

app = Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def partsrep() -> None:
    """When do NMF and sparse autoencoders learn the same parts?"""
    loud()


@contextmanager
def ending(
    *command: str, code: int, words: str = "", kept: str = "What is done is kept; this goes on"
) -> Iterator[None]:
    """Exit with a code at an error, which is said in words, and at Ctrl-C with how to go on."""
    try:
        # Here, and in each command what it needs, so that the help does not wait for imports.
        from partsrep.runs import RunError

        try:
            yield
        except (RunError, OSError) as error:
            echo(f"{words}{error}", err=True)
            raise Exit(code) from None
    except KeyboardInterrupt:
        again = shlex.join(["partsrep", *command])
        echo(f"Stopped. {kept}:\n{again}", err=True)
        raise Exit(130) from None


@app.command()
def book(
    repository: str = Option(
        "", metavar="URL", help="Where the sources are public: buttons link there."
    ),
) -> None:
    """Execute the notebooks that changed and render the book into build/html."""
    options = ["--repository", repository] if repository else []
    with ending("book", *options, code=1):
        from partsrep.runs.book import build

        echo(build(Path.cwd(), repository))


@app.command()
def sweep(
    notebook: Path = Argument(metavar="NOTEBOOK", help="With a parameters cell."),
    grid: Path = Option(metavar="FILE.yml", help="What to run, such as: grid: {seed: [0, 1, 2]}"),
    out: Path = Option(
        None, metavar="DIR", help="Folder of the points.", show_default="build/sweeps/FILE"
    ),
    scheduler: str = Option(
        None, metavar="ADDRESS", help="A Dask scheduler, such as tcp://10.0.0.1:8786."
    ),
    workers: int = Option(
        None, min=1, metavar="N", help="Processes on this machine.", show_default="one a core"
    ),
    dry_run: bool = Option(
        False, "--dry-run", help="Print the points and the time they will take."
    ),
    limit: int = Option(None, min=1, metavar="N", help="Run no more points than this."),
    timeout: float = Option(3600.0, min=0.001, metavar="SECONDS", help="What a point may take."),
    retry: bool = Option(False, "--retry", help="Run only the points that failed before."),
) -> None:
    """Run a notebook at every point of a grid.

    Each point leaves DIR/NAME/record.json and DIR/NAME/executed.ipynb. Started again, the sweep
    goes on where it was stopped, whatever stopped it. The grid file has one or more of these
    sections, and a point for every combination of them:

    \b
    grid:   {noise: [0.0, 0.1], data: planted}     every combination
    zip:    {n_components: [4, 9], k: [2, 3]}      in step
    list:   [{overlap: 0.1}, {overlap: 0.4}]       one by one
    random: {count: 20, activity: {uniform: [0.1, 0.5]}}
    seeds:  10                                     seed: 0 ... 9

    \b
    Exit code: 0 every point has metrics, 1 some failed, 2 it could not run or go on,
    130 stopped by Ctrl-C.
    """
    out = out or Path("build/sweeps", grid.stem)
    again = ["sweep", str(notebook), "--grid", str(grid), "--out", str(out)]
    again += ["--scheduler", scheduler] if scheduler else []
    again += ["--workers", str(workers)] if workers else []
    again += ["--timeout", f"{timeout:.15g}"] if timeout != 3600 else []
    with ending(*again, code=2, words="The sweep cannot go on: "):
        from partsrep import runs

        if dry_run:
            plan = runs.plan(notebook, grid, out)
            echo(f"{plan}\n{plan.estimate(workers)}")
            return
        options = {"workers": workers, "limit": limit, "timeout": timeout, "retry": retry}
        ended = runs.sweep(notebook, grid, out, scheduler=scheduler, **options)
    echo(ended)
    if ended.left:
        echo(f"For those that are left:\n{shlex.join(['partsrep', *again])}")
    if ended.failed:
        echo(f"To try again only what failed:\n{shlex.join(['partsrep', *again, '--retry'])}")
        raise Exit(1)


@app.command()
def results(
    out: Path = Argument(metavar="DIR", help="The folder of a sweep, or a .jsonl."),
    csv: Path = Option(None, metavar="FILE", help="Write the table, one row a point."),
    jsonl: Path = Option(None, metavar="FILE", help="Write the records, one line a point."),
    x: str = Option(None, metavar="NAME", help="A parameter."),
    y: str = Option(None, metavar="NAME", help="Another one, or a metric."),
    color: str = Option(None, metavar="NAME", help="A metric; over a metric as y, a parameter."),
    figure: Path = Option(
        None, metavar="FILE.png", help="Where to draw.", show_default="DIR/figure.png"
    ),
) -> None:
    """Gather the records of the newest sweep in a folder into one table, and draw it.

    Without options it prints the table's head and the names of its columns. Two parameters and a
    metric make a heat map:

    \b
    partsrep results DIR --csv table.csv
    partsrep results DIR --x noise --y overlap --color planted.mcc
    """
    with ending("results", str(out), code=2):
        from partsrep import runs
        from partsrep.runs.records import as_lines
        from partsrep.runs.results import tidy

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_: echo(message, err=True)
            found = runs.records(out)
        table = tidy(found)
        if csv:
            table.to_csv(csv, index=False)
        if jsonl:
            jsonl.write_text(as_lines(found))
        if x or y or color:
            drawn = figure or (out if out.is_dir() else out.parent) / "figure.png"
            try:
                runs.picture(table, x, y, color).savefig(drawn, facecolor="white")
            except ValueError as error:  # such as more colours than there are, or no such format
                raise runs.RunError(f"It cannot be drawn: {error}") from None
            echo(drawn)
        elif figure:
            raise runs.RunError("--figure wants to know what to draw: give --x and --y too.")
        elif not (csv or jsonl):
            echo(f"{table.head()}\n{len(table)} points; columns: {', '.join(table.columns)}")


@app.command()
def predict(
    data: Path = Argument(metavar="DATA", help="A table or matrix, samples as rows."),
    parts: int = Option(min=1, metavar="N", help="How many parts both methods have."),
    seeds: int = Option(5, min=2, metavar="S", help="Seeds of NMF."),
) -> None:
    """Foretell whether an autoencoder will find NMF's parts, before one is trained.

    The autoencoder has ReLU and a nonnegative decoder. What the answer rests on is printed too.
    """
    again = "predict", str(data), "--parts", str(parts), "--seeds", str(seeds)
    with ending(*again, code=2, kept="Nothing is kept; this begins again"):
        from partsrep import datasets, predict
        from partsrep.runs import RunError

        try:
            echo(predict(datasets.from_file(data).D, parts, seeds=seeds))
        except (TypeError, ValueError) as error:  # sparse data are a TypeError
            raise RunError(str(error)) from None


@app.command()
def report(
    data: str = Argument(metavar="DATA", help="A table or matrix, or a folder of images."),
    out: Path = Option(metavar="DIR", help="The folder to make; an older report is replaced."),
    parts: str = Option("auto", metavar="N", help="How many parts; auto: by held-out error."),
    decoder: str = Option("nonnegative", help="Of the autoencoder: nonnegative or free."),
    k: int = Option(0, min=0, metavar="K", help="Its most active codes a sample (TopK); 0: ReLU."),
    image_shape: str = Option(
        "", metavar="HxW", help="Of samples that are images, such as 28x28.", show_default="none"
    ),
    seeds: int = Option(5, min=2, metavar="S", help="Of each method."),
    seed: int = Option(0, min=0, metavar="S", help="Of every random draw."),
) -> None:
    """Say which method to use on a matrix of your own: one page, numbers, codes, parts, models.

    DIR/report.html is one file that needs no network, DIR/report.json has its numbers. The folder
    appears whole or not at all. Of large data some samples are drawn; all get their codes.
    """
    again = "report", data, "--parts", parts, "--out", str(out)
    with ending(*again, code=2, kept="Nothing is kept; this begins again"):
        from partsrep.runs import RunError
        from partsrep.runs.report import write_report

        if parts != "auto" and not (parts.isdecimal() and int(parts)):
            raise RunError(f"--parts {parts}: a number of parts, at least 1, or auto.")
        given = {"n_components": 0 if parts == "auto" else int(parts), "decoder": decoder}
        given |= {"k": k, "image_shape": image_shape, "seeds": seeds, "seed": seed}
        echo(write_report(data, out, given))


@app.command()
def publish() -> None:
    """Run the published sweeps and renew their records in book/results.

    Started again, it goes on where it was stopped.
    """
    with ending("publish", code=1):
        from partsrep.runs.published import publish

        publish(Path.cwd())


@app.command()
def check(
    sample: int = Option(5, min=0, metavar="N", help="Points of each sweep to run again."),
    seed: int = Option(None, metavar="S", help="Of the sample.", show_default="another each time"),
) -> None:
    """Run a random sample of the published records again; one that differs is stale, and fails."""
    from partsrep.runs import RunError
    from partsrep.runs.published import check

    seed = random.randrange(10**6) if seed is None else seed
    echo(f"A sample of {sample} points of each sweep, by --seed {seed}.")
    try:
        stale = check(Path.cwd(), sample, seed)
    except (RunError, OSError) as error:
        stale = [str(error)]
    if stale:
        echo("\n".join([*stale, "Run them anew: make results"]), err=True)
        raise Exit(1)
    echo("No record is stale.")


if __name__ == "__main__":
    app()
