"""At the foot of a notebook's page: the line that runs it again, its time, and what it left.

The line has the parameters that made the page's numbers; the time is that of the book's own run.
"""

import json
import math
import shlex
from pathlib import Path

import yaml
from docutils import nodes


def command(notebook: str, given: dict) -> str:
    """The line that runs a notebook with these parameters."""
    line = f".venv/bin/papermill {notebook} out.ipynb"
    options = " ".join(option(name, value) for name, value in given.items())
    return f"{line} \\\n    {options}" if options else line


def option(name: str, value: object) -> str:
    """One parameter, in a shell's words."""
    if isinstance(value, bool | int | float):
        return f"-p {name} {value}"
    written = yaml.safe_dump({name: value}, default_flow_style=True, width=math.inf)
    return f"-y {shlex.quote(written.strip())}"


def in_words(seconds: float) -> str:
    """A time as a reader wants it."""
    whole = f"{math.ceil(seconds)} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    return whole.replace(" ", "\N{NO-BREAK SPACE}")


def add_foot(app, doctree, docname):
    """Append it to the page of a notebook."""
    source = Path(app.env.doc2path(docname))
    if source.suffix != ".ipynb":
        return
    notebook = f"{docname}.ipynb"
    runs = Path(app.srcdir, "book/runs.yml")
    listed = yaml.safe_load(runs.read_text()) or {} if runs.is_file() else {}
    line = command(notebook, listed.get(notebook) or {})
    ran = json.loads(source.read_text())["metadata"].get("papermill", {})
    words = "In a clone that has built the book, this line computes the page anew"
    if "duration" in ran:
        words += f"; it took {in_words(ran['duration'])} when this book was built"
    executed = f"{'../' * docname.count('/')}_sources/{notebook}"
    doctree.next_node(nodes.section).append(
        nodes.container(
            "",
            nodes.rubric("", "Run this page again"),
            nodes.paragraph("", f"{words}:"),
            nodes.literal_block(line, line, language="bash"),
            nodes.raw(
                "",
                f'<p>Or take <a href="{executed}" download>the executed notebook</a>, '
                "with these parameters and all outputs.</p>",
                format="html",
            ),
            classes=["rerun"],
            ids=["rerun"],
        )
    )


def setup(app):
    app.connect("doctree-resolved", add_foot, priority=600)  # below the head, whose link leads here
    return {"parallel_read_safe": True, "parallel_write_safe": True}
