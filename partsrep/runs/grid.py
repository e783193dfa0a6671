"""A small YAML file becomes points, checked against the parameters of the notebook."""

import math
import os
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import product
from operator import index, or_
from typing import Any

import numpy as np
from nbformat import NotebookNode

from ..arguments import check_integer, check_number
from .parameters import (
    Parameter,
    RunError,
    declared,
    read_notebook,
    read_yaml,
    said_of,
    shown,
    typed,
)

#: A grid file, or what it would hold.
Grid = str | os.PathLike | Mapping
#: Where the engine tells a notebook to write its record: no grid may set it.
RECORD_PATH = "record_path"
#: The kernel that runs a point, which is that of the worker's own environment.
KERNEL = "python3"
#: More do not fit into memory.
MAX_POINTS = 10**7


def points(grid: Grid, notebook: str | os.PathLike) -> list[dict[str, Any]]:
    """All points of a grid: a value for every parameter of the notebook.

    Parameters
    ----------
    grid : path or mapping
        A YAML file, or what it would hold: one or more of the sections ``grid`` (every combination
        of values), ``zip`` (lists in step), ``list`` (points one by one), ``random`` (draws from a
        seed) and ``seeds``, each of which :ref:`the page of sweeps <sweep>` shows. A sweep is the
        product of its sections, and each section sets parameters of its own.
    notebook : path

    Returns
    -------
    list of dict
        In the order of the sections, the last one running fastest; no two are equal.

    Examples
    --------
    >>> from partsrep.runs.grid import combine
    >>> combine({"grid": {"noise": [0.0, 0.1]}, "seeds": 2})  # before the notebook's defaults
    [{'noise': 0.0, 'seed': 0}, {'noise': 0.0, 'seed': 1}, {'noise': 0.1, 'seed': 0}, \
{'noise': 0.1, 'seed': 1}]
    """
    _, parameters = opened(notebook)
    return [values for _, values in chosen(grid, parameters)]


def opened(notebook: str | os.PathLike) -> tuple[NotebookNode, dict[str, Parameter]]:
    """A notebook that a sweep can run, and its parameters."""
    content = read_notebook(notebook)
    said = (content.metadata.get(key) for key in ("kernelspec", "language_info"))
    kernel, spoken = (found if isinstance(found, Mapping) else {} for found in said)
    name = kernel.get("name") or KERNEL
    language = kernel.get("language") or spoken.get("name") or "python"
    if name != KERNEL or language.lower() != "python":
        raise RunError(
            f"{notebook} asks for the kernel {name!r} ({language}), but a sweep runs {KERNEL!r}, "
            "the Python that partsrep is installed in: choose that kernel in Jupyter and save."
        )
    with said_of(f"{notebook}: "):
        return content, declared(content)


def chosen(grid: Grid, parameters: Mapping[str, Parameter]) -> list[tuple[dict, dict]]:
    """Of every point, what the grid sets, and all its values, the notebook's defaults included."""
    free = {name: of for name, of in parameters.items() if name != RECORD_PATH}
    defaults = {name: parameter.default for name, parameter in free.items()}
    found, seen = [], {}
    if not isinstance(grid, Mapping):
        with said_of("The grid file "):
            grid = read_yaml(grid)
    for point in combine(grid):
        if RECORD_PATH in point:
            raise RunError(f"{RECORD_PATH} is set by the sweep: leave it out of the grid.")
        given = {name: typed(name, value, free) for name, value in point.items()}
        values = defaults | given
        key = repr(sorted(values.items()))
        if key in seen:
            raise RunError(f"Points {seen[key]} and {len(found) + 1} are equal: {given}.")
        found.append((given, values))
        seen[key] = len(found)
    return found


def combine(grid: Mapping) -> list[dict[str, Any]]:
    """The product of the sections of a grid."""
    if not isinstance(grid, Mapping) or not grid:
        raise RunError("The grid is empty; the simplest one is: grid: {seed: [0, 1, 2]}")
    if unknown := [section for section in grid if section not in SECTIONS]:
        raise RunError(
            f"A grid has no section {', '.join(map(repr, unknown))}; "
            f"its sections are {', '.join(SECTIONS)}. Parameters stand within a section: "
            "grid: {noise: [0.0, 0.1]}"
        )
    parts, setters = [], {}
    for section, content in grid.items():
        read, wanted = SECTIONS[section]
        try:
            part = read(content)
        except (AttributeError, TypeError, ValueError):
            part = []
        if not part:
            raise RunError(f"The section {section!r} holds {wanted}; got {shown(content)}.")
        for name in part[0]:
            if name in setters:
                raise RunError(f"{name} is set by {setters[name]!r} and by {section!r}.")
            setters[name] = section
        parts.append(part)
    _few(math.prod(map(len, parts)))
    return [reduce(or_, chosen) for chosen in product(*parts)]


def _few(count: int) -> int:
    if count > MAX_POINTS:
        # A number of thousands of digits cannot be shown.
        raise RunError(
            f"A grid has at most {MAX_POINTS:,} points; this one has more. Cut it in parts."
        )
    return count


def _points(names: Iterable[str], rows: Iterable[tuple]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows if row]


# What reads a section may fail at a content of another kind in any way: `combine` says what is
# wanted. An empty one makes no points.


def _grid(content):
    values = [value if isinstance(value, list) else [value] for value in content.values()]
    _few(math.prod(map(len, values)))
    return _points(content, product(*values))


def _zip(content):
    return _points(content, zip(*map(_listed, content.values()), strict=True))


def _list(content):
    points = [dict(point) for point in _listed(content)]
    return points if all(point.keys() == points[0].keys() for point in points) else []


def _random(content):
    content = dict(content)
    count, seed = check_integer("count", _few(content.pop("count", 0))), content.pop("seed", 0)
    rng = np.random.RandomState(check_integer("seed", seed, 0))
    draws = {name: _draw(name, how, count, rng) for name, how in content.items()}
    return _points(draws, zip(*draws.values(), strict=True))


def _seeds(content):
    some = isinstance(content, list)
    values = content if some else range(check_integer("seeds", _few(content)))
    return [{"seed": value} for value in values]


def _listed(values):
    if isinstance(values, list):
        return values
    raise TypeError("not a list")


#: The sections of a grid: what reads each, and what it holds.
SECTIONS = {
    "grid": (_grid, "parameters with their values: {noise: [0.0, 0.1], data: planted}"),
    "zip": (_zip, "parameters with lists of equal length: {n_components: [4, 9], k: [2, 3]}"),
    "list": (_list, "a list of points that set the same parameters: [{k: 1}, {k: 2}]"),
    "random": (
        _random,
        "a count, a seed from 0 to 2³² − 1 (or none) and how parameters are drawn: "
        "{count: 20, seed: 0, noise: {uniform: [0.0, 1.0]}}",
    ),
    "seeds": (_seeds, "a number of seeds, or a list of them: 10"),
}


def _draw(name, how, count, rng):
    try:
        [(kind, values)] = how.items()
        return DRAWS[kind](rng, count, *_listed(values))
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        raise RunError(
            f"{name} is drawn by uniform or loguniform, of finite (and positive) [low, high], by "
            "integers, of whole [low, high] between −2⁶³ and 2⁶³ − 2, or by choice, of [values], "
            f"such as {name}: {{uniform: [0.0, 1.0]}}; got {shown(how)}."
        ) from None


def _uniform(rng, count, low, high):
    low = check_number("low", low, -math.inf)
    return rng.uniform(low, check_number("high", high, low), count).tolist()


def _loguniform(rng, count, low, high):
    low = check_number("low", low, above=True)
    return np.exp(rng.uniform(*np.log([low, check_number("high", high, low)]), count)).tolist()


def _integers(rng, count, low, high):
    return rng.randint(index(low), index(high) + 1, count).tolist()


def _choice(rng, count, *values):
    return [values[i] for i in rng.randint(len(values), size=count)]


#: How a section "random" draws; what cannot be drawn may fail in any way.
DRAWS = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "integers": _integers,
    "choice": _choice,
}
