"""The parameters of a notebook: what its cell declares, and the values that YAML sets them to.

papermill reads the cell line by line with a pattern and misreads much of what Python allows there,
such as ``s = (1, 2)``. Here Python itself parses the cell. What is not a plain assignment of a
literal, and so could give a parameter another value than the one read, is an error.
"""

import ast
import io
import json
import math
import os
import re
import tokenize
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from symtable import symtable
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, ClassVar

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager

from .records import as_json

#: The types of values that are told apart, by name; a parameter may have several.
KINDS = {kind.__name__: kind for kind in (int, float, str, bool, list, dict, tuple)}
KINDS["None"] = NoneType


class RunError(Exception):
    """A run is not possible as wanted; the message says why and what to do."""


@contextmanager
def said_of(where: str) -> Iterator[None]:
    """Have a RunError say first where it is."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{where}{error}") from None


@dataclass(frozen=True)
class Parameter:
    """A line of the parameters cell."""

    default: Any  # as JSON has it: a tuple is a list
    kinds: tuple[str, ...]  # names of the types that a value may have; empty, if any will do
    help: str = ""  # the comment behind it

    @property
    def kind(self) -> str:
        """Such as ``int | None``; empty, if any will do."""
        return " | ".join(self.kinds)

    def line(self, name: str) -> str:
        """The parameter as its cell could have it."""
        return f"{name}{self.kind and f': {self.kind}'} = {self.default!r}"


def read_notebook(path: str | os.PathLike) -> nbformat.NotebookNode:
    """A notebook, whichever version of the format it is in, as of version 4."""
    if not Path(path).is_file():
        raise RunError(f"There is no notebook {path}.")
    try:
        notebook = nbformat.v4.upgrade(nbformat.read(path, as_version=4))
        for cell in notebook.cells:
            cell.cell_type, cell.source, cell.metadata.get("tags")
    except Exception as error:  # of nbformat, of JSON, or of whatever a file may hold
        raise RunError(
            f"{path} cannot be read as a notebook: {error}. It must be an .ipynb file, as Jupyter "
            "saves it."
        ) from error
    return notebook


def python(source: str) -> str:
    """The Python that a cell is to IPython: magics become calls."""
    return TransformerManager().transform_cell(source)


def declared(notebook: nbformat.NotebookNode) -> dict[str, Parameter]:
    """The parameters of a notebook, in order.

    They stand in one cell tagged ``parameters``, each set by a plain assignment of a literal that
    JSON can hold; anything else that sets or changes one is a RunError.
    """
    source = _source(notebook)
    try:
        code = python(source)
        statements = ast.parse(code).body
    except SyntaxError as error:
        raise RunError(
            f"its parameters cell is not Python: {error.msg}, line {error.lineno}: {error.text}"
        ) from None
    comments = {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    found, hints, named, touched = {}, {}, set(), {}
    for statement in statements:
        text, own = _short(ast.get_source_segment(code, statement)), dict(_assigned(statement))
        if isinstance(statement, ast.AnnAssign):
            hints |= dict.fromkeys(own, ast.unparse(statement.annotation))
        for name, value in own.items():
            if value is not None:
                literal = _literal(name, value, ast.get_source_segment(code, value))
                found[name] = *literal, comments.get(statement.end_lineno, "")
        sets, reaches = _effects(statement)
        named |= sets
        touched |= dict.fromkeys((sets - set(own)) | reaches, text)
    wrong = {name: text for name, text in touched.items() if name in (*named, "*")}
    wrong |= {name: f"{name}: {hint}" for name, hint in hints.items() if name not in found}
    if wrong:
        text = next(iter(wrong.values()))
        names = ", ".join(sorted(name for name in wrong if wrong[name] == text))
        raise RunError(
            f"its parameters cell sets or changes {names} by {text!r}: a parameter is set by a "
            "plain line, such as seed: int = 0, and by nothing else. Compute what depends on it "
            "in the next cell."
        )
    if not found:
        raise RunError(
            "it has no parameters: tag one of its cells `parameters` and write there, "
            "for example: seed: int = 0  # of every random draw"
        )
    parameters = {}
    for name, (default, kind, comment) in found.items():
        kinds = _kinds(hints.get(name, ""), kind)
        parameters[name] = Parameter(_converted(default, kinds), kinds, comment)
    return parameters


def _source(notebook: nbformat.NotebookNode) -> str:
    cells = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" in (cell.metadata.get("tags") or [])
    ]
    if len(cells) > 1:
        raise RunError(
            f"it has {len(cells)} cells tagged `parameters`: the values that are set come after "
            "the first, and the others would overrule them. Make them one."
        )
    source = "".join(cells)
    if source.lstrip().startswith("%%"):
        raise RunError(
            f"its parameters cell begins with {source.split()[0]}, which hides the parameters: "
            "move it to another cell."
        )
    return source


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Names and their values: ``s = t = 1`` is two of them, and so is ``s, t = 1, 2``."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _unpacked(target, value)


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match target, value:
        case ast.Name(id=name), _:
            yield name, value
        case ast.Tuple(elts=names) | ast.List(elts=names), ast.Tuple(elts=values) | ast.List(
            elts=values
        ) if len(names) == len(values):
            for pair in zip(names, values, strict=True):
                yield from _unpacked(*pair)


def _literal(name: str, value: ast.expr, text: str) -> tuple[Any, type]:
    """The value of a literal as JSON has it, and its type in Python."""
    try:
        kind = type(ast.literal_eval(value))
        return plain(ast.literal_eval(_Lists().visit(value))), kind
    except RunError as error:
        why = f" ({error})"
    except (ValueError, TypeError, MemoryError, RecursionError):
        why = ""
    raise RunError(
        f"the default of {name} is {_short(text)}; a parameter must be a plain value, or else "
        f"a point could not be told from another{why}. Compute what it needs in the next cell."
    )


class _Lists(ast.NodeTransformer):
    """Tuples become lists, as JSON has them."""

    def visit_Tuple(self, node: ast.Tuple) -> ast.List:
        return ast.List(self.generic_visit(node).elts, node.ctx)


def _effects(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """Names that a statement sets, and those that it may change in another way.

    The latter it imports or defines, or it is the ``s`` of ``s[0] = 1``, or of ``s.append(2)`` as a
    line of its own, for which there is no other reason.
    """
    symbols = symtable(ast.unparse(statement), "cell", "exec").get_symbols()
    names = {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
    defined = {s.get_name() for s in symbols if s.is_imported() or s.is_namespace()}
    changed = set()
    for node in ast.walk(statement):
        match node:
            case ast.alias(name="*" as name) | ast.ExceptHandler(name=name):
                defined.add(name)
            case ast.Global(names=own):
                changed.update(own)
            case ast.Subscript(ctx=use) | ast.Attribute(ctx=use) if not isinstance(use, ast.Load):
                changed.add(_root(node))
            case ast.Expr(value=ast.Call(func=ast.Attribute() as method)):
                changed.add(_root(method))
    return names - defined, defined | changed


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _kinds(annotation: str, default: type) -> tuple[str, ...]:
    """The names of the types of a parameter: those annotated, or else that of its default."""
    try:
        hints = SimpleNamespace(__annotations__={"it": annotation})
        hint = typing.get_type_hints(hints, vars(typing) | {"typing": typing})["it"]
    except Exception:  # of a name that only the notebook knows, such as Path
        hint = None
    several = typing.get_origin(hint) in (typing.Union, UnionType)
    kinds = {
        typing.get_origin(one) or one for one in (typing.get_args(hint) if several else [hint])
    }
    if not kinds <= {*KINDS.values(), Any, object}:
        kinds = set()
    if not kinds or default is NoneType:
        kinds.add(default)
    if kinds & {Any, object} or kinds == {NoneType}:
        return ()
    return tuple(name for name, kind in KINDS.items() if kind in kinds)


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def typed(name: str, value: Any, parameters: Mapping[str, Parameter]) -> Any:
    """A value for a parameter as its type has it: 0 is 0.0 where a float is wanted."""
    if name not in parameters:
        known = ", ".join(parameter.line(name) for name, parameter in parameters.items())
        raise RunError(f"The notebook has no parameter {name!r}; it has {known}.")
    parameter = parameters[name]
    try:
        given = _converted(plain(value), parameter.kinds)
        if parameter.kinds and _kind(given) not in parameter.kinds:
            raise RunError(_hint(parameter, given))
    except RunError as why:
        wanted = parameter.kind or "plain value"
        article = "an" if wanted.startswith("int") else "a"
        wanted = f"{name} must be {article} {wanted}, not {shown(value)}. {why}"
        raise RunError(wanted.rstrip()) from None
    return given


def _converted(value: Any, kinds: tuple[str, ...]) -> Any:
    """An integer as a float, where only that is wanted and is exact."""
    if _kind(value) == "int" and "float" in kinds and "int" not in kinds and abs(value) < 2**53:
        return float(value)
    return value


def _hint(parameter: Parameter, given: Any) -> str:
    """What to do about a value of another type, if that is known."""
    if "tuple" in parameter.kinds and isinstance(given, list):
        return "YAML has lists but no tuples: make its default in the parameters cell a list."
    if "bool" in parameter.kinds and str(given).lower() in ("yes", "no", "on", "off", "y", "n"):
        return "To YAML 1.2 it is a text: write true or false."
    if {"int", "float"} & set(parameter.kinds) and isinstance(given, str):
        with suppress(ValueError):
            if math.isfinite(number := float(given)):
                return f"To YAML it is a text: write {number:g}."
    return ""


def plain(value: Any) -> Any:
    """The value as JSON has it; a RunError, if that is another: numpy's numbers are Python's.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"sizes": [1, np.int64(2)]})
    {'sizes': [1, 2]}
    """
    try:
        found = json.loads(as_json(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(f"JSON cannot hold it: {error}") from None
    if found != value:
        raise RunError(f"JSON would make {shown(found)} of it")
    return found


def shown(value: Any) -> str:
    """What a message shows of a value."""
    try:
        return _short(repr(value))
    except ValueError:  # of an integer that is too long
        return f"a {_kind(value)}"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


class _Loader(yaml.SafeLoader):
    """YAML 1.2, as its core schema has it, in which no key comes twice.

    YAML's own loader forgets the first of two keys, and is of 1.1: to it 010 is 8, 1:30 is 90, 1e3
    a text, no is false and 2026-11-27 a date, which few expect.
    """

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def construct_mapping(self, node, deep=False):
        written = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        names = [self.construct_object(key, deep=True) for key in written]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} comes twice", written[place].start_mark
                )
        return super().construct_mapping(node, deep)

    def whole(self, node):
        """A decimal number, with zeros before it or not, 0o17 or 0x1f."""
        text = self.construct_scalar(node)
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)


#: What a scalar without quotes is, by its form and by how it may begin; a text, if nothing else.
SCALARS = [
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
]
for kind, form, begins in SCALARS:
    tag = f"tag:yaml.org,2002:{kind}"
    _Loader.add_implicit_resolver(tag, re.compile(f"(?:{form})\\Z"), list(begins))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole)


def read_yaml(path: str | os.PathLike) -> Any:
    """What a file of YAML 1.2 holds, in which no key comes twice."""
    try:
        return yaml.load(Path(path).read_text(), _Loader)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{path} is not YAML: {error}") from None
