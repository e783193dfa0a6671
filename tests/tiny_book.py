"""The sources of a book like ours, with other pages."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "tests/examples/template.ipynb"


def sources(project: Path, *names: str) -> None:
    """Our configuration and extensions, a first page, and a place for these notebooks."""
    for folder in ("_static", "_ext"):
        shutil.copytree(ROOT / "book" / folder, project / "book" / folder)
    shutil.copy(ROOT / "book/references.bib", project / "book")
    for name in ("_config.yml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, project)
    (project / "book/index.md").write_text("# A tiny book\n")
    chapters = "".join(f"- file: notebooks/{name}\n" for name in names)
    (project / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{chapters}")
    (project / "book/runs.yml").write_text("")
    (project / "notebooks").mkdir()


def with_template(project: Path) -> None:
    """Our template as a chapter, begun as CONTRIBUTING says."""
    sources(project, "template")
    shutil.copy(TEMPLATE, project / "notebooks")
    (project / "book/pages.yml").write_text(
        "explained: {}\npages:\n  notebooks/template: [matrix products]\n"
    )
    (project / "book/runs.yml").write_text("notebooks/template.ipynb:\n  unit: 100.0\n")
