"""The record that a run leaves behind: one small JSON file, whole or not there at all."""

import json
import os
from collections.abc import Iterable, Mapping
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
        of these. NaN and infinity are a ValueError, for JSON cannot say them; a value of another
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
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"parameters": dict(parameters), "metrics": dict(metrics)})


def write_json(path: str | os.PathLike, record: Mapping[str, Any]) -> None:
    """Write any JSON object in the manner of `write_record`, to a folder that exists."""
    try:
        text = as_json(record, indent=2)
    except ValueError as error:
        raise ValueError(
            f"The record for {path} holds NaN or infinity, which JSON cannot say; "
            "write None where a quantity is undefined."
        ) from error
    write_whole(path, f"{text}\n".encode(), "record")


def as_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as JSON, one a line: what a ``.jsonl`` file holds."""
    return "".join(f"{json.dumps(record)}\n" for record in records)


def point_key(record: Mapping[str, Any]) -> str:
    """What two records of the same point have in common: its parameters, as one text."""
    return json.dumps(record["parameters"], sort_keys=True)


def as_json(value: Any, **layout: Any) -> str:
    """A value as JSON, numpy's numbers as Python's; an error for what JSON cannot say."""
    return json.dumps(value, default=_python_number, allow_nan=False, **layout)


def _python_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    hint = f', but a text in quotes: "{value}"' if isinstance(value, date) else ""
    raise TypeError(f"JSON has no {type(value).__name__}{hint}")


def validate(record: Any) -> dict[str, Any]:
    """The record of a sweep's point, or a ValueError where it differs from its schema."""
    try:
        return _validate(record)
    except fastjsonschema.JsonSchemaValueException as error:
        raise ValueError(f"Not the record of a point: {error.message}.") from error
