"""How a glued number becomes words: no rounding makes it say what cannot be.

A number in prose is glued as ``{glue:text}`key:format` ``. Beside Python's own formats there are

===============  =================================================================================
``count``        a whole number; anything else is an error
``score.2f``     a cosine, a share or another number between −1 and 1; anything beyond is an error
``least.2f``     rounded down, for *at least …*, *… or more*: the sentence stays true
``most.1%``      rounded up, for *at most …*, *up to …*
``below.1e-10``  this bound in place of the number, which is an error if it is not below it
``above.5%``     so too, for a number that has to be above
===============  =================================================================================

A bound is for what only has to be small or large, such as a residual or the worst of some starts:
its digits are another machine's choice.

In every format a zero has no sign, and a number that is whole has no decimals unless it is a score:
*3 starts*, not *3.0*. No line breaks between a ± and its number.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext

from docutils import nodes
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import crossref, roles

DIRECTIONS = {"least": ROUND_FLOOR, "most": ROUND_CEILING, "score": ROUND_HALF_EVEN}
ROUNDING = 1e-9  # by so much a score may be computed to lie beyond its bounds


def in_words(text: str, form: str) -> str:
    """A glued value, as the text that a notebook keeps of it, in one of the formats above.

    Raises
    ------
    ValueError
        If the number is not of the kind that its format is for.
    """
    kind, _, digits = form.partition(".")
    if form == "count":
        if float(text) % 1:
            raise ValueError(f"{text} is no count: a count is a whole number.")
        return f"{float(text):.0f}"
    if kind in ("below", "above"):
        bound = bound_of(digits)
        if not (float(text) < bound if kind == "below" else float(text) > bound):
            raise ValueError(f"{text} is not {kind} {digits}: the sentence is false.")
        return digits
    if kind in DIRECTIONS:
        value, form = float(text), f".{digits}"
        if kind == "score":
            if not abs(value) <= 1 + ROUNDING:
                raise ValueError(f"{text} is no score: a score is between -1 and 1.")
            value = min(max(value, -1.0), 1.0)
        with localcontext(rounding=DIRECTIONS[kind]):
            words = format(Decimal(value), form)
        return words if kind == "score" else _whole(words, value, form)
    words = format_plain_text(text, form)
    if form == "s":  # as it was glued, such as a name or a count
        return words.removesuffix(".0")
    return _whole(words, float(text), form) if form[-1:] in tuple("ef%") else words


def bound_of(words: str) -> float:
    """The number that a bound in prose stands for."""
    return float(words.removesuffix("%")) / 100 if words.endswith("%") else float(words)


def _whole(words: str, value: float, form: str) -> str:
    """The words without the sign of a zero and without the decimals of a whole number."""
    if not any(digit in words.partition("e")[0] for digit in "123456789"):
        words = words.lstrip("+-")
    if form[-1] == "f" and value % 1 == 0:
        words = words.partition(".")[0]
    return words


def bind(app, doctree):
    """Keep each ± on the line of the number after it."""
    for text in list(doctree.findall(nodes.Text)):
        if "± " in text:
            text.parent.replace(text, nodes.Text(text.replace("± ", "±\u00a0")))


def setup(app):
    app.connect("doctree-read", bind)
    # The two places where MyST-NB formats text: on the page of the notebook, and on other pages.
    roles.format_plain_text = crossref.format_plain_text = in_words
    return {"parallel_read_safe": True, "parallel_write_safe": True}
