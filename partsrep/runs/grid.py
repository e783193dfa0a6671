"""A small YAML file becomes points, checked against the parameters of the notebook."""

import math
import os
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import product
from operator import or_
from typing import Any

import numpy as np
from nbformat import NotebookNode

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
        A YAML file, or what it would hold: one or more of the sections below. A sweep is the
        product of its sections, and each section sets parameters of its own.

        ``grid``
            Every combination of lists of values; one value stands for itself.
        ``zip``
            Lists of equal length, taken in step.
        ``list``
            Points one by one, all with the same parameters.
        ``random``
            ``count`` draws from the ``seed`` (0) of ``{uniform: [low, high]}``,
            ``{loguniform: [low, high]}``, ``{integers: [low, high]}`` (both included) or
            ``{choice: [values]}``.
        ``seeds``
            Values of the parameter ``seed``: a list, or a number n for 0 … n − 1.
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
        part = SECTIONS[section](content)
        if not part:
            raise RunError(f"The section {section!r} of the grid is empty: {content!r}.")
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


def _mapping(section: str, content: Any) -> Mapping:
    if isinstance(content, Mapping):
        return content
    raise RunError(f"The section {section!r} maps parameters to values; got {content!r}.")


def _points(names: Iterable[str], rows: Iterable[tuple]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _grid(content):
    content = _mapping("grid", content)
    values = [value if isinstance(value, list) else [value] for value in content.values()]
    _few(math.prod(map(len, values)))
    return _points(content, product(*values)) if content else []


def _zip(content):
    content = _mapping("zip", content)
    lengths = {name: len(v) if isinstance(v, list) else None for name, v in content.items()}
    if None in lengths.values() or len(set(lengths.values())) > 1:
        raise RunError(f"The lists of 'zip' must be equally long; their lengths are {lengths}.")
    return _points(content, zip(*content.values(), strict=True))


def _list(content):
    if not isinstance(content, list) or not all(isinstance(point, Mapping) for point in content):
        raise RunError(f"The section 'list' is a list of points; got {content!r}.")
    for point in content:
        if set(point) != set(content[0]):
            raise RunError(
                "The points of 'list' must set the same parameters; "
                f"one sets {', '.join(map(str, content[0]))}, "
                f"another {', '.join(map(str, point))}."
            )
    return [dict(point) for point in content]


def _random(content):
    content = dict(_mapping("random", content))
    count, seed = content.pop("count", None), content.pop("seed", 0)
    if not _whole(count) or count < 1 or not _whole(seed) or not 0 <= seed < 2**32:
        raise RunError(
            "The section 'random' needs a count, such as count: 20, and a seed from 0 to 2³² − 1."
        )
    rng = np.random.RandomState(seed)
    draws = {name: _draw(name, how, _few(count), rng) for name, how in content.items()}
    return _points(draws, zip(*draws.values(), strict=True))


def _draw(name, how, count, rng):
    [(kind, values)] = how.items() if isinstance(how, Mapping) and len(how) == 1 else [(None, None)]
    if kind not in DRAWS or not isinstance(values, list) or not values:
        raise RunError(
            f"{name} is drawn by one of {', '.join(DRAWS)}, such as "
            f"{name}: {{uniform: [0.0, 1.0]}}; got {shown(how)}."
        )
    if kind == "choice":
        return [values[i] for i in rng.randint(len(values), size=count)]
    if len(values) != 2 or not _bounds(kind, *values):
        raise RunError(f"{name}: {kind} needs {DRAWS[kind]}, low first; got {shown(values)}.")
    if kind == "integers":
        return rng.randint(values[0], values[1] + 1, count).tolist()
    low, high = map(float, values)
    if kind == "uniform":
        return rng.uniform(low, high, count).tolist()
    return np.exp(rng.uniform(np.log(low), np.log(high), count)).tolist()


#: How a section "random" draws, and between what.
DRAWS = {
    "uniform": "finite [low, high]",
    "loguniform": "finite and positive [low, high]",
    "integers": "whole [low, high] between −2⁶³ and 2⁶³ − 1",
    "choice": "[values]",
}


def _bounds(kind, low, high):
    if kind == "integers":
        return _whole(low) and _whole(high) and -(2**63) <= low <= high < 2**63 - 1
    try:
        low, high = (math.nan if isinstance(v, bool) else float(v) for v in (low, high))
    except (TypeError, ValueError, OverflowError):
        return False
    return low <= high and math.isfinite(high - low) and (kind != "loguniform" or low > 0)


def _seeds(content):
    values = list(range(_few(content))) if _whole(content) else content
    if not isinstance(values, list):
        raise RunError(f"The section 'seeds' is a number or a list of seeds; got {content!r}.")
    return [{"seed": value} for value in values]


SECTIONS = {"grid": _grid, "zip": _zip, "list": _list, "random": _random, "seeds": _seeds}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
