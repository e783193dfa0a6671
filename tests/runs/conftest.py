"""A Dask cluster for the tests of a module, and one finished sweep for all."""

import subprocess

import pytest
from tiny import cluster, write

from partsrep.runs.book import script


@pytest.fixture(scope="module")  # not longer, since its processes work even when they wait
def scheduler(tmp_path_factory) -> str:
    """The address of a scheduler with two workers, each of them and it a process of its own."""
    with cluster(tmp_path_factory.mktemp("cluster"), "--memory-limit", "1.5 GB") as (address, _):
        yield address


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A sweep of six points by the command, with workers of its own; and what it said."""
    folder = tmp_path_factory.mktemp("swept")
    write(folder / "tiny.ipynb")
    (folder / "grid.yml").write_text("grid: {seed: [0, 1, 2], noise: [0.0, 0.1]}")
    ran = subprocess.run(
        [script("partsrep"), "sweep", "tiny.ipynb", "--grid", "grid.yml", "--out", "out"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return folder, ran.stdout
