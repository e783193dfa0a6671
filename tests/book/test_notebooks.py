"""The notebooks as they are kept in git, and the template of a new one: one form for all."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from tiny_book import TEMPLATE

from partsrep.runs.kernels import execute

ROOT = Path(__file__).parents[2]
NOTEBOOKS = [*sorted(ROOT.glob("notebooks/*.ipynb")), TEMPLATE]
pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def tagged(path, tag):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


def prose(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_a_page_asks_answers_and_ends_with_its_limits(path):
    head, *rest = prose(path)
    order = r"# [^\n]+\n\n\*\*Question\.\*\*\s.+\n\n\*\*Answer\.\*\*\s"
    assert re.match(order, head, re.DOTALL), "a title, its question and its answer come first"
    text = "\n".join(rest)
    assert re.search(r"^## Limits", text, re.MULTILINE)
    assert re.search("Exercise|Predict", text), "and something is left to do"


def test_each_statement_has_its_proof(path):
    kinds = re.findall(
        r"\{prf:(theorem|proposition|corollary|lemma|proof)\}", "\n".join(prose(path))
    )
    assert kinds[1::2] == ["proof"] * (len(kinds) // 2) and "proof" not in kinds[::2]


def test_a_figure_has_a_name_a_caption_and_words_for_who_does_not_see_it(path):
    cells = nbformat.read(path, as_version=4).cells
    shown = [cell.metadata["mystnb"] for cell in cells if "mystnb" in cell.metadata]
    figures = [one for one in shown if "figure" in one]
    assert figures
    for one in figures:
        assert one["figure"]["name"] and one["figure"]["caption"] and one["image"]["alt"]


def test_one_typed_parameters_cell(path):
    [cell] = tagged(path, "parameters")
    lines = ast.parse(cell.source).body
    assert all(isinstance(line, ast.AnnAssign) for line in lines), "write name: type = value"
    values = {line.target.id: ast.literal_eval(line.value) for line in lines}
    types = {line.target.id: line.annotation.id for line in lines}
    assert types.items() >= {"seed": "int", "n_components": "int", "record_path": "str"}.items()
    assert {name: type(value).__name__ for name, value in values.items()} == types
    assert values["record_path"] == "", "by default nothing is written"
    assert cell.source.count("  # ") == len(lines), "each parameter is explained by a comment"


def test_check_cells_hold_what_nbval_compares(path):
    cells = tagged(path, "nbval-check-output")
    assert cells
    for cell in cells:
        assert "keep_output" in cell.metadata.tags, "nbstripout would empty it"
        assert cell.outputs and cell.execution_count, "nbval would skip it without a word"
        assert all(output.output_type == "stream" for output in cell.outputs), "text only"


def test_nothing_else_is_stored(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.kernelspec.language == "python", "papermill asks for it"
    assert "language_info" not in notebook.metadata
    for cell in notebook.cells:
        assert "execution" not in cell.metadata
        if "keep_output" not in cell.metadata.get("tags", []):
            assert not cell.get("outputs")


def test_a_page_shows_little_code(path):
    hidden = {"hide-input", "hide-cell", "remove-cell"}
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    shown = [cell for cell in code if not hidden & set(cell.metadata.get("tags", []))]
    assert tagged(path, "parameters")[0] in shown
    assert sum(len(cell.source.splitlines()) for cell in shown) <= 40
    assert all("hide-cell" in cell.metadata.tags for cell in tagged(path, "nbval-check-output"))
    [record] = [cell for cell in code if re.search(r"(keep|write)_record\(", cell.source)]
    assert "remove-cell" in record.metadata.get("tags", [])


def test_what_is_shown_teaches(path):
    """Beside the parameters a page shows some code, and none of it is plumbing."""
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    shown = [c.source for c in code if set(c.metadata.get("tags", [])) <= {"parameters"}][1:]
    assert shown
    plumbing = r"^(?:import|from) |glue_all\(|claim\(|_record\(|allow_short_fits"
    assert not re.findall(plumbing, "\n".join(shown), re.MULTILINE)


def test_plumbing_is_one_short_call(path):
    if path.stem == "two_methods":
        pytest.skip("its published records carry the hash of its code")
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    assert "ConvergenceWarning" not in code, "allow_short_fits()"
    assert "parameters = {" not in code, "keep_record(metrics) finds them"
    assert not re.findall(r"\.style\.|\.round\(\d*\)$|set_option", code, re.MULTILINE), "styled(…)"


# In the place of nine parts, and of much data or work in what takes long: nbval runs the defaults.
OTHERS = {
    "activations": {"n_samples": 120, "max_epochs": 5, "seeds": 2, "steps": 40},
    "allocation": {"n_samples": 100, "n_starts": 1, "max_epochs": 10},
    "chain": {"n_samples": 60, "seeds": 2},
    "encodability": {"n_samples": 80, "repeats": 2, "n_starts": 1},
    "family": {"data": "bars", "n_components": 5},
    "few_samples": {"n_components": 4, "draws": 2},
    "free_decoder": {"n_samples": 60, "seeds": 2},
    "gallery": {"n_components": 3, "seeds": 1},
    "kl": {"n_samples": 100, "epochs": 20},
    "networks": {"n_components": 4, "n_samples": 100},
    "nmf": {"seeds": 2},
    "nnsae_ncae": {"n_samples": 300, "steps": 2000, "iterations": 10},
    "noise": {"n_samples": 150, "draws": 20, "n_starts": 1},
    "number_of_parts": {"n_samples": 100, "most": 12, "tried": 3, "repeats": 2, "seeds": 2},
    "prediction": {"n_components": 4, "n_samples": 80, "seeds": 4},
    "real_data": {"n_components": 4, "n_samples": 60},
    "registered": {"n_components": 3, "matrix": "planted n_samples=60 n_parts=3 noise=0.1"},
    "report": {"n_components": 3, "seeds": 2},
    "sae": {"n_samples": 150, "max_epochs": 10},
    "signs_and_ties": {"n_samples": 60, "seeds": 2},
    "solvers": {"n_samples": 120, "iterations": 128, "seeds": 2},
    "sparsity": {"n_samples": 60, "n_starts": 1, "max_epochs": 5},
    "starts": {"seeds": 3},
    "training": {"n_samples": 100, "max_epochs": 20, "plain_steps": 20},
    "uniqueness": {"n_samples": 80, "seeds": 2},
    "vae": {"n_components": 4, "n_digits": 60, "iterations": 50},
    "walk": {"n_samples": 60, "max_epochs": 4, "seeds": 2},
}


@pytest.mark.slow
def test_runs_with_other_parameters(path, warm_kernel, tmp_path):
    record = tmp_path / "record.json"
    others = {"n_components": 9, "seed": 3} | OTHERS.get(path.stem, {})
    parameters = others | {"record_path": str(record)}
    execute(path, tmp_path / "out.ipynb", parameters, warm_kernel, cwd=tmp_path)
    assert json.loads(record.read_text())["parameters"].items() >= others.items()
