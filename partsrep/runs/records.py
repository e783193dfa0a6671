"""The record that a run leaves behind: one small JSON file, whole or not there at all."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np

from ..disk import write_whole

#: What the record of a sweep's point looks like, in the words of json-schema.org.
SCHEMA = json.loads(Path(__file__).with_name("record.schema.json").read_text())
_validate = fastjsonschema.compile(SCHEMA)


def write_record(
    path: str | os.PathLike, parameters: Mapping[str, Any], metrics: Mapping[str, Any]
) -> None:
    """Write ``{"parameters": …, "metrics": …}`` as JSON to `path`, replacing an older record.

    A run that is stopped half-way leaves the older record, or none: the file appears at once. Its
    folder is made if it is not there, for a run that ends here would otherwise have been in vain.

    Parameters
    ----------
    path : str or path
    parameters, metrics : mapping
        What the run was given, and what it found: strings, Python or numpy numbers, lists and dicts
        of these. NaN and infinity are a ValueError, for JSON cannot say them; so are two metrics
        that would have one name in a table, as ``{"a": {"b": 1}, "a.b": 2}``. A value of another
        kind, such as an array, is a TypeError.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "record.json")
    ...     write_record(path, {"seed": 0}, {"loss": 0.25})
    ...     json.loads(path.read_text())
    {'parameters': {'seed': 0}, 'metrics': {'loss': 0.25}}
    """
    for what, given in (("parameters", parameters), ("metrics", metrics)):
        if not isinstance(given, Mapping):
            raise TypeError(f"{what} must be a mapping, such as a dict; got {given!r}.")
    found = flat(metrics)
    columns(found, "metrics", columns(parameters, "parameters").values())
    for name, value in (*parameters.items(), *found.items()):
        with _said_of(f"{name} in the record for {path}"):
            as_json(value)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"parameters": dict(parameters), "metrics": dict(metrics)})


def write_json(path: str | os.PathLike, record: Mapping[str, Any]) -> None:
    """Write any JSON object in the manner of `write_record`, to a folder that exists."""
    with _said_of(f"The record for {path}"):
        text = as_json(record, indent=2)
    write_whole(path, f"{text}\n".encode(), "record")


def flat(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics within metrics by dotted names; a ValueError where two have the same name.

    Examples
    --------
    >>> flat({"loss": 0.5, "planted": {"mcc": 1.0}})
    {'loss': 0.5, 'planted.mcc': 1.0}
    """
    found: dict[str, Any] = {}
    places: dict[str, str] = {}
    for place, names, value in _leaves(metrics):
        name = ".".join(names)
        if name in found:
            raise ValueError(
                f"metrics{places[name]} and metrics{place} would both be the column {name!r} of a "
                "table: rename one."
            )
        found[name], places[name] = value, place
    return found


def _leaves(metrics: Mapping) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Where each value is, in Python's words, and the names on the way there, in JSON's."""
    for key, value in metrics.items():
        within = _leaves(value) if isinstance(value, Mapping) else [("", (), value)]
        name = key if isinstance(key, str) else json.dumps(key, default=str)
        for place, names, leaf in within:
            yield f"[{key!r}]{place}", (name, *names), leaf


#: Columns of a table of records beside their parameters and metrics.
OWN = ("error", "seconds", "cpu_seconds", "peak_memory", "host")


def columns(names: Iterable[str], prefix: str, taken: Iterable[str] = ()) -> dict[str, str]:
    """The column of each name in a table, ``PREFIX.NAME`` where NAME is `taken` or one of `OWN`; a
    ValueError where two have the same."""
    used, found = {*OWN, *taken}, {}
    for name in names:
        column = f"{prefix}.{name}" if name in used else name
        if column in used or column in found.values():
            others = [f"{prefix} {other!r}" for other in found if found[other] == column]
            raise ValueError(
                f"{prefix} {name!r} and {''.join(others) or 'another'} would both be the column "
                f"{column!r} of a table: rename one."
            )
        found[name] = column
    return found


@contextmanager
def _said_of(what: str) -> Iterator[None]:
    """Have an error of `as_json` say what it is of."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"{what}: JSON cannot say it ({error}); where a quantity is undefined, NaN or "
            "infinity, write None."
        ) from error


def as_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as JSON, one a line: what a ``.jsonl`` file holds."""
    return "".join(f"{json.dumps(record)}\n" for record in records)


def point_key(record: Mapping[str, Any]) -> str:
    """What two records of the same point have in common: its parameters, as one text."""
    return json.dumps(record["parameters"], sort_keys=True)


def loads(text: str | bytes) -> Any:
    """What JSON says, in which no key comes twice: Python's own reader forgets the first."""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _), *_] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"The key {name!r} comes twice.")
    return found


def as_json(value: Any, **layout: Any) -> str:
    """A value as JSON, numpy's numbers as Python's; an error for what JSON cannot say."""
    return json.dumps(value, default=_python_number, allow_nan=False, **layout)


def _python_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    hint = f', but a text in quotes: "{value}"' if isinstance(value, date) else ""
    if hasattr(value, "tolist"):  # of an array or a tensor
        hint = ", but lists: call its tolist()"
    raise TypeError(f"JSON has no {type(value).__name__}{hint}")


def validate(record: Any) -> dict[str, Any]:
    """The record of a sweep's point, or a ValueError where it differs from its schema, or where
    two of its metrics have one name."""
    try:
        record = _validate(record)
    except fastjsonschema.JsonSchemaValueException as error:
        raise ValueError(f"Not the record of a point: {error.message}.") from error
    flat(record["metrics"])
    return record
