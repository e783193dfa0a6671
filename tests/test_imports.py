"""What is imported when, what is public, and what an error says where a package is missing."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

import partsrep
from partsrep import lazy

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "matplotlib", "dask", "distributed", "papermill", "skimage", "IPython"}
#: In a fresh interpreter; `note(label)` is told after each step.
NMF_ALONE = """
import numpy as np
from partsrep import NMF, certificate, choose_n_components, compare, encodability, verdict
note("import")
from partsrep.progress import bar
bar(total=2).close()  # as of a fit that takes long
note("a bar")
D = np.random.RandomState(0).uniform(size=(30, 12))
a, b = (NMF(3, random_state=seed).fit(D) for seed in (0, 1))
note("NMF")
result = compare(a, b, D)
result.table(), result.amortisation_gap
note("compare")
encodability(a.components_.T, a.transform(D))
note("encodability")
verdict(D, NMF(3), NMF(3), seeds=2)
note("verdict")
choose_n_components(D, [2, 3]).table()
note("choose_n_components")
from partsrep import datasets, load, presets, save
save(a, path), load(path), datasets.load("digits"), datasets.load("planted")
note("data and files")
for preset in presets.FACTORIZATIONS.values():
    preset(3).set_params(max_iter=2, random_state=0).fit(D).transform(D)
presets.like(a), presets.catalogue()
note("presets")
"""
#: What needs an extra, and the extra.
NEEDS = {
    "partsrep.SAE(2).fit(D)": 'SAE needs torch: pip install "partsrep[sae]"',
    "partsrep.certificate(a, D)": 'SAE needs torch: pip install "partsrep[sae]"',
    "result.plot()": 'A plot needs matplotlib: pip install "partsrep[plots]"',
    "partsrep.figures": 'A plot needs matplotlib: pip install "partsrep[plots]"',
    "partsrep.datasets.load('faces')": 'This data set needs skimage: pip install "partsrep[data]"',
    "import_module('partsrep.runs')": "The command partsrep needs distributed: "
    'pip install "partsrep[runs]"',
    "import_module('partsrep.__main__')": "The command partsrep needs distributed: "
    'pip install "partsrep[runs]"',
}


def in_a_fresh_interpreter(script: str, folder: Path) -> dict:
    """The JSON that a script prints last; its ``path`` lies in a folder."""
    script = f"path = {str(folder / 'model.safetensors')!r}\n{script}"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert not ran.returncode, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_what_knows_nmf_alone_imports_no_more(tmp_path):
    found = in_a_fresh_interpreter(
        f"import json, sys\nheavy, found = {HEAVY}, {{}}\n"
        "def note(label):\n    found[label] = sorted(heavy & set(sys.modules))\n"
        + NMF_ALONE
        + "result.plot()\nnote('plot')\ncertificate(a, D)\nnote('certificate')\n"
        "print(json.dumps(found))",
        tmp_path,
    )
    # The last two show that the names are those that are imported in the end.
    assert found.pop("plot") == ["matplotlib"]
    assert found.pop("certificate") == ["matplotlib", "torch"]
    assert len(found) == 9 and not any(found.values()), found


def test_a_missing_package_is_named_with_its_extra(tmp_path):
    missing = {name for _, packages in lazy.EXTRAS.values() for name in packages} | HEAVY
    missing -= {"cloudpickle"}  # scikit-learn may need it too
    found = in_a_fresh_interpreter(
        f"import json, sys\nmissing, found = {missing}, {{}}\n"
        "from importlib.machinery import PathFinder\n"
        "there = PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        "    if name.partition('.')[0] not in missing:\n"
        "        return there(name, path, target)\n"
        "PathFinder.find_spec = find_spec\n"
        "note = print\n"
        + NMF_ALONE
        + "import partsrep\nfrom importlib import import_module\n"
        + f"for code in {list(NEEDS)}:\n"
        "    try:\n        eval(code)\n"
        "    except ImportError as error:\n        found[code] = str(error)\n"
        "print(json.dumps(found))",
        tmp_path,
    )
    assert found == NEEDS


def test_public_names_are_what_they_say():
    named = {}
    exec("from partsrep import *", named)
    del named["__builtins__"]
    assert set(named) == set(partsrep.__all__) <= set(dir(partsrep))
    for name, value in named.items():
        home = partsrep if isinstance(value, ModuleType) else sys.modules[value.__module__]
        assert value is getattr(home, name) is getattr(partsrep, name)


@pytest.mark.parametrize("name", ["nmf", "Lazy", "__path_of_nothing__"])
def test_other_names_are_no_attributes(name):
    with pytest.raises(AttributeError, match=f"module 'partsrep' has no attribute {name!r}"):
        getattr(partsrep, name)


def test_a_lazy_module_is_the_module():
    assert lazy.torch.Tensor is __import__("torch").Tensor
    assert lazy.matplotlib.figure is sys.modules["matplotlib.figure"]  # not imported by matplotlib
    with pytest.raises(ImportError, match=r"torch\.nothing"):
        _ = lazy.torch.nothing


def test_extras_bring_what_the_errors_promise_and_all_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    distributions = packages_distributions()
    for extra, (_, packages) in lazy.EXTRAS.items():
        for package in packages:
            assert {name.lower() for name in distributions[package]} & set(extras[extra]), package
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    needed = [*project["dependencies"], *(name for names in extras.values() for name in names)]
    needed = {name.split("<")[0].split(">")[0] for name in needed if "partsrep" not in name}
    assert needed <= pinned
