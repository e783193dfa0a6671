"""The package as others install it: built as a wheel, and used outside the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USE = """
import sys
from pathlib import Path
import partsrep
from partsrep import NMF, datasets, load, save
from partsrep.runs.records import SCHEMA
assert Path(partsrep.__file__).is_relative_to(sys.argv[1]), partsrep.__file__
D = datasets.load("bars", size=4, n_samples=50, seed=0).D
save(NMF(8, random_state=0).fit(D), "nmf.safetensors")
assert load("nmf.safetensors").transform(D).shape == (50, 8)
assert SCHEMA["type"] == "object"
from partsrep.runs.report import NOTEBOOK, STYLE
assert NOTEBOOK.is_file() and STYLE.is_file()
assert "faces/CBCL.mat" in datasets.files.FILES and datasets.gallery()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "to"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "partsrep", source / "partsrep", ignore=caches)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    [wheel] = wheels.iterdir()
    pip("install", "--target", str(target), str(wheel))
    return target


def pip(*arguments: str) -> None:
    """Without what it depends on, and without a network."""
    command = [sys.executable, "-m", "pip", *arguments, "--no-deps", "--no-index", "--quiet"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert not ran.returncode, ran.stderr


def used(installed: Path, folder: Path, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed)},
    )
    assert not ran.returncode, ran.stderr
    return ran.stdout


def test_the_package_works(installed, tmp_path):
    used(installed, tmp_path, "-c", USE, str(installed))


def test_the_command_works(installed, tmp_path):
    said = used(installed, tmp_path, "-m", "partsrep", "--help")
    assert "sweep" in said and "publish" in said


def test_nothing_but_the_package_is_installed(installed):
    names = {path.name.partition("-")[0] for path in installed.iterdir()}
    assert names == {"partsrep", "bin"}
    files = {path.suffix for path in (installed / "partsrep").rglob("*") if path.is_file()}
    assert files - {".pyc"} == {".css", ".ipynb", ".json", ".py", ".toml"}
