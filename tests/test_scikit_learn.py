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

from partsrep import NMF


def test_every_item_of_scikit_learns_own_test_file_passes(tmp_path):
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path),
            *("-p", "no:cacheprovider", "-p", "ours_as_scikit_learns"),
            *("--pyargs", "sklearn.decomposition.tests.test_nmf"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    summary = run.stdout.strip().splitlines()[-1]
    assert run.returncode == 0, run.stdout[-3000:]
    assert re.match(r"284 passed\b(?!.*(skipped|xfailed|failed))", summary), summary


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
