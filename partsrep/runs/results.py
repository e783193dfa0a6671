"""The records of a sweep as one table, and a first picture of it."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal, localcontext
from pathlib import Path

import pandas as pd

from ..lazy import Lazy, matplotlib
from .parameters import RunError
from .points import RECORD, newest_plan, outcome
from .records import OWN, columns, flat, loads, point_key, validate

figures = Lazy("partsrep.figures")


def records(out: str | os.PathLike) -> list[dict]:
    """The records of a sweep, each compared with its schema.

    Of a folder they are those of its newest sweep; a warning says how many others are left out. Of
    a file they must be of one version.
    """
    out, plan, left_out = Path(out), None, 0
    if out.is_file():
        lines = enumerate(out.read_bytes().splitlines(), start=1)
        texts = {f"{out}, line {n}": text for n, text in lines if text.strip()}
    else:
        there, plan = sorted(out.glob(f"*/{RECORD}")), newest_plan(out)
        names = {path.parent.name for path in there} if plan is None else set(plan)
        texts = {str(path): path.read_bytes() for path in there if path.parent.name in names}
        left_out = len(there) - len(texts)
    found = []
    for where, text in texts.items():
        try:
            found.append(validate(loads(text)))
        except (ValueError, RecursionError) as error:
            raise RunError(f"{where}: {error}") from None
    others = (
        f"{left_out} records in {out} are not of its newest sweep, but of an older version of the "
        "notebook or of the package, or of points that have left the grid"
    )
    if not found:
        why = f": {others}." if left_out else f": a sweep with --out {out} writes them."
        raise RunError(f"There are no records in {out}{why}")
    if left_out:
        warnings.warn(f"{others}; they are left out.", stacklevel=2)
    if plan is None:
        _refuse_several_versions(found, out)
    return found


def _refuse_several_versions(found: list[dict], out: Path) -> None:
    """Without the plan of a sweep, nothing tells which version is wanted."""
    versions = {(r["notebook_code"], r["code"]) for r in found if "notebook_code" in r}
    [(point, count)] = Counter(map(point_key, found)).most_common(1)
    if len(versions) > 1:
        what = f"{len(versions)} versions of the notebook or of the package"
    elif count > 1:
        what = f"several versions, or of several sweeps: {count} are of the point {point}"
    else:
        return
    raise RunError(
        f"The records in {out} are of {what}. Sweep with --out {out} again, whose plan then "
        "tells which are current, or keep each version in a place of its own."
    )


def results(out: str | os.PathLike) -> pd.DataFrame:
    """One row a point: its parameters, what it found, its error, and what it took.

    Parameters
    ----------
    out : path
        The folder of a sweep, or a ``.jsonl`` file of records.

    Returns
    -------
    DataFrame
        Columns are named like the parameters and like the metrics; a metric within another has a
        dotted name, such as ``planted.mcc``. Then come ``error``, empty where all went well,
        ``seconds``, ``cpu_seconds``, ``peak_memory`` (bytes) and ``host``. A parameter that is
        named like one of these is called ``parameters.NAME``, and a metric that is named like one
        or like a parameter ``metrics.NAME``. ``frame.attrs`` says which columns are "parameters"
        and which are "metrics".
    """
    return tidy(records(out))


def tidy(found: Iterable[dict]) -> pd.DataFrame:
    """The table of some records; see `results`."""
    found = list(found)
    parameters = pd.DataFrame([record["parameters"] for record in found], dtype=object)
    try:
        metrics = pd.DataFrame([flat(record["metrics"]) for record in found])
        own = columns(parameters, "parameters")
        measured = columns(metrics, "metrics", own.values())
    except ValueError as error:
        raise RunError(str(error)) from None
    machine = pd.DataFrame([record["machine"] for record in found])
    rest = machine[list(OWN[1:])]
    rest.insert(0, OWN[0], [outcome(record) for record in found])
    # None stays None, and the numbers beside it what they are.
    parameters = parameters.apply(lambda own: own if own.hasnans else own.infer_objects())
    parameters, metrics = parameters.rename(columns=own), metrics.rename(columns=measured)
    table = pd.concat([parameters, metrics, rest], axis=1)
    table = table.sort_values(list(parameters), ignore_index=True, key=_sortable)
    table.attrs = {"parameters": list(parameters), "metrics": list(metrics)}
    return table


def _sortable(column: pd.Series) -> pd.Series:
    """None, lists and mappings, which a parameter may be, have no order of their own: as texts."""
    return column.map(str) if column.dtype == object else column


def picture(
    table: pd.DataFrame, x: str, y: str, color: str | None = None
) -> matplotlib.figure.Figure:
    """A first picture of a sweep. Whatever it does not show is averaged over.

    Two parameters `x` and `y` with a metric as `color` make a heat map of means; its label says
    how wide their 95 % intervals are at most. A metric as `y` makes dots over an `x` of numbers,
    and their means with intervals, in a colour for each value of the parameter `color`, if given.

    Parameters
    ----------
    table : DataFrame
        Of `results`.
    x, y, color : str
        Names of columns.
    """
    parameters = table.attrs["parameters"]
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name])]
    metrics = [name for name in numbers if name not in parameters]
    others = [name for name in parameters if name != x]
    factors = parameters if y in parameters else [name for name in parameters if name in numbers]
    wanted = {"x": (x, factors), "y": (y, [*others, *metrics])}
    wanted["color"] = (color, metrics if y in parameters else [None, *parameters])
    for axis, (name, names) in wanted.items():
        if name not in names:
            shown = ", ".join(filter(None, names))
            raise RunError(f"{axis} must be one of {shown}; got {name!r}.")
    sound = table[table["error"].isna()].dropna(subset=[y if color is None else color])
    if sound.empty:
        raise RunError("No point has such a number: there is nothing to plot.")
    sound = sound.assign(**{name: _sortable(sound[name]) for name in parameters})
    if y in parameters:
        cells = sound.pivot_table(index=y, columns=x, values=color, aggfunc="mean")
        widest = sound.groupby([y, x])[color].agg(figures.within).max()
        within = f"\n± {_rounded_up(widest)} at most" if widest > 0 else ""
        names = {"xlabel": x, "ylabel": y, "label": color + within}
        return figures.heat_map(cells.to_numpy(), cells.columns, cells.index, **names)
    groups = sound.groupby(color) if color else [("", sound)]
    curves = {str(value): (group[x], group[y]) for value, group in groups}
    return figures.trend(curves, xlabel=x, ylabel=y, legend=color or "")


def _rounded_up(width: float) -> str:
    """Two digits that are no less."""
    with localcontext(rounding=ROUND_CEILING):
        return f"{Decimal(width):.2g}"
