"""The parameters of a notebook: what its cell declares, and the values that YAML sets them to.

papermill reads the cell line by line with a pattern and misreads much of what Python allows there,
such as ``s = (1, 2)``. Here Python itself parses the cell. What is not a plain assignment of a
literal, and so could give a parameter another value than the one read, is an error.
"""

import ast
import io
import math
import os
import tokenize
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from symtable import symtable
from typing import Any

import nbformat
import numpy as np
import yaml
from IPython.core.inputtransformer2 import TransformerManager

#: The types of values that are told apart; a parameter may have several.
KINDS = ("int", "float", "str", "bool", "list", "dict", "tuple", "None")
#: From here on Python refuses to write an integer down.
TOO_LONG = 10**4300


class ParameterError(ValueError):
    """A notebook, its parameters cell, a YAML file or a value is not in order."""


@contextmanager
def raised_as(kind: type[Exception], where: str = "") -> Iterator[None]:
    """Raise a ParameterError as an error of another kind, which says first where it is."""
    try:
        yield
    except ParameterError as error:
        raise kind(f"{where}{error}") from None


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
        raise ParameterError(f"There is no notebook {path}.")
    try:
        notebook = nbformat.v4.upgrade(nbformat.read(path, as_version=4))
        for cell in notebook.cells:
            cell.cell_type, cell.source, cell.metadata.get("tags")
    except Exception as error:  # of nbformat, of JSON, or of whatever a file may hold
        raise ParameterError(
            f"{path} cannot be read as a notebook: {error}. It must be an .ipynb file, as Jupyter "
            "saves it."
        ) from error
    return notebook


def declared(notebook: nbformat.NotebookNode) -> dict[str, Parameter]:
    """The parameters of a notebook, in order.

    They stand in one cell tagged ``parameters``, each set by a plain assignment of a literal that
    JSON can hold; anything else that sets or changes one is a ParameterError.
    """
    source = _source(notebook)
    try:
        code = TransformerManager().transform_cell(source)  # magics become calls
        statements = ast.parse(code).body
    except SyntaxError as error:
        raise ParameterError(
            f"its parameters cell is not Python: {error.msg}, line {error.lineno}: {error.text}"
        ) from None
    comments = {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    defaults, annotated, helps, changed = {}, {}, {}, {}
    for statement in statements:
        text, targets = _short(ast.get_source_segment(code, statement)), set()
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            targets.add(statement.target.id)
            annotated[statement.target.id] = _kinds(statement.annotation)
        for name, value in _assigned(statement):
            targets.add(name)
            defaults[name] = _default(name, value, ast.get_source_segment(code, value))
            helps[name] = comments.get(statement.end_lineno, "")
        names, others = _effects(statement)
        changed |= dict.fromkeys(others, text)
        if names := names - targets:
            raise ParameterError(
                f"its parameters cell sets {', '.join(sorted(names))} by {text!r}: a parameter is "
                "set by a plain line, such as seed: int = 0. Compute what depends on it in the "
                "next cell."
            )
    _refuse_changes(defaults, annotated, changed)
    if not defaults:
        raise ParameterError(
            "it has no parameters: tag one of its cells `parameters` and write there, "
            "for example: seed: int = 0  # of every random draw"
        )
    found = {}
    for name, (value, literal) in defaults.items():
        kinds = _known(annotated.get(name), literal)
        found[name] = Parameter(_converted(value, kinds), kinds, helps[name])
    return found


def _source(notebook: nbformat.NotebookNode) -> str:
    cells = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" in (cell.metadata.get("tags") or [])
    ]
    if len(cells) > 1:
        raise ParameterError(
            f"it has {len(cells)} cells tagged `parameters`: the values that are set come after "
            "the first, and the others would overrule them. Make them one."
        )
    source = "".join(cells)
    if source.lstrip().startswith("%%"):
        raise ParameterError(
            f"its parameters cell begins with {source.split()[0]}, which hides the parameters: "
            "move it to another cell."
        )
    return source


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Names and their values: ``s = t = 1`` is two of them, and so is ``s, t = 1, 2``."""
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield from _unpacked(statement.target, statement.value)
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from _unpacked(target, statement.value)


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    several = ast.Tuple | ast.List
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, several) and isinstance(value, several):
        starred = any(isinstance(one, ast.Starred) for one in [*target.elts, *value.elts])
        if len(target.elts) == len(value.elts) and not starred:
            for pair in zip(target.elts, value.elts, strict=True):
                yield from _unpacked(*pair)


def _default(name: str, value: ast.expr, text: str) -> tuple[Any, Any]:
    """The value of a literal as JSON has it, and as Python has it."""
    try:
        literal = ast.literal_eval(value)
        return plain(literal), literal
    except ParameterError as error:
        why = f" ({error})"
    except (ValueError, TypeError, MemoryError, RecursionError):
        why = ""
    raise ParameterError(
        f"the default of {name} is {_short(text)}; a parameter must be a plain value, or else "
        f"a point could not be told from another{why}. Compute what it needs in the next cell."
    )


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
            case ast.Subscript(ctx=use) | ast.Attribute(ctx=use) if not isinstance(use, ast.Load):
                changed.add(_root(node))
            case ast.Expr(value=ast.Call(func=ast.Attribute() as method)):
                changed.add(_root(method))
    return names - defined, defined | changed


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _refuse_changes(defaults: Mapping, annotated: Mapping, changed: Mapping[str, str]) -> None:
    if "*" in changed:
        raise ParameterError(
            f"its parameters cell says {changed['*']!r}, which may set any parameter: "
            "import names one by one, or in another cell."
        )
    for name, text in changed.items():
        if name in defaults or name in annotated:
            raise ParameterError(
                f"its parameters cell changes {name} by {text!r}: a parameter is set by a plain "
                f"line, such as {name} = …. Change it in the next cell."
            )
    if missing := [name for name in annotated if name not in defaults]:
        raise ParameterError(
            f"the {missing[0]} of its parameters cell has no default: give it a value there."
        )


def _kinds(annotation: ast.expr) -> set[str] | None:
    """The names of types in an annotation; None, where it is of another kind."""
    match annotation:
        case ast.Constant(value=None):
            return {"None"}
        case ast.Constant(value=str(text)):
            try:
                return _kinds(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return None
        case ast.Name(id=name) | ast.Attribute(attr=name):
            if name in ("Any", "object"):
                return set(KINDS)
            return {name.lower()} if name.lower() in KINDS else None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([_kinds(left), _kinds(right)])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name in ("Optional", "Union"):
                own = [{"None"}] if name == "Optional" else []
                return _union([*map(_kinds, members), *own])
            if name in ("Annotated", "Final"):
                return _kinds(members[0])
            return _kinds(annotation.value)
    return None


def _union(kinds: list[set[str] | None]) -> set[str] | None:
    return None if None in kinds else set().union(*kinds)


def _known(annotated: set[str] | None, default: Any) -> tuple[str, ...]:
    """The types of a parameter: those annotated, or else that of its default."""
    if annotated is None:
        return () if default is None else (_kind(default),)
    if default is None:
        annotated = annotated | {"None"}
    return () if annotated >= set(KINDS) else tuple(kind for kind in KINDS if kind in annotated)


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def typed(name: str, value: Any, parameters: Mapping[str, Parameter]) -> Any:
    """A value for a parameter as its type has it: 0 is 0.0 where a float is wanted."""
    if name not in parameters:
        known = ", ".join(parameter.line(name) for name, parameter in parameters.items())
        raise ParameterError(f"The notebook has no parameter {name!r}; it has {known}.")
    parameter = parameters[name]
    try:
        given = plain(value)
        if given != value:  # such as a tuple, which is none in the record
            raise ParameterError(f"JSON has no {_kind(value)}")
    except ParameterError as error:
        wanted = parameter.kind or "plain value"
        raise ParameterError(f"{name} must be a {wanted}, not {shown(value)}: {error}.") from None
    given = _converted(given, parameter.kinds)
    if parameter.kinds and _kind(given) not in parameter.kinds:
        raise ParameterError(
            f"{name} must be a {parameter.kind}, not {shown(given)}.{_hint(parameter, given)}"
        )
    return given


def _converted(value: Any, kinds: tuple[str, ...]) -> Any:
    """An integer as a float, where only that is wanted and is exact."""
    if _kind(value) == "int" and "float" in kinds and "int" not in kinds and abs(value) < 2**53:
        return float(value)
    return value


def _hint(parameter: Parameter, given: Any) -> str:
    if "float" in parameter.kinds and isinstance(given, str):
        try:
            number = float(given)
        except ValueError:
            return ""
        if math.isfinite(number):
            return f" YAML wants a point and a sign in it: {number:.1e}."
    if "tuple" in parameter.kinds and isinstance(given, list):
        return " YAML has lists but no tuples: make its default in the parameters cell a list."
    return ""


def plain(value: Any, _within: tuple[int, ...] = ()) -> Any:
    """The value as JSON has it, which has no other: numpy's numbers are Python's, tuples lists.

    Examples
    --------
    >>> plain({"sizes": (1, np.int64(2))})
    {'sizes': [1, 2]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if id(value) in _within:
        raise ParameterError("it holds itself")
    inside = (*_within, id(value))
    match value:
        case None | bool() | str():
            return value
        case float():
            if math.isfinite(value):
                return value
            raise ParameterError(f"{value} is in it, and JSON has finite numbers only")
        case int():
            if abs(value) < TOO_LONG:
                return value
            raise ParameterError("it has an integer of thousands of digits")
        case list() | tuple():
            return [plain(one, inside) for one in value]
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise ParameterError(f"its key {key!r} is no text, as JSON's keys are")
            return {key: plain(one, inside) for key, one in value.items()}
        case date():
            raise ParameterError(f'{value} is a date, which is a text in quotes: "{value}"')
    raise ParameterError(f"JSON has no {type(value).__name__}")


def shown(value: Any) -> str:
    """What a message shows of a value."""
    try:
        return _short(repr(value))
    except ValueError:  # of an integer that is too long
        return f"a {_kind(value)}"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


class _Loader(yaml.SafeLoader):
    """A key that comes twice is an error; YAML's own loader forgets the first."""

    def construct_mapping(self, node, deep=False):
        written = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        names = [self.construct_object(key, deep=True) for key in written]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} comes twice", written[place].start_mark
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: str | os.PathLike) -> Any:
    """What a YAML file holds, in which no key comes twice."""
    try:
        return yaml.load(Path(path).read_text(), _Loader)
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ParameterError(f"{path} is not YAML: {error}") from None
