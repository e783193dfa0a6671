import hashlib

import numpy as np
import pytest

from partsrep.datasets.files import FILES, File


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """A machine without a data file: no folder, an empty cache, and no way to download."""
    monkeypatch.delenv("PARTSREP_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")


@pytest.fixture
def register(no_data, tmp_path, monkeypatch):
    """Lets a small file stand for a public one."""
    monkeypatch.setenv("PARTSREP_DATA", str(tmp_path))

    def put(path, write):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)
        sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
        monkeypatch.setitem(FILES, path, File(path, sha256, "here", "none"))

    return put


@pytest.fixture
def rng():
    return np.random.RandomState(0)
