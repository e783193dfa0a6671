"""The decision tree: each of its ends rests on a claim, and its code runs."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TREE = (ROOT / "book/which.md").read_text()
ENDS = TREE.split('<p class="tree-end">')[1:]
ASKED = "NMF", "an SAE", "either", "obody can tell"


def code_of(end):
    return re.search("```python\n(.*?)```", end, re.DOTALL)[1]


def test_every_way_leads_to_an_end_and_all_ends_are_there():
    leaves = re.findall(r"<details class=\"tree\">(?:(?!<details).)*?</details>", TREE, re.DOTALL)
    assert len(leaves) == len(ENDS) and all("tree-end" in leaf for leaf in leaves)
    assert TREE.count("<details") == TREE.count("</details>")
    assert all(any(word in end for end in ENDS) for word in ASKED)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.partition(".")[0][:40])
def test_an_end_has_a_claim_and_at_most_twelve_lines_that_run(end):
    claims = yaml.safe_load((ROOT / "book/ledger.yml").read_text())
    named = set(re.findall(r"ledger\.html#(t\d+)", end))
    assert {name.upper() for name in named} <= set(claims)
    assert named or "begin again" in end
    code = code_of(end)
    assert len([line for line in code.splitlines() if line]) <= 12
    exec(compile(code, "which.md", "exec"), {})
