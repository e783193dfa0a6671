"""A parameters cell is read as Python runs it, or refused; values are what JSON can hold."""

import ast
import importlib
import json
from datetime import date

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_notebook
from papermill.translators import PythonTranslator

from partsrep.runs.parameters import (
    RunError,
    declared,
    plain,
    read_notebook,
    read_yaml,
    typed,
)

# Whatever of these a cell holds, it is in order.
ORDINARY = [
    's: str = "a"  # width = 2*height',
    's: str = "a=b"',
    's: str = "https://example.org/?q=1#top"  # a link',
    's = "a # b"  # not "this" and not (that',
    's = "a#b"',
    "s = r'\\a'",
    "s = 'é' 'b\\n'",
    's = """a\nb"""',
    's = """a # b"""  # a comment',
    "s: int | None = None",
    "s = 1; t = 2",
    "s, t = 1, 2",
    "(s, t), [u, v] = (1, 2), [3, 4]",
    "s = t = [1]",
    "s = 1\ns = 2",
    "s: int\ns = 3",
    "s: int = 0;",
    "s = (1, 2)",
    "s = (1,)",
    "s = ()",
    's = {"a": "b=c", "d": [1, (2, 3)]}',
    's = ["a = b",  # one = 1\n  "c"]  # help',
    "s = \\\n    3",
    "s = -1",
    "s = +1.5e-3",
    "s = 1_000",
    "s = 0x10",
    "s = None",
    "s = True",
    "s: 'int' = 3",
    "s: float = 0.5",
    "\n\n  s = 1",
    '"""The parameters."""\ns = 1',
    "s = 1\nimport math",
    "from math import pi as half\ns = 1",
    "s = 1\nprint(s, [s for s in range(3)])",
    "s = 1\nif s:\n    print(s)",
    "s = 1\nassert s",
    "import os\nos.environ['PARTSREP_TEST'] = 'b'\ns = 1",
    "s = 1\ntry:\n    import nowhere\nexcept ImportError as error:\n    pass",
    "s = 1\ndef double():\n    s = 2\n    return s",
    "%matplotlib inline\ns = 1",
    "s = 1\n!true",
]
REFUSED = {
    "s = 1\ns += 1": "sets or changes s by 's \\+= 1'",
    "s = 1\nif s:\n    t = 3": "sets or changes t by",
    "s = 1\nfor t in range(3):\n    pass": "sets or changes t by",
    "s = 1\nwith open('x') as t:\n    pass": "sets or changes t by",
    "s = 1\n(t := 2)": "sets or changes t by",
    "s = 1\nmatch s:\n    case t:\n        pass": "sets or changes t by",
    "s = 1\ndel s": "sets or changes s by 'del s'",
    "s = 1\ndef f():\n    global s\n    s = 2\nf()": "sets or changes s by 'def f",
    "*s, t = 1, 2": "sets or changes s by",
    "s, t = 'ab'": "sets or changes s, t by",
    "s = [1]\ns.append(2)": "changes s by 's.append",
    "s = [1]\ns[0] = 2": "changes s by",
    "s = {}\nif True:\n    s['a'] = 2": "changes s by",
    "s = 1\nimport s": "changes s by 'import s'",
    "s = 1\nimport math as s": "changes s by",
    "s = 1\ndef s():\n    pass": "changes s by",
    "s = 1\nclass s:\n    pass": "changes s by",
    "s = 1\nfrom math import *": "changes \\* by 'from math",
    "s: int": "changes s by 's: int'",
    "s = f'{1}'": "default of s is f'.1.'",
    "s = 1 + 1": "default of s is 1 \\+ 1",
    "t = 1\ns = t": "default of s is t",
    "s = [x for x in (1, 2)]": "default of s is",
    "s = !ls": "default of s is",
    "s = {1, 2}": "default of s is {1, 2}.*no set",
    "s = b'x'": "default of s is b'x'.*no bytes",
    "s = 1j": "no complex",
    "s = ...": "no ellipsis",
    "s = 1e999": "Out of range float",
    "s = [{'a': -1e999}]": "Out of range float",
    "s = {1: 2}": "JSON would make {'1': 2} of it",
    "s = (": "is not Python: .*line 1",
    "%%time\ns = 1": "begins with %%time",
    "": "tag one of its cells",
    "import math": "tag one of its cells",
}


def notebook(*sources: str) -> nbformat.NotebookNode:
    """A notebook of cells that are all tagged ``parameters``."""
    tags = {"tags": ["parameters"]}
    return new_notebook(cells=[new_code_cell(source, metadata=tags) for source in sources])


def as_run(source: str) -> dict:
    """What Python says are the values of a cell's assignments."""
    code = TransformerManager().transform_cell(source)
    names = {"get_ipython": lambda: type("Shell", (), {"__getattr__": lambda *_: print})()}
    exec(code, names)
    tree = ast.parse(code)
    tops = [n for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign)]
    stored = {n.id for top in tops for n in ast.walk(top) if isinstance(n, ast.Name)}
    return {name: names[name] for name in stored - {"os", "int", "str", "float"}}


@pytest.mark.parametrize("source", ORDINARY)
def test_defaults_are_those_of_the_notebook(source):
    found = {name: parameter.default for name, parameter in declared(notebook(source)).items()}
    # Through JSON, as into a record: there a tuple is a list.
    assert found == json.loads(json.dumps(as_run(source)))


@pytest.mark.parametrize("source", REFUSED)
def test_what_could_be_misread_is_refused_by_name(source):
    with pytest.raises(RunError, match=f"(?s){REFUSED[source]}"):
        declared(notebook(source))


def test_two_cells_of_parameters_are_refused():
    with pytest.raises(RunError, match="2 cells tagged"):
        declared(notebook("s = 1", "t = 2"))


def test_the_comment_behind_a_parameter_is_its_help():
    found = declared(notebook('s = "a#b"  # of a\nt = [1,  # no\n  2]  # of b\nu = 1'))
    assert [parameter.help for parameter in found.values()] == ["of a", "of b", ""]


@pytest.mark.parametrize(
    ("line", "fine", "wrong"),
    [
        ("s: int = 0", [1, np.int64(2)], [0.5, True, "1", None]),
        ("s: float = 0", [1, 0.5, np.float64(0.5)], ["0.5", 10**400, 2**53 + 1]),
        ("s: int | None = 3", [1, None], [0.5]),
        ("from typing import Optional\ns: Optional[int] = 3", [1, None], [0.5]),
        ("import typing\ns: typing.Union[int, str] = 3", [1, "a"], [0.5, None]),
        ("s: list[int] = [1]", [[2]], [2]),
        ("s: str = None", ["a", None], [1]),
        ("s = None", [1, "a", [2], {"a": None}], []),
        ("s: Any = 1", [1, "a", None], []),
        ("s: Path = 'a'", ["b"], [1]),
        ("s = (1, 2)", [], [[3, 4], (3, 4)]),
        ("s: dict = {}", [{"a": [1, None]}], [{1: 2}, {"a": {"b": float("nan")}}]),
        ("s: list = []", [[[1.0]]], [[[float("inf")]], [date(2020, 1, 1)], [{2, 3}], [(1, 2)]]),
    ],
)
def test_values_are_of_the_type_and_fit_into_json(line, fine, wrong):
    parameters = declared(notebook(line))
    for value in fine:
        given = typed("s", value, parameters)
        assert given == value
        assert json.loads(json.dumps(given, allow_nan=False)) == given
        assert type(given).__module__ == "builtins"
    for value in wrong:
        with pytest.raises(RunError, match="s must be a"):
            typed("s", value, parameters)


def test_what_json_cannot_hold_is_said():
    circle = []
    circle.append(circle)
    for value, words in [
        ([1, float("inf")], "Out of range float"),
        ([10**5000], "4300 digits"),
        ([date(2020, 1, 1)], 'in quotes: "2020-01-01"'),
        ([np.zeros(2)], "no ndarray"),
        (circle, "Circular reference"),
    ]:
        with pytest.raises(RunError, match=words):
            plain(value)
    twice = [1]
    assert plain([twice, twice]) == [[1], [1]]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_papermill_hands_over_what_json_can_hold(value):
    """So these values, and no others, may pass through it."""
    assert plain(value) == value
    handed = ast.literal_eval(PythonTranslator.translate(value))
    assert repr(handed) == repr(value)


def test_papermill_keeps_quiet_about_what_ours_reads(caplog):
    importlib.import_module("partsrep.runs.kernels")
    cell = 'seed: int | None = None  # a "word" = another\nnames = {"a": "b=c"}'
    PythonTranslator.inspect(new_code_cell(cell))
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "key 'a' comes twice"),
        ("g: {x: [1], y: 2, x: [2]}", "key 'x' comes twice"),
        ("[{x: 1, x: 1}]", "key 'x' comes twice"),
        ("x: !!timestamp 2020-13-45", "is not YAML"),
        ("x: " + "9" * 5000, "is not YAML"),
        ("x: [1", "is not YAML"),
        ("[" * 5000, "is not YAML"),
    ],
)
def test_yaml_is_read_strictly(tmp_path, text, words):
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(RunError, match=words):
        read_yaml(tmp_path / "a.yml")


def test_binary_files_and_folders_are_no_yaml(tmp_path):
    (tmp_path / "a.yml").write_bytes(bytes(range(256)))
    for path in (tmp_path / "a.yml", tmp_path, tmp_path / "none.yml"):
        with pytest.raises(RunError):
            read_yaml(path)


def test_yaml_is_that_of_version_1_2(tmp_path):
    """Of 1.1 a 010 is 8, 1:30 is 90, 1e3 a text, `no` false and 2026-11-27 a date."""
    scalars = {
        **{"010": 10, "-010": -10, "08": 8, "00": 0, "+3": 3, "0o10": 8, "0x1F": 31},
        **{"1e3": 1e3, "1E-3": 1e-3, "1.5e3": 1.5e3, "-.5": -0.5, "1.": 1.0, "-.inf": -np.inf},
        **dict.fromkeys(["~", "null", "Null", ""]),
        **{"true": True, "True": True, "FALSE": False, '"010"': "010", '!!int "010"': 10},
    }
    texts = "1:30 190:20:30.15 1_000 0.1_5 0b11 yes no On off y N 2026-11-27 = . + 1e e5 tRUE 0o8"
    scalars |= {text: text for text in texts.split()}
    (tmp_path / "a.yml").write_text("".join(f"- {text}\n" for text in scalars))
    found = read_yaml(tmp_path / "a.yml")
    assert [(type(one), one) for one in found] == [(type(one), one) for one in scalars.values()]


def test_merged_keys_may_be_overruled(tmp_path):
    (tmp_path / "a.yml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}")
    assert read_yaml(tmp_path / "a.yml")["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[1]", "3", '"x"', "{", '{"cells": 3}', "# %%\nseed = 0"),
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
        '{"nbformat": 9, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    ],
)
@pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning")
def test_what_is_no_notebook_is_said(tmp_path, text):
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(RunError, match=r"a.ipynb cannot be read as a notebook"):
        read_notebook(tmp_path / "a.ipynb")
    with pytest.raises(RunError, match="no notebook"):
        read_notebook(tmp_path)


def test_older_formats_are_read(tmp_path):
    cell = {"cell_type": "code", "input": "s = 1", "language": "python", "outputs": []}
    cell["metadata"] = {"tags": ["parameters"]}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}}
    (tmp_path / "a.ipynb").write_text(json.dumps(old | {"worksheets": [{"cells": [cell]}]}))
    assert declared(read_notebook(tmp_path / "a.ipynb"))["s"].default == 1
