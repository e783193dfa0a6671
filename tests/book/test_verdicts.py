"""The verdict on problems whose answer is known: what the records say, and three of them anew."""

from pathlib import Path

import pytest

from partsrep.runs import results, sweep

ROOT = Path(__file__).parents[2]
RECORDS = results(ROOT / "book/results/verdicts.jsonl")
OPEN = {"dense parts", "rotated copies", "one part too many", "no pure sample", "co-active blocks"}
BROKEN = {"free decoder", "k too small"}
ONE_OF_EACH = {"exact": "agree", "rotated copies": "undetermined", "free decoder": "disagree"}


def opposite(records):
    """Where one of the two words is agree and the other disagree."""
    return (records["verdict"] != records["expected"]) & (
        records[["verdict", "expected"]] != "undetermined"
    ).all(axis=1)


def test_they_are_many_and_their_answers_are_those_of_their_kinds():
    assert len(RECORDS) > 200 and RECORDS["error"].isna().all()
    assert RECORDS.groupby("kind").size().nunique() == 1
    for kind, group in RECORDS.groupby("kind"):
        known = "undetermined" if kind in OPEN else "disagree" if kind in BROKEN else "agree"
        assert set(group["expected"]) == {known}, kind


def test_at_most_five_percent_are_wrong():
    wrong = RECORDS[RECORDS["verdict"] != RECORDS["expected"]]
    assert len(wrong) <= 0.05 * len(RECORDS)
    assert "undetermined" in set(RECORDS["verdict"]) and not opposite(wrong).any()


def test_without_chance_or_other_parts_more_are_wrong():
    wrong = {name: (RECORDS[name] != RECORDS["expected"]).sum() for name in ("alone", "bare")}
    assert min(wrong.values()) > 2 * (RECORDS["verdict"] != RECORDS["expected"]).sum()


def test_a_verdict_follows_from_the_numbers_beside_it():
    """The rule, written once more."""
    for row in RECORDS.itertuples():
        own = row.seed_mcc - row.chance
        held = row.lowest - row.chance >= 0.95 * (1 - row.chance)
        assert held == (row.replaceable == 0)
        if not held or own <= 0.02 or own < 0.5 * (1 - row.chance) or row.low <= 0.8 <= row.high:
            known = "undetermined"
        else:
            known = "agree" if row.low > 0.8 else "disagree"
        assert row.verdict == known


@pytest.mark.slow
def test_three_come_out_again(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    points = [{"kind": kind, "seed": 100, "records": ""} for kind in ONE_OF_EACH]
    sweep("notebooks/verdicts.ipynb", {"list": points}, tmp_path, workers=1)
    found = results(tmp_path).set_index("kind")["verdict"]
    assert found.to_dict() == ONE_OF_EACH
