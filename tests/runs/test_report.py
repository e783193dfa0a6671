"""A report as a user asks for it: what it leaves and refuses; a stop leaves nothing."""

import json
import re
import signal
import subprocess
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup

from partsrep import datasets, load
from partsrep.progress import progress
from partsrep.runs import report
from partsrep.runs.book import script
from partsrep.runs.parameters import RunError
from partsrep.runs.report import axis_of, opened, page, top_features, write_report

GIVEN = {
    "n_components": 2,
    "decoder": "nonnegative",
    "k": 0,
    "image_shape": "",
    "seeds": 2,
    "seed": 0,
}
NAMES = [f"word{i}" for i in range(6)]


def table(folder):
    """A small table, D = H Xᵀ of two parts on three features each, with names."""
    rng = np.random.RandomState(0)
    H = rng.uniform(0.2, 1, (40, 2)) * (rng.uniform(size=(40, 2)) < 0.6)
    D = H @ np.kron(np.eye(2), [[1, 2, 3]])
    rows = [f"doc{i}," + ",".join(map(str, row)) for i, row in enumerate(D)]
    path = folder / "words.csv"
    path.write_text("\n".join([",".join(["", *NAMES]), *rows]))
    return path, D


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report that the command has made over an older one, and what it said."""
    folder = tmp_path_factory.mktemp("report")
    path, D = table(folder)
    (folder / "out").mkdir()
    (folder / "out/report.json").write_text("{}")
    (folder / "out/older").write_text("")
    command = [script("partsrep"), "report", path.name, "--out", "out", "--seeds", "2"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return folder, D, ran


def test_exact_planted_parts_are_counted_and_agree(made):
    folder, _, ran = made
    numbers = json.loads((folder / "out/report.json").read_text())
    assert numbers["n_components"] == 2 and numbers["agree"] is True
    assert numbers["mcc"] > 0.999 > numbers["chance"] and numbers["seed_mcc"] > 0.999
    assert numbers["excess"] is None and numbers["predicted_excess"] == [None, None], "exact"
    assert numbers["deciding_condition"] == "none" and numbers["recommendation"] == "either"
    assert ran.stdout.strip().endswith("out/report.html")
    assert re.search(r"about \d+ s from here on", ran.stderr)


def test_the_folder_is_whole_and_the_older_report_is_gone(made):
    folder, D, _ = made
    assert {path.name for path in folder.iterdir()} == {"words.csv", "out"}
    assert {path.name for path in (folder / "out").iterdir()} == {
        *("report.html", "report.json", "report.ipynb", "codes_and_parts.npz"),
        *(f"{name}{end}" for name in ("nmf", "sae") for end in ENDS),
    }
    arrays = np.load(folder / "out/codes_and_parts.npz")
    nmf = load(folder / "out/nmf.safetensors")
    np.testing.assert_allclose(arrays["nmf_codes"] @ arrays["nmf_parts"], D, atol=1e-3)
    np.testing.assert_array_equal(arrays["nmf_codes"], nmf.transform(D))
    lines = (folder / "out/nmf_codes.csv").read_text().splitlines()
    assert lines[0] == "sample,1,2" and lines[1].startswith("doc0,") and len(lines) == 41
    assert (folder / "out/sae_parts.csv").read_text().startswith("part,word0,")


ENDS = ".safetensors", "_codes.csv", "_parts.csv"


def test_the_page_needs_nothing_else_and_answers_first(made):
    folder, *_ = made
    text = (folder / "out/report.html").read_text()
    shown = BeautifulSoup(text, "html.parser")
    assert shown.select_one("h1").get_text() == "words.csv: use either"
    assert not shown.select("script, link, img, iframe")
    assert not re.search(r"(?:src|href)=\"(?!#|data:)|url\((?!#)|@import", text)
    assert shown.select_one("meta[name=viewport]") and "prefers-color-scheme: dark" in text
    assert len(shown.select("figure svg")) >= 5
    order = [one.get_text() for one in shown.select("h2")]
    assert order.index("What is foretold") < order.index("What came out")
    words = shown.get_text()
    assert "word2, word1, word0" in words and "random_state=0" in words
    assert "glue" not in words and "Error" not in words


def test_the_notebook_beside_it_has_run_and_names_no_folder_of_its_own(made):
    folder, *_ = made
    executed = nbformat.read(folder / "out/report.ipynb", as_version=4)
    assert executed.metadata.papermill["parameters"]["out"] == ""
    assert "partsrep-report-" not in (folder / "out/report.ipynb").read_text()
    code = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source]
    assert all(cell.execution_count for cell in code)


def test_a_stage_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(report, "EVERY", -1)
    with report.stages("out")("Training"):
        list(progress(range(4), "fits"))
    list(progress(range(4), "else"))
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.endswith("s  Training ...")
    assert [re.sub(r" +\d+ s    ", "", line) for line in rest] == [
        f"fits: {done} of 4, about 0 s for the rest" for done in (1, 2, 3)
    ]


@pytest.mark.usefixtures("heard_sigint")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_report_leaves_nothing(how, tmp_path):
    path, _ = table(tmp_path)
    command = [script("partsrep"), "report", path.name, "--parts", "2", "--out", "out"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            if "Predicting" in line:
                break
        running.send_signal(how)
        rest = running.stderr.read()
    assert running.returncode == (130 if how == signal.SIGINT else -9)
    assert how == signal.SIGKILL or "Nothing is kept" in rest
    assert [path.name for path in tmp_path.iterdir()] == ["words.csv"]


@pytest.mark.parametrize(
    ("content", "parameters", "message"),
    [
        ("a,b\n1,2\n3,nan\n", {}, r"row 2, column 2 \('b'\) is nan"),
        ("1,2\n", {}, "from one sample"),
        ("1\n2\n", {}, "from one feature"),
        ("0,0\n0,0\n", {}, "All entries are 0"),
        ("", {}, "is empty"),
        ("a,b\nx,y\nz,w\n", {}, "is not a number"),
        ("1,2\n3,4\n", {"image_shape": "3x3"}, "height x width with 2 pixels"),
        ("1,2\n3,4\n", {"decoder": "none"}, "take one of nonnegative, free"),
        ("1,2\n3,4\n", {"k": 3}, "needs at least 3 parts, but n_components=2"),
    ],
)
def test_what_is_wrong_with_data_is_said_and_nothing_is_left(
    content, parameters, message, tmp_path
):
    path = tmp_path / "own.csv"
    path.write_text(content)
    with pytest.raises(RunError, match=message):
        write_report(str(path), tmp_path / "out", GIVEN | parameters)
    assert [path.name for path in tmp_path.iterdir()] == ["own.csv"]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    path, _ = table(tmp_path)
    with pytest.raises(RunError, match="holds no report"):
        write_report(str(path), tmp_path, GIVEN)
    with pytest.raises(RunError, match="There is no folder"):
        write_report(str(path), tmp_path / "not/there", GIVEN)


def test_the_command_says_what_is_wrong(tmp_path):
    command = [script("partsrep"), "report", "absent.csv", "--out", "out"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (2, "absent.csv: there is no such file.\n")


def test_data_come_by_name_too_and_with_a_shape():
    assert opened("bars").image_shape == datasets.load("bars").image_shape
    assert opened("bars", "4x16").image_shape == (4, 16)


def test_features_are_named_and_numbers_along_an_axis_are_known():
    assert top_features(np.array([[1.0, 3, 0]]), ["a", "b", "c"]) == ["b, a"]
    assert top_features(np.array([[1.0, 3, 0]]), None) == ["2, 1"]
    assert axis_of(["400.5", "401"]).tolist() == [400.5, 401]
    assert axis_of(["2", "1"]) is None and axis_of(["a", "b"]) is None and axis_of(None) is None


def test_what_a_cell_shows_is_escaped():
    made = SimpleNamespace(
        cell_type="code",
        metadata={},
        outputs=[SimpleNamespace(output_type="display_data")],
    )
    made.outputs[0].get = {"data": {"text/plain": "<script>"}}.get
    assert "<script>" not in page(SimpleNamespace(cells=[made]))
