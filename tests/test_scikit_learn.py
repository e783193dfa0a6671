"""NMF in the place of scikit-learn's: its own tests, and none of its code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from problems import digits
from sklearn.decomposition import _cdnmf_fast, _nmf

import partsrep
from partsrep import NMF

OURS = Path(partsrep.__file__).parents[1]
#: They compare with MiniBatchNMF from nndsvda, whose zeros it fills with the mean of the data: a
#: start that changes with the data's unit. Ours does not.
OTHERWISE = {
    f"test_nmf_minibatchnmf_equivalence[{beta}]" for beta in (-0.5, 0, 0.5, 1, 1.5, 2, 2.5)
}


def test_every_other_item_of_scikit_learns_own_test_file_passes(tmp_path):
    run = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-rf",
                "--tb=no",
                "-c",
                os.devnull,
                "--rootdir",
                tmp_path,
            ),
            *("-p", "no:cacheprovider", "-p", "ours_as_scikit_learns"),
            *("--pyargs", "sklearn.decomposition.tests.test_nmf"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, OURS)))},
        capture_output=True,
        text=True,
    )
    summary = run.stdout.strip().splitlines()[-1]
    failed = set(re.findall(r"^FAILED .*?::(\S+)", run.stdout, flags=re.MULTILINE))
    assert failed == OTHERWISE, run.stdout[-3000:]
    counts = rf"{len(failed)} failed, {284 - len(failed)} passed\b(?!.*(skipped|xfailed))"
    assert re.match(counts, summary), summary


@pytest.mark.parametrize("settings", [{}, {"solver": "mu"}, {"init": "nndsvdar", "alpha_W": 0.01}])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_no_code_of_scikit_learns_nmf_runs(monkeypatch, settings, convert):
    def poison(*args, **kwargs):
        raise AssertionError("code of sklearn.decomposition._nmf ran")

    for module in (_nmf, _cdnmf_fast):
        own = [name for name, thing in vars(module).items() if callable(thing)]
        for name in own:
            if getattr(vars(module)[name], "__module__", "").startswith("sklearn.decomposition"):
                monkeypatch.setattr(module, name, poison)
    assert _nmf.NMF is poison and _cdnmf_fast._update_cdnmf_fast is poison
    D = convert(digits(80))
    nmf = NMF(4, random_state=0, tol=1e-3, **settings).fit(D)
    assert nmf.transform(D).shape == (80, 4)
