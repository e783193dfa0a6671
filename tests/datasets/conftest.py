import pytest


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """A machine without a data file: no folder, an empty cache, and no way to download."""
    monkeypatch.delenv("PARTSREP_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
