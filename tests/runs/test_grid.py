"""A grid file: what points it makes, and what it says when it is wrong."""

import json
import math

import nbformat
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tiny import write
from typer.testing import CliRunner

from partsrep.__main__ import app
from partsrep.runs import RunError, points
from partsrep.runs.grid import combine

PARAMETERS = """\
seed: int = 0  # of every draw
noise: float = 0.0  # of the data
data: str = "planted"  # a name
fast: bool = True  # or slow
sizes: list = [1, 2]  # of layers
k = 3  # without a type
any = None  # of whatever kind
record_path: str = ""  # where to write a record"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    return write(tmp_path_factory.mktemp("grid") / "tiny.ipynb", parameters=PARAMETERS)


def test_the_simplest_grid(notebook, tmp_path):
    (tmp_path / "grid.yml").write_text("grid: {seed: [0, 1, 2], noise: [0.0, 0.1]}")
    found = points(tmp_path / "grid.yml", notebook)
    assert [(point["seed"], point["noise"]) for point in found] == [
        (seed, noise) for seed in (0, 1, 2) for noise in (0.0, 0.1)
    ]
    rest = {"data": "planted", "fast": True, "sizes": [1, 2], "k": 3, "any": None}
    assert all(point.items() >= rest.items() for point in found)
    assert not any("record_path" in point for point in found)


def test_every_section_multiplies():
    grid = yaml.safe_load("""
        grid: {data: planted, noise: [0.0, 0.1]}
        zip: {a: [1, 2, 3], b: [4, 5, 6]}
        list: [{c: 1}, {c: 2}]
        random: {count: 4, seed: 7, u: {uniform: [2.0, 3.0]}, n: {integers: [1, 2]}}
        seeds: 5
    """)
    found = combine(grid)
    assert len(found) == 2 * 3 * 2 * 4 * 5
    assert {(point["a"], point["b"]) for point in found} == {(1, 4), (2, 5), (3, 6)}
    assert {point["seed"] for point in found} == set(range(5))
    assert {point["data"] for point in found} == {"planted"}


@given(
    count=st.integers(1, 30),
    seed=st.integers(0, 2**31),
    low=st.floats(0.001, 10),
    width=st.floats(0, 10),
)
def test_random_draws_come_from_the_seed_and_keep_their_bounds(count, seed, low, width):
    bounds = [low, low + width]
    whole = [int(low), int(low) + int(width)]
    section = {
        "count": count,
        "seed": seed,
        "u": {"uniform": bounds},
        "l": {"loguniform": bounds},
        "i": {"integers": whole},
        "c": {"choice": ["x", "y"]},
    }
    found = combine({"random": section})
    assert found == combine({"random": section})
    assert len(found) == count
    for point in found:
        assert bounds[0] <= point["u"] <= bounds[1]
        assert math.isclose(point["l"], min(max(point["l"], bounds[0]), bounds[1]))
        assert whole[0] <= point["i"] <= whole[1]
        assert point["c"] in ("x", "y")


def test_integers_reach_both_bounds():
    found = combine({"random": {"count": 200, "i": {"integers": [1, 3]}}})
    assert {point["i"] for point in found} == {1, 2, 3}


def test_whole_numbers_are_floats_where_floats_are_wanted(notebook):
    [point] = points({"grid": {"noise": 1}}, notebook)
    assert type(point["noise"]) is float
    with pytest.raises(RunError, match="Points 1 and 2 are equal"):
        points({"grid": {"noise": [0, 0.0]}}, notebook)


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("{}", "empty; the simplest"),
        ("", "empty; the simplest"),
        ("[1, 2]", "empty; the simplest"),
        ("grid: {}", "section 'grid' holds parameters with their values"),
        ("grid: {seed: []}", "section 'grid' holds parameters with their values"),
        ("seeds: 0", "section 'seeds' holds a number"),
        ("list: []", "section 'list' holds a list"),
        ("random: {count: 0, noise: {uniform: [0, 1]}}", "holds a count"),
        ("seed: [0, 1]", "no section 'seed'; its sections are grid, zip, list, random, seeds"),
        ("grid: {sead: [0]}", "no parameter 'sead'; it has seed: int = 0, noise: float = 0.0"),
        ("grid: {seed: [0.5]}", "seed must be an int, not 0.5"),
        ("grid: {seed: [true]}", "seed must be an int, not True"),
        ("grid: {fast: [1]}", "fast must be a bool, not 1"),
        ("grid: {noise: [1:30]}", "noise must be a float, not '1:30'.$"),
        ("grid: {noise: [1_0.5]}", "noise must be a float, not '1_0.5'.* text: write 10.5"),
        ("grid: {seed: [1_000]}", "seed must be an int, not '1_000'.* text: write 1000"),
        ("grid: {seed: [1e3]}", "seed must be an int, not 1000.0"),
        ("grid: {fast: [no]}", "fast must be a bool, not 'no'.* write true or false"),
        ("grid: {k: [off]}", "k must be an int"),
        ("grid: {noise: [.nan]}", "noise must be a float, not nan"),
        ("grid: {data: [3]}", "data must be a str, not 3"),
        ("grid: {sizes: [3]}", "sizes must be a list, not 3"),
        ("grid: {k: [x]}", "k must be an int, not 'x'"),
        ("grid: {record_path: [x]}", "record_path is set by the sweep"),
        ("grid: {seed: [0, 1, 0]}", "Points 1 and 3 are equal"),
        ("{grid: {seed: [0, 1]}, seeds: 2}", "seed is set by 'grid' and by 'seeds'"),
        ("zip: {seed: [0, 1], noise: [0.0]}", "lists of equal length.*noise"),
        ("zip: {seed: 1}", "lists of equal length"),
        ("list: [{seed: 0}, {noise: 0.1}]", "points that set the same parameters.*seed.*noise"),
        ("list: {seed: 0}", "a list of points"),
        ("seeds: many", "a number of seeds, or a list"),
        ("random: {count: 2, noise: {normal: [0, 1]}}", "noise is drawn by uniform or loguniform"),
        ("random: {count: 2, noise: {uniform: [1, 0]}}", r"\[low, high\].*got {'(log)?uniform'"),
        ("random: {count: 2, noise: {loguniform: [0, 1]}}", r"\[low, high\].*got {'(log)?uniform'"),
        ("random: {count: 2, noise: 0.1}", "noise is drawn by uniform or loguniform"),
        ("grid: [1]", "parameters with their values"),
        ("grid: {seed: [0, 1}", "is not YAML"),
        ("grid: {noise: [0], seed: [1, 2], noise: [1]}", "the key 'noise' comes twice"),
        ("seeds: 2\nseeds: 3", "the key 'seeds' comes twice"),
        ("grid: {any: [!!timestamp 2020-01-01]}", 'any must be .*in quotes: "2020-01-01"'),
        ("grid: {seed: [2020-01-01]}", "seed must be an int, not '2020-01-01'"),
        ("grid: {sizes: [[[.inf]]]}", "sizes must be a list.*Out of range float"),
        ("grid: {any: [{a: {b: .nan}}]}", "any must be .*Out of range float"),
        ("grid: {any: [{1: 2}]}", "any must be .*JSON would make {'1': 2} of it"),
        ("zip: {any: [[.nan]]}", "not \\[nan\\]. JSON cannot"),
        ("list: [{any: [-.inf]}]", "not \\[-inf\\]. JSON cannot"),
        ("random: {count: 2, any: {choice: [.inf, .nan]}}", "not (inf|nan). JSON cannot"),
        ("seeds: [[.inf]]", "seed must be an int"),
        (f"grid: {{noise: [1{'0' * 400}]}}", "noise must be a float, not 1000"),
        (f"seeds: 1{'0' * 400}", "at most 10,000,000 points"),
        ("seeds: 1000000000000", "at most 10,000,000 points"),
        ("random: {count: 1000000000000, noise: {uniform: [0, 1]}}", "at most 10,000,000"),
        (f"random: {{count: 1{'0' * 400}, noise: {{uniform: [0, 1]}}}}", "at most 10,000,000"),
        ("random: {count: 2, seed: -1, noise: {uniform: [0, 1]}}", "a seed from 0"),
        (f"random: {{count: 2, seed: {2**70}, noise: {{uniform: [0, 1]}}}}", "a seed from 0"),
        ("random: {count: 2, noise: {uniform: [0, .inf]}}", "finite.*got {'uniform'"),
        ("random: {count: 2, noise: {uniform: [.nan, 1]}}", "finite.*got {'uniform'"),
        ("random: {count: 2, noise: {uniform: [-1.7e+308, 1.7e+308]}}", "finite.*got {'uniform'"),
        (f"random: {{count: 2, noise: {{uniform: [0, 1{'0' * 400}]}}}}", "finite.*got {'uniform'"),
        ("random: {count: 2, noise: {uniform: [a, b]}}", "finite.*got {'uniform'"),
        ("random: {count: 2, noise: {loguniform: [1, .inf]}}", "positive.*got {'loguniform'"),
        (f"random: {{count: 2, seed: 0, k: {{integers: [0, {2**70}]}}}}", "whole.*got {'integers'"),
        ("random: {count: 2, k: {integers: [0.5, 3]}}", "whole.*got {'integers'"),
        ("random: {count: 2, k: {integers: [0, .inf]}}", "whole.*got {'integers'"),
        ("list: [{1: 0}, {2: 0}]", "points that set the same parameters"),
        ("grid: {1: [2]}", "no parameter 1"),
        ("grid: &a {any: [*a]}", "any must be .*Circular reference"),
    ],
)
def test_what_is_wrong_is_said(notebook, tmp_path, grid, words):
    file = tmp_path / "grid.yml"
    file.write_text(grid)
    with pytest.raises(RunError, match=f"(?s){words}"):
        points(file, notebook)


def test_the_command_says_it_and_exits_with_2(notebook, tmp_path):
    (tmp_path / "grid.yml").write_bytes(bytes(range(256)))
    arguments = ["sweep", str(notebook), "--grid", str(tmp_path / "grid.yml"), "--dry-run"]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2 and "is not YAML" in ran.output


def test_numbers_of_numpy_are_numbers(notebook):
    grid = {"grid": {"seed": list(np.arange(2)), "noise": [np.float64(0.5)]}}
    assert [repr(p["seed"]) + repr(p["noise"]) for p in points(grid, notebook)] == ["00.5", "10.5"]


def test_a_choice_of_lists_stays_one(notebook):
    section = {"count": 20, "sizes": {"choice": [[1, 2], [3, [4]], [5]]}, "seed": 1}
    found = combine({"random": section})
    assert {str(point["sizes"]) for point in found} == {"[1, 2]", "[3, [4]]", "[5]"}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"kernelspec": {"name": "mine", "language": "python"}}, "asks for the kernel 'mine'"),
        ({"kernelspec": {"name": "ir", "language": "R"}}, r"asks for the kernel 'ir' \(R\)"),
        ({"language_info": {"name": "julia"}}, "julia"),
        ({}, None),
        ({"kernelspec": {"name": "python3"}}, None),
        ({"kernelspec": "odd"}, None),
        ({"language_info": {"name": "python"}}, None),
    ],
)
def test_a_foreign_kernel_is_named_and_none_is_python3(tmp_path, metadata, words):
    path = write(tmp_path / "tiny.ipynb")
    content = nbformat.read(path, as_version=4)
    content.metadata = nbformat.from_dict(metadata)
    path.write_text(json.dumps(content))
    if words is None:
        assert points({"seeds": 2}, path)
    else:
        with pytest.raises(RunError, match=words):
            points({"seeds": 2}, path)


def test_missing_files_and_notebooks_without_parameters_are_errors(notebook, tmp_path):
    with pytest.raises(RunError, match=r"grid file .*none.yml cannot be read"):
        points(tmp_path / "none.yml", notebook)
    with pytest.raises(RunError, match=r"no notebook .*none.ipynb"):
        points({"seeds": 2}, tmp_path / "none.ipynb")
    bare = write(tmp_path / "bare.ipynb", parameters="")
    with pytest.raises(RunError, match="has no parameters: tag one of its cells"):
        points({"seeds": 2}, bare)
    computed = write(tmp_path / "computed.ipynb", parameters="seed: int = 1 + 1  # hm")
    with pytest.raises(RunError, match="the default of seed is 1 \\+ 1"):
        points({"seeds": 2}, computed)
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(RunError, match="cannot be read as a notebook"):
        points({"seeds": 2}, tmp_path / "broken.ipynb")
