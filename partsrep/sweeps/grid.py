"""A small YAML file becomes points, checked against the parameters of the notebook."""

import ast
import math
import os
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from papermill import inspect_notebook

#: Where the engine tells a notebook to write its record: no grid may set it.
RECORD_PATH = "record_path"
TYPES = {kind.__name__: kind for kind in (int, float, str, bool, list, dict)}


class SweepError(Exception):
    """A sweep cannot go on; the message says why and what to do."""


def points(grid: str | os.PathLike | Mapping, notebook: str | os.PathLike) -> list[dict[str, Any]]:
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
        In the order of the sections, the last one running fastest.

    Raises
    ------
    SweepError
        If a name, type, section or value is wrong, there are no points, or two are equal.

    Examples
    --------
    >>> from partsrep.sweeps.grid import combine
    >>> combine({"grid": {"noise": [0.0, 0.1]}, "seeds": 2})  # before the notebook's defaults
    [{'noise': 0.0, 'seed': 0}, {'noise': 0.0, 'seed': 1}, {'noise': 0.1, 'seed': 0}, \
{'noise': 0.1, 'seed': 1}]
    """
    declared = parameters(notebook)
    defaults = {name: default for name, (_, default) in declared.items() if name != RECORD_PATH}
    found, seen = [], {}
    for chosen in combine(read(grid)):
        point = defaults | {name: typed(name, value, declared) for name, value in chosen.items()}
        key = repr(sorted(point.items()))
        if key in seen:
            raise SweepError(f"Points {seen[key]} and {len(found) + 1} are equal: {chosen}.")
        found.append(point)
        seen[key] = len(found)
    return found


def parameters(notebook: str | os.PathLike) -> dict[str, tuple[str, Any]]:
    """The notebook's parameters: the type, "" where none is known, and the default of each."""
    if not Path(notebook).is_file():
        raise SweepError(f"There is no notebook {notebook}.")
    try:
        inspected = inspect_notebook(notebook)
    except Exception as error:  # of nbformat, of json, or papermill's own
        raise SweepError(f"{notebook} cannot be read as a notebook: {error}") from error
    declared = {}
    for name, found in inspected.items():
        try:
            default = ast.literal_eval(found["default"])
        except (SyntaxError, ValueError):
            raise SweepError(
                f"{notebook}: the default of {name} is {found['default']}; a parameter must be "
                "a plain value, or else a point could not be told from another."
            ) from None
        stated = found["inferred_type_name"]
        known = stated if stated in TYPES else type(default).__name__
        declared[name] = known if known in TYPES else "", default
    if not declared:
        raise SweepError(
            f"{notebook} has no parameters: tag one of its cells `parameters` and write there, "
            "for example: seed: int = 0  # of every random draw"
        )
    return declared


def read(grid: str | os.PathLike | Mapping) -> Mapping:
    """What a grid file holds."""
    if isinstance(grid, Mapping):
        return grid
    try:
        return yaml.safe_load(Path(grid).read_text())
    except OSError as error:
        raise SweepError(f"The grid file {grid} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise SweepError(f"The grid file {grid} is not YAML: {error}") from None


def combine(grid: Mapping) -> list[dict[str, Any]]:
    """The product of the sections of a grid."""
    if not isinstance(grid, Mapping) or not grid:
        raise SweepError("The grid is empty; the simplest one is: grid: {seed: [0, 1, 2]}")
    if unknown := [section for section in grid if section not in SECTIONS]:
        raise SweepError(
            f"A grid has no section {', '.join(map(repr, unknown))}; "
            f"its sections are {', '.join(SECTIONS)}. Parameters stand within a section: "
            "grid: {noise: [0.0, 0.1]}"
        )
    parts = {}
    for section, content in grid.items():
        parts[section] = SECTIONS[section](content)
        if not parts[section]:
            raise SweepError(f"The section {section!r} of the grid is empty: {content!r}.")
    setters: dict[str, str] = {}
    for section, part in parts.items():
        for name in part[0]:
            if name in setters:
                raise SweepError(f"{name} is set by {setters[name]!r} and by {section!r}.")
            setters[name] = section
    return [
        {name: value for part in chosen for name, value in part.items()}
        for chosen in product(*parts.values())
    ]


def _mapping(section: str, content: Any) -> Mapping:
    if isinstance(content, Mapping):
        return content
    raise SweepError(f"The section {section!r} maps parameters to values; got {content!r}.")


def _grid(content):
    values = {
        name: value if isinstance(value, list) else [value]
        for name, value in _mapping("grid", content).items()
    }
    combinations = product(*values.values()) if values else []
    return [dict(zip(values, chosen, strict=True)) for chosen in combinations]


def _zip(content):
    content = _mapping("zip", content)
    lengths = {name: len(v) if isinstance(v, list) else None for name, v in content.items()}
    if None in lengths.values() or len(set(lengths.values())) > 1:
        raise SweepError(f"The lists of 'zip' must be equally long; their lengths are {lengths}.")
    return [
        dict(zip(content, chosen, strict=True)) for chosen in zip(*content.values(), strict=True)
    ]


def _list(content):
    if not isinstance(content, list) or not all(isinstance(point, Mapping) for point in content):
        raise SweepError(f"The section 'list' is a list of points; got {content!r}.")
    for point in content:
        if set(point) != set(content[0]):
            raise SweepError(
                "The points of 'list' must set the same parameters; "
                f"one sets {', '.join(content[0])}, another {', '.join(point)}."
            )
    return [dict(point) for point in content]


def _random(content):
    content = dict(_mapping("random", content))
    count, seed = content.pop("count", None), content.pop("seed", 0)
    if not _whole(count) or count < 1 or not _whole(seed):
        raise SweepError("The section 'random' needs a count, such as count: 20, and a whole seed.")
    rng = np.random.RandomState(seed)
    draws = {name: _draw(name, how, count, rng) for name, how in content.items()}
    return [dict(zip(draws, drawn, strict=True)) for drawn in zip(*draws.values(), strict=True)]


def _draw(name, how, count, rng):
    kinds = {
        "uniform": lambda low, high: rng.uniform(low, high, count),
        "loguniform": lambda low, high: np.exp(rng.uniform(np.log(low), np.log(high), count)),
        "integers": lambda low, high: rng.randint(low, high + 1, count),
        "choice": lambda *values: np.array(values, object)[rng.randint(len(values), size=count)],
    }
    [(kind, values)] = how.items() if isinstance(how, Mapping) and len(how) == 1 else [(None, None)]
    if kind not in kinds or not isinstance(values, list) or not values:
        raise SweepError(
            f"{name} is drawn by one of {', '.join(kinds)}, such as "
            f"{name}: {{uniform: [0.0, 1.0]}}; got {how!r}."
        )
    if kind != "choice" and not (
        len(values) == 2
        and all(isinstance(v, int | float) for v in values)
        and (values[0] <= values[1] and (kind != "loguniform" or values[0] > 0))
    ):
        raise SweepError(f"{name}: {kind} needs [low, high], low first; got {values!r}.")
    return kinds[kind](*values).tolist()


def _seeds(content):
    values = list(range(content)) if _whole(content) else content
    if not isinstance(values, list):
        raise SweepError(f"The section 'seeds' is a number or a list of seeds; got {content!r}.")
    return [{"seed": value} for value in values]


SECTIONS = {"grid": _grid, "zip": _zip, "list": _list, "random": _random, "seeds": _seeds}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def typed(name: str, value: Any, declared: Mapping[str, tuple[str, Any]]) -> Any:
    """The value as the parameter's type has it: 0 is 0.0 where a float is wanted."""
    if name == RECORD_PATH:
        raise SweepError(f"{RECORD_PATH} is set by the sweep: leave it out of the grid.")
    if name not in declared:
        raise SweepError(
            f"The notebook has no parameter {name!r}; it has {_listing(declared.items())}."
        )
    kind = declared[name][0]
    if kind == "float" and _whole(value):
        value = float(value)
    wrong = kind and type(value) is not TYPES[kind]
    if wrong or (isinstance(value, float) and not math.isfinite(value)):
        hint = ""
        if kind == "float" and isinstance(value, str) and _is_number(value):
            hint = f" YAML wants a point and a sign in it: {float(value):.1e}."
        raise SweepError(f"{name} must be a {kind or 'finite number'}, not {value!r}.{hint}")
    return value


def _listing(declared: Iterable) -> str:
    return ", ".join(
        f"{name}: {kind} = {default!r}" if kind else f"{name} = {default!r}"
        for name, (kind, default) in declared
        if name != RECORD_PATH
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
