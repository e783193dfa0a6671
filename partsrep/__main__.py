"""The command line: ``partsrep COMMAND``."""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def partsrep() -> None:
    """When do NMF and sparse autoencoders learn the same parts?"""


@app.command()
def book() -> None:
    """Execute the notebooks that changed and render the book into build/html."""
    from partsrep.book import BookError, build  # each command imports only what it needs

    try:
        typer.echo(build(Path.cwd()))
    except BookError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
