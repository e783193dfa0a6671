"""The published records come out again: on this processor, on an older one, and not by mistake."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from partsrep.runs.book import script
from partsrep.runs.grid import opened
from partsrep.runs.parameters import read_yaml
from partsrep.runs.points import notebook_code
from partsrep.runs.published import published
from partsrep.runs.results import records

ROOT = Path(__file__).parents[2]
# NumPy, SciPy and PyTorch use only what a processor of 2008 can do, and round otherwise.
OLDER = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
}


def checked(root: Path, **environment: str) -> subprocess.CompletedProcess:
    """What `make check-results` does, with one point of each sweep that is the same each time."""
    return subprocess.run(
        [script("partsrep"), "check", "--sample", "1", "--seed", "0"],
        cwd=root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", published(ROOT))
def test_published_records_are_of_the_notebook_as_it_stands(name):
    entry = published(ROOT)[name]
    code = notebook_code(opened(ROOT / entry["notebook"])[0])
    held = records(ROOT / f"book/results/{name}.jsonl")
    assert {record["notebook_code"] for record in held} == {code}, "make results"


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, OLDER], ids=["here", "older"])
def test_published_records_come_out_again(environment):
    ran = checked(ROOT, **environment)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"auto": SAE(m, **sae)', '"auto": SAE(m, **sae, **adam, max_epochs=3)'),
        (
            "match(fit.components_, X).mcc",
            "float(np.mean(np.sum(unit_rows(fit.components_) * X, axis=1)))",
        ),
    ],
    ids=["training stops early", "parts are compared in their order"],
)
def test_a_mistake_makes_the_records_stale(right, wrong, tmp_path):
    results = tmp_path / "book/results"
    shutil.copytree(ROOT / "book/results", results)
    entries = read_yaml(results / "sweeps.yml")
    (results / "sweeps.yml").write_text(yaml.safe_dump({"phase": entries["phase"]}))
    source = (ROOT / "notebooks/phase.ipynb").read_text()
    mistaken = source.replace(right.replace('"', '\\"'), wrong.replace('"', '\\"'))
    assert mistaken != source
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/phase.ipynb").write_text(mistaken)
    ran = checked(tmp_path)
    assert ran.returncode == 1
    assert "phase, {'overlap': " in ran.stderr and "metrics.runs." in ran.stderr
