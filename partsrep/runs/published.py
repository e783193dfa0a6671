"""The published sweeps: their records are rerun, or a random sample of them, and compared.

``book/results/sweeps.yml`` names them. Each has its grid in ``book/results/NAME.yml`` and its
records in ``book/results/NAME.jsonl``, one a line.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..datasets.files import DataNotFound
from ..disk import write_whole
from .driver import plan, sweep
from .parameters import RunError, read_yaml
from .points import Point, stored
from .records import as_lines, point_key
from .results import records

FOLDER = Path("book/results")
# Two means over ten starts each differ by more standard errors of the difference about once in
# 6000 pairs of records where other starts find other minima, and less often from rounding alone.
ERRORS = 5


def published(root: Path) -> dict[str, dict[str, Any]]:
    """The published sweeps: of each the notebook, and how far a number may be off."""
    listed = root / FOLDER / "sweeps.yml"
    if not listed.is_file():
        raise RunError(f"There is no {listed}: run this in the folder of _config.yml.")
    return read_yaml(listed)


def publish(root: Path) -> None:
    """Run every published sweep in ``build/sweeps`` and renew its records; can be stopped.

    If a point fails, the records in ``book/results`` are left as they were. So are those that are
    marked as *once*: outcomes of what was foretold, and of files that few machines have.
    """
    for name, entry in published(root).items():
        if entry.get("once"):
            print(f"{name}: its records are made once and stay; partsrep check runs some again.")
            continue
        with chdir(root):  # so that a notebook is named as in the repository
            arguments = entry["notebook"], FOLDER / f"{name}.yml", Path("build/sweeps", name)
            ended = sweep(*arguments)
            print(ended)
            planned = plan(*arguments)
            if ended.failed or planned.todo:
                raise RunError(
                    f"{name}: {ended.failed} points failed and {len(planned.todo)} are left; its "
                    "records stay as they are."
                )
            # By name, for the folder may hold records of older versions, too.
            found = [stored(planned.out, point) for point in planned.points]
            write_whole(FOLDER / f"{name}.jsonl", as_lines(found).encode())


def check(root: Path, sample: int, seed: int) -> list[str]:
    """What is stale in the published records; nothing, if all is well.

    Every record must be of a point of its grid and every point have one, without an error, and all
    be of one version of the package. Then a random sample of each sweep is run again, and its
    metrics compared within the tolerances and the standard errors that come with them. A point
    whose data are not on this machine is left out, and a line says so.
    """
    stale, again = [], defaultdict(list)
    for name, entry in published(root).items():
        try:
            held = records(root / FOLDER / f"{name}.jsonl")
        except RunError as error:  # such as records of several versions
            stale.append(f"{name}: {error}")
            continue
        with chdir(root):
            planned = plan(entry["notebook"], FOLDER / f"{name}.yml", Path("build/sweeps", name))
        points = {point_key(vars(point)): point for point in planned.points}
        before = {point_key(record): record for record in held}
        there = sorted(set(points) & set(before))
        counts = {
            "points of its grid have no record": len(points) - len(there),
            "records are of no point of its grid": len(before) - len(there),
            "records come twice": len(held) - len(before),
            "records hold an error": sum(record["error"] is not None for record in held),
        }
        stale += [f"{name}: {count} {what}" for what, count in counts.items() if count]
        chosen = random.Random(seed).sample(there, min(sample, len(there)))
        print(f"{name}: {len(chosen)} points are run again.")
        again[entry["notebook"]] += [(name, entry, points[key], before[key]) for key in chosen]
    for notebook, chosen in again.items():
        if not chosen:
            continue
        after = run_again(root, notebook, [point for _, _, point, _ in chosen])
        for name, entry, _, before in chosen:
            record = after[point_key(before)]
            if (record["error"] or {}).get("type") == DataNotFound.__name__:
                print(
                    f"{name}, {record['parameters']}: left out, for its data are not on this "
                    f"machine. {record['error']['message']}"
                )
                continue
            pair = (compared(both, entry.get("compared")) for both in (before, record))
            found = differences(*pair, entry["rtol"], entry["atol"])
            stale += [f"{name}, {record['parameters']}: {one}" for one in found]
    return stale


def run_again(root: Path, notebook: str, points: list[Point]) -> dict[str, dict[str, Any]]:
    """The records of some points of one notebook, of several grids, by their keys."""
    set_by_any = {name for point in points for name in point.given}
    listed = {
        point_key(vars(point)): {name: point.parameters[name] for name in set_by_any}
        for point in points
    }
    with chdir(root), TemporaryDirectory() as out:
        sweep(notebook, {"list": list(listed.values())}, out)
        return {point_key(record): record for record in records(out)}


def compared(record: dict[str, Any], names: list[str] | None) -> dict[str, Any]:
    """What a record says: all of its metrics, or some.

    Examples
    --------
    >>> compared({"metrics": {"word": "agree", "turned": 1 / 6}, "error": None}, ["word"])
    {'metrics': {'word': 'agree'}, 'error': None}

    A name that is no metric is an error: else nothing would be compared.

    >>> compared({"metrics": {"word": "agree"}, "error": None}, ["wrod"])
    Traceback (most recent call last):
    partsrep.runs.parameters.RunError: ...sweeps.yml has wrod under `compared`, but ... are word.
    """
    metrics = record["metrics"]
    if names is None or record["error"]:
        return {"metrics": metrics, "error": record["error"]}
    if unknown := [name for name in names if name not in metrics]:
        raise RunError(
            f"{FOLDER / 'sweeps.yml'} has {', '.join(unknown)} under `compared`, but the metrics "
            f"of its records are {', '.join(metrics)}."
        )
    return {"metrics": {name: metrics[name] for name in names}, "error": None}


def differences(before: Any, now: Any, rtol: float, atol: float, name: str = "") -> Iterator[str]:
    """Where two records differ: numbers by more than atol + rtol·|before|, all else at all.

    A mean that has its standard error beside it, as "mcc" has in "mcc_se", may differ by ERRORS
    times the standard error of the difference in addition. The standard errors are not compared.

    Examples
    --------
    >>> list(differences({"mcc": 0.5, "runs": [1]}, {"mcc": 0.52, "runs": [1]}, 0.1, 0))
    []
    >>> list(differences({"mcc": 0.5, "runs": [1]}, {"mcc": 0.6, "runs": [1]}, 0.1, 0))
    ['mcc was 0.5, now is 0.6']
    >>> list(differences({"mcc": 0.5, "mcc_se": 0.03}, {"mcc": 0.6, "mcc_se": 0.0}, 0, 0))
    []
    """
    if isinstance(before, dict) and isinstance(now, dict) and set(before) == set(now):
        for key in before:
            if key.removesuffix("_se") in before.keys() - {key}:
                continue
            errors = (record.get(f"{key}_se") or 0.0 for record in (before, now))
            room = atol + ERRORS * math.hypot(*errors)
            inner = f"{name}.{key}" if name else key
            yield from differences(before[key], now[key], rtol, room, inner)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for place, pair in enumerate(zip(before, now, strict=True)):
            yield from differences(*pair, rtol, atol, f"{name}[{place}]")
    elif before != now:
        numbers = all(isinstance(one, int | float) for one in (before, now))
        flags = any(isinstance(one, bool) for one in (before, now))
        if flags or not numbers or abs(now - before) > atol + rtol * abs(before):
            yield f"{name} was {before!r}, now is {now!r}"
