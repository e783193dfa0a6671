"""Tables of the book: one line of heads, numbers under them, and each cell knows its head."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from partsrep import datasets
from partsrep.runs.notebook import styled

ROOT = Path(__file__).parents[2]
SPEC = spec_from_file_location("tidy_tables", ROOT / "book/_ext/tidy_tables.py")
tables = module_from_spec(SPEC)
SPEC.loader.exec_module(tables)


def tidied(html):
    return BeautifulSoup(tables.tidy(html), "html.parser").table


def rows(table):
    return [
        [cell.get_text(strip=True) for cell in row.find_all(["th", "td"])]
        for row in table.find_all("tr")
    ]


INDEX = pd.MultiIndex.from_product([["digits", "faces"], ["NMF", "SAE"]], names=["data", "method"])


def test_names_of_rows_stand_in_the_one_line_of_heads():
    table = tidied(styled(pd.DataFrame({"loss": [1, 2, 3, 4]}, index=INDEX), "loss").to_html())
    assert rows(table)[0] == ["data", "method", "loss"]


def test_a_row_of_a_group_is_complete():
    table = tidied(styled(pd.DataFrame({"loss": [1, 2, 3, 4]}, index=INDEX), "loss").to_html())
    assert rows(table)[1:] == [
        [data, method, f"{loss}.0000"] for (data, method), loss in zip(INDEX, "1234", strict=True)
    ]
    again = [cell.get_text() for cell in table.select(".again")]
    assert again == ["digits", "faces"]


@pytest.mark.parametrize(
    "entries, number",
    [
        (["0.98", "≤ 10⁻¹²", "2·10⁻⁵"], True),
        (["12.5%", "–", ""], True),
        (["0.987 ± 0.003", "1"], True),
        (["-3", "−3", "1e-05"], True),
        (["3 of 12", "4"], True),
        (["256 × 1024", "100 × 625"], True),
        (["yes", "no"], True),
        (["3 of them", "4"], False),
        (["H, X", "no"], False),
        (["–", "some words"], False),
        (["", ""], False),
    ],
)
def test_numbers_are_set_right_with_their_head(entries, number):
    cells = "".join(f"<tr><th>row</th><td>{entry}</td></tr>" for entry in entries)
    head = "<thead><tr><th></th><th>what</th></tr></thead>"
    table = tidied(f"<table>{head}<tbody>{cells}</tbody></table>")
    found = [cell.get_text() for cell in table.select(".number")]
    assert found == (["what", *entries] if number else [])


def test_many_columns_are_set_closer():
    frame = pd.DataFrame({f"a column, number {i}": {"NMF": 0.125} for i in range(8)})
    assert "crowded" in tidied(styled(frame, "score").to_html())["class"]
    assert "crowded" not in tidied(styled(frame.iloc[:, :3], "score").to_html())["class"]


def test_only_a_wide_table_becomes_cards():
    narrow = styled({"loss": {"NMF": 1.0}}, "loss").to_html()
    wide = styled(
        {"what happens, in words": {"signs": "a free decoder subtracts what it added"}}
    ).to_html()
    names = styled(
        {"verdict": {"agreement, which is one where NMF repeats itself": "undetermined"}}
    )
    assert "cards" not in tidied(narrow)["class"]
    assert "cards" not in tidied(names.to_html())["class"], "the names may break"
    assert "cards" in tidied(wide)["class"]
    assert tidied(wide).td["data-label"] == "what happens, in words"
    formula = wide.replace("what happens", r'<span class="math">\(X\)</span>')
    assert tidied(formula).td["data-label"] == "X , in words"


def test_the_rest_of_a_page_stays_as_it_was():
    context = {"body": "<p>a &lt; b</p>" + styled({"a": {"b": 1}}, "count").to_html() + "<p/>"}
    tables.tidy_page(None, None, None, context, None)
    assert context["body"].startswith("<p>a &lt; b</p>") and context["body"].endswith("<p/>")
    assert "<style" not in context["body"] and "T_" not in context["body"]


def test_named_formats():
    frame = pd.DataFrame({"n": [3.0], "loss": [-1e-9], "residual": [7e-31], "of": [None]}, [0.01])
    shown = styled(frame, {"n": "count", "loss": "loss", "residual": "residual", "of": "ratio"})
    assert rows(tidied(shown.to_html()))[1] == ["0.01", "3", "0.0000", "≤ 10⁻¹²", "–"]
    heads = styled(pd.DataFrame({0.125: [1], 0.5: [2]}, ["loss"]))
    assert rows(tidied(heads.to_html()))[0] == ["", "0.125", "0.5"]
    with pytest.raises(ValueError, match="no columns"):
        styled(frame, {"what": "count"})


def test_rows_without_names_show_none():
    assert rows(tidied(styled([{"start": "spa", "n": 1}], {"n": "count"}).to_html())) == [
        ["start", "n"],
        ["spa", "1"],
    ]


def test_every_table_of_the_book_is_tidy(html):
    for path in [*html.rglob("book/*.html"), *html.rglob("notebooks/*.html")]:
        page = BeautifulSoup(path.read_text(), "html.parser")
        for table in page.select(".bd-article table"):
            if table.thead:
                assert "tidy" in table.get("class", []), f"{path.stem}: {table.get_text()[:100]}"
                numbers = " ".join(cell.get_text() for cell in table.select("td.number"))
                assert not re.search(r"e[+-]\d\d|nan|NaN|\d\.\d{6}", numbers), f"{path}: {numbers}"


def test_readme_says_what_the_front_page_says():
    readme, front = (ROOT / name for name in ("README.md", "book/index.md"))
    readme, front = readme.read_text(), front.read_text()
    assert len(readme.splitlines()) <= 100
    answer = re.search(r"^\*\*.*?(?=\n\n)", front, re.MULTILINE | re.DOTALL)[0]
    title = re.search(r"^# .*", front, re.MULTILINE)[0]
    for sentence in (title, *answer.splitlines()):
        said = sentence.replace("this book", "the book") in readme or sentence in readme
        assert said, f"the front page says: {sentence}"
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).exists(), target


def test_readme_runs(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    assert 0.5 < names["result"].mcc <= 1


def test_a_file_of_ones_own_is_judged_in_five_lines(monkeypatch, tmp_path):
    page = (ROOT / "book/data.md").read_text()
    [methods] = re.findall(r"\| your data, .*?\n\n", (ROOT / "README.md").read_text(), re.DOTALL)
    assert methods in page
    monkeypatch.chdir(tmp_path)
    data = datasets.load("planted", n_parts=4, n_samples=60, seed=0)
    np.savetxt("mine.csv", data.D, delimiter=",")
    said = []
    names = {"print": said.append}
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    short = script.replace('nonnegative"))', 'nonnegative"), seeds=4)')  # of ten
    assert short != script
    exec(short, names)
    assert names["m"] == 4
    assert [type(one).__name__ for one in said] == ["Verdict", "Certificate"]
    assert said[0].agree is True
