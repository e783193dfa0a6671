"""The command line: ``partsrep COMMAND``."""

import shlex
from pathlib import Path
from typing import Annotated

from .interrupt import loud
from .lazy import require

require("runs")

import typer  # noqa: E402

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def partsrep() -> None:
    """When do NMF and sparse autoencoders learn the same parts?"""
    loud()


@app.command()
def book() -> None:
    """Execute the notebooks that changed and render the book into build/html."""
    from partsrep.runs.book import BookError, build  # each command imports only what it needs

    try:
        typer.echo(build(Path.cwd()))
    except BookError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise _stopped(["partsrep", "book"]) from None


@app.command()
def sweep(
    notebook: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="With a parameters cell.")],
    grid: Annotated[
        Path,
        typer.Option(metavar="FILE.yml", help="What to run, such as: grid: {seed: [0, 1, 2]}"),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the points.", show_default="build/sweeps/FILE"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler, such as tcp://10.0.0.1:8786."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Processes on this machine.", show_default="one a core"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the points and the time they will take.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run no more points than this.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="What a point may take.")
    ] = 3600.0,
    retry: Annotated[
        bool, typer.Option("--retry", help="Run only the points that failed before.")
    ] = False,
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
    again = ["partsrep", "sweep", str(notebook), "--grid", str(grid), "--out", str(out)]
    again += ["--scheduler", scheduler] if scheduler else []
    again += ["--workers", str(workers)] if workers else []
    again += ["--timeout", f"{timeout:g}"] if timeout != 3600 else []
    try:
        from partsrep import runs
    except KeyboardInterrupt:
        raise _stopped(again) from None
    try:
        if dry_run:
            plan = runs.plan(notebook, grid, out)
            typer.echo(f"{plan}\n{plan.estimate(workers)}")
            return
        options = {"workers": workers, "limit": limit, "timeout": timeout, "retry": retry}
        ended = runs.sweep(notebook, grid, out, scheduler=scheduler, **options)
    except (runs.SweepError, OSError) as error:
        typer.echo(f"The sweep cannot go on: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise _stopped(again) from None
    typer.echo(ended)
    if ended.left:
        typer.echo(f"For those that are left:\n{shlex.join(again)}")
    if ended.failed:
        typer.echo(f"To try again only what failed:\n{shlex.join([*again, '--retry'])}")
        raise typer.Exit(1)


def _stopped(again: list[str]) -> typer.Exit:
    """Say how a command that was stopped goes on."""
    typer.echo(f"Stopped. What is done is kept; this goes on:\n{shlex.join(again)}", err=True)
    return typer.Exit(130)


@app.command()
def results(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a sweep, or a .jsonl.")],
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table, one row a point.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the records, one line a point.")
    ] = None,
    x: Annotated[str | None, typer.Option(metavar="NAME", help="A parameter.")] = None,
    y: Annotated[str | None, typer.Option(metavar="NAME", help="Another one, or a metric.")] = None,
    color: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A metric; over a metric as y, a parameter."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Where to draw.", show_default="DIR/figure.png"),
    ] = None,
) -> None:
    """Gather the records of the newest sweep in a folder into one table, and draw it.

    Without options it prints the table's head and the names of its columns. Two parameters and a
    metric make a heat map:

    \b
    partsrep results DIR --csv table.csv
    partsrep results DIR --x noise --y overlap --color planted.mcc
    """
    import warnings

    from partsrep import runs
    from partsrep.runs.records import as_lines
    from partsrep.runs.results import tidy

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = runs.records(out)
        for warning in said:
            typer.echo(warning.message, err=True)
        table = tidy(found)
        if csv:
            table.to_csv(csv, index=False)
        if jsonl:
            jsonl.write_text(as_lines(found))
        if x or y or color:
            drawn = figure or (out if out.is_dir() else out.parent) / "figure.png"
            runs.picture(table, x, y, color).savefig(drawn, facecolor="white")
            typer.echo(drawn)
        elif not (csv or jsonl):
            typer.echo(f"{table.head()}\n{len(table)} points; columns: {', '.join(table.columns)}")
    except (runs.SweepError, OSError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None


@app.command()
def publish() -> None:
    """Run the published sweeps and renew their records in book/results.

    Started again, it goes on where it was stopped.
    """
    from partsrep.runs import SweepError
    from partsrep.runs.published import publish

    try:
        publish(Path.cwd())
    except (SweepError, OSError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise _stopped(["partsrep", "publish"]) from None


@app.command()
def check(
    sample: Annotated[
        int, typer.Option(min=0, metavar="N", help="Points of each sweep to run again.")
    ] = 5,
    seed: Annotated[
        int | None,
        typer.Option(metavar="S", help="Of the sample.", show_default="another each time"),
    ] = None,
) -> None:
    """Run a random sample of the published records again; one that differs is stale, and fails."""
    import random

    from partsrep.runs import SweepError
    from partsrep.runs.published import check

    seed = random.randrange(10**6) if seed is None else seed
    typer.echo(f"A sample of {sample} points of each sweep, by --seed {seed}.")
    try:
        stale = check(Path.cwd(), sample, seed)
    except (SweepError, OSError) as error:
        stale = [str(error)]
    if stale:
        typer.echo("\n".join([*stale, "Run them anew: make results"]), err=True)
        raise typer.Exit(1)
    typer.echo("No record is stale.")


if __name__ == "__main__":
    app()
