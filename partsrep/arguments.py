"""What numbers and choices are accepted, and the errors the others get: without any import that
is slow."""

import math
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from numbers import Integral, Real
from typing import Any


def check_choice(
    name: str, value: Any, names: Iterable[Any], objects: str = "", kind: Any = ()
) -> Any:
    """The choice that is one of `names`, or what it stands for if these are the keys of a dict, or
    the object of a `kind` in its place.

    The error for any other lists what is accepted, with `objects` such as ``"TopK(k) Simplex()"``,
    and says what to write where a class, a name or another library's object stands for one.

    Examples
    --------
    >>> check_choice("codes", "TopK", {"relu": None}, "TopK(k)", int)
    Traceback (most recent call last):
    ...
    ValueError: codes='TopK' is not known; choose one of 'relu', TopK(k). Here: codes=TopK(k).
    """
    if isinstance(value, kind):
        return value
    meanings = names if isinstance(names, dict) else dict(zip(names, names, strict=True))
    with suppress(KeyError, TypeError):  # no name, or nothing that could be one
        return meanings[value]
    own = value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
    choices = [*map(repr, meanings), *objects.split()]
    meant = [c for c in choices if c.partition("(")[0].strip("'").lower() == own.lower()]
    hint = f" Here: {name}={meant[-1]}." if meant else ""
    raise ValueError(f"{name}={value!r} is not known; choose one of {', '.join(choices)}.{hint}")


def check_integer(name: str, value: Any, minimum: int = 1) -> int:
    """`value` as an int; a ValueError unless it is an integer of at least `minimum` that the
    machine can count to."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; got {value!r}.")
    if value > sys.maxsize:
        raise ValueError(f"{name} must be at most {sys.maxsize}; got {value!r}.")
    return int(value)


def check_number(
    name: str,
    value: Any,
    minimum: float = 0.0,
    maximum: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """`value` as a float; a ValueError unless it is finite and within the bounds.

    They are allowed themselves, unless it must be `above` the minimum or `below` the maximum.
    """
    given = isinstance(value, Real) and not isinstance(value, bool)
    try:
        number = float(value) if given else math.nan
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    outside = not minimum <= number <= maximum or not math.isfinite(number)
    if outside or (above and number == minimum) or (below and number == maximum):
        least = f" {'above' if above else 'of at least'} {minimum:g}" * (minimum > -math.inf)
        most = f" {'below' if below else 'at most'} {maximum:g}" * (maximum < math.inf)
        bounds = " and".join(filter(None, (least, most)))
        raise ValueError(f"{name} must be a finite number{bounds}; got {value!r}.")
    return number


def check_fields(choice: Any, check: Callable[..., Any], *names: str, **bound: Any) -> None:
    """Check fields of a frozen dataclass, which become what the check returns: plain numbers."""
    for name in names:
        value = check(f"{type(choice).__name__}'s {name}", getattr(choice, name), **bound)
        object.__setattr__(choice, name, value)
