import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from partsrep import datasets
from partsrep.datasets.files import FILES, File, locate

CONTENT = b"the bytes of a public file"

FIRST_FILE = {
    "mnist": "mnist/train-images-idx3-ubyte.gz",
    "fashion-mnist": "fashion-mnist/train-images-idx3-ubyte.gz",
    "cbcl": "faces/CBCL.mat",
    "orl": "faces/orl_faces_112x92.npz",
    "olivetti": "faces/olivettifaces.mat",
    "reuters": "text/reuters.mat",
    "20newsgroups": "text/20newsgroups.mat",
    "pcawg": "mutations/WGS_PCAWG.96.csv",
    "samson": "hyperspectral/Samson.mat",
    "jasper": "hyperspectral/jasperRidge2_R198.mat",
}


def a_file(**changed):
    known = {
        "path": "sets/a.bin",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "source": "somewhere public",
        "licence": "be kind",
    }
    return File(**known | changed)


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(no_data, tmp_path, monkeypatch):
    monkeypatch.setenv("PARTSREP_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves the folder `public` on this machine; yields its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    put(tmp_path / "public" / "a.bin")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "public")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("relative", ["sets/a.bin", "a.bin"])
def test_a_file_is_found_by_relative_path_or_bare_name(folder, relative):
    path = put(folder / relative)
    assert locate(a_file()) == path


def test_a_file_is_found_in_the_cache(no_data):
    path = put(Path(pooch.os_cache("partsrep")) / "sets/a.bin")
    assert locate(a_file()) == path


def test_a_damaged_file_is_named_with_both_sums_and_what_to_do(folder):
    path = put(folder / "sets/a.bin", CONTENT[:-1])
    with pytest.raises(ValueError) as error:
        locate(a_file())
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    for part in (str(path), found, a_file().sha256, "Remove it", "somewhere public", "be kind"):
        assert part in str(error.value)


def test_a_damaged_copy_does_not_hide_a_good_one(folder):
    put(folder / "sets/a.bin", b"damaged")
    path = put(Path(pooch.os_cache("partsrep")) / "sets/a.bin")
    assert locate(a_file()) == path


def test_another_sets_file_of_the_same_name_is_not_a_damaged_one(folder, monkeypatch):
    put(folder / "a.bin", b"of the other set")
    other = a_file(path="others/a.bin", sha256=hashlib.sha256(b"of the other set").hexdigest())
    monkeypatch.setitem(FILES, other.path, other)
    with pytest.raises(FileNotFoundError):
        locate(a_file())


def test_a_missing_file_is_described(folder):
    with pytest.raises(FileNotFoundError) as error:
        locate(a_file())
    cache = Path(pooch.os_cache("partsrep"))
    for part in (
        "a.bin",
        a_file().sha256,
        "somewhere public",
        "be kind",
        str(folder / "sets/a.bin"),
        str(cache / "sets/a.bin"),
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("name", FIRST_FILE)
def test_every_named_set_without_its_file_says_what_to_put_where(no_data, name):
    file = FILES[FIRST_FILE[name]]
    with pytest.raises(FileNotFoundError) as error:
        datasets.load(name)
    cache = Path(pooch.os_cache("partsrep"))
    for part in (
        Path(file.path).name,
        file.sha256,
        "PARTSREP_DATA",
        file.path,
        str(cache / file.path),
        file.source,
        file.licence,
    ):
        assert part in str(error.value)
    assert ("The download failed" in str(error.value)) == (file.url is not None)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_public_file_is_downloaded_once_into_the_cache(no_data, server, tmp_path):
    file = a_file(url=f"{server}/a.bin")
    path = locate(file)
    assert path == Path(pooch.os_cache("partsrep")) / "sets/a.bin"
    assert path.read_bytes() == CONTENT
    (tmp_path / "public" / "a.bin").unlink()
    assert locate(file) == path


def test_a_public_file_is_downloaded_into_the_folder_that_is_named(folder, server):
    assert locate(a_file(url=f"{server}/a.bin")) == folder / "sets/a.bin"


def test_an_address_that_answers_with_an_error_counts_as_missing(no_data, server):
    with pytest.raises(FileNotFoundError, match="The download failed: 404"):
        locate(a_file(url=f"{server}/b.bin"))


def test_a_download_of_other_content_is_refused_and_not_kept(no_data, server, tmp_path):
    put(tmp_path / "public" / "a.bin", b"something else")
    with pytest.raises(ValueError, match=a_file().sha256):
        locate(a_file(url=f"{server}/a.bin"))
    assert not [path for path in Path(pooch.os_cache("partsrep")).rglob("*") if path.is_file()]
