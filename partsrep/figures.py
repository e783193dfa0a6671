"""The pictures of the book: one function each for those of several pages, `new` for others.

A function takes plain arrays and returns a `matplotlib.figure.Figure`, which a notebook shows once
when it is the last expression of a cell. Pyplot is not involved and no global setting changes.
Parts and samples are rows; an `image_shape` (h, w) makes pictures of them. Arrays must be filled
and finite, and those that go together of one length: else a ValueError says which are not, and so
it does where there is nothing to show.

One picture serves a white page and a dark one: the background is transparent, the ink a mid-tone
with a contrast above 4:1 on both, and the colours those of Okabe and Ito (2008), for colour-blind
readers, that are visible on both. A notebook shows SVG in which the ink is `currentColor` and the
colours are variables, so that a page may give them more contrast and its own letters; what is a
raster stays one. Letters are laid out for a phone, and a page may make them smaller on a desk.

Parts have one colour map: zero is transparent, positive is blue, negative is vermilion. Each part
is divided by its own largest magnitude: colour says where a part is, not how strong it is. Parts
that are lit nearly everywhere are photographs, with white for bright.
"""

import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogFormatterMathtext, MaxNLocator
from numpy.typing import ArrayLike
from scipy.special import stdtrit

WIDTH = 7.0  # inches: 700 pixels on a desk, 350 on a phone
FONT = 16  # points: 8 remain on the phone
INK = "#797979"
COLOURS = BLUE, VERMILION, GREEN, PURPLE = "#2B88CC", "#D55E00", "#009E73", "#CC79A7"
VARIABLES = {
    INK: "currentColor",
    **{
        colour: f"var(--figure-{name}, {colour})"
        for name, colour in zip(("blue", "vermilion", "green", "purple"), COLOURS, strict=True)
    },
}
DASHES = "-", "--", "-.", ":"
MARKERS = "o", "s", "^", "D"
CENTRED = {"ha": "center", "va": "center"}
NAMESPACES = {"": "http://www.w3.org/2000/svg", "xlink": "http://www.w3.org/1999/xlink"}
SUPERSCRIPTS = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
_LEVELS = np.linspace(-1, 1, 257)  # an odd number, so that zero has a colour of its own
SIGNED = ListedColormap(
    # The power lets weak values be seen on a dark page too.
    [to_rgba(BLUE if level > 0 else VERMILION, abs(level) ** 0.75) for level in _LEVELS]
)
STYLE = {
    "figure.dpi": 144,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelpad": 12,  # a page may make the letters of the ticks larger
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": "DejaVu Sans",  # the one that comes with matplotlib
    "font.size": FONT,
    "figure.titlesize": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "legend.fontsize": FONT,
    "legend.frameon": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 7,
    "text.color": INK,
    "image.interpolation": "none",  # the browser gets the pixels themselves
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "partsrep",  # the same picture has the same file
}


class BookFigure(Figure):
    """A figure as wide as the page, that a notebook shows without being told to plot inline."""

    def __init__(self, height: float, layout: str = "constrained"):
        super().__init__(figsize=(WIDTH, height), layout=layout)

    def _repr_svg_(self) -> str:
        svg = io.StringIO()
        with matplotlib.rc_context(STYLE):
            # Uncropped, so that all lettering has one size.
            self.savefig(svg, format="svg", metadata={"Date": None})
        return themed(svg.getvalue())


def themed(svg: str) -> str:
    """A figure's SVG in the colours and letters of the page around it, and not longer than need be.

    Outside of a page that styles `svg.figure` it has the ink and the colours of this module.
    """
    for namespace in ("", "xlink"):
        ElementTree.register_namespace(namespace, NAMESPACES[namespace])
    root = ElementTree.fromstring(svg)
    for rest in (*root.findall("{*}metadata"), *root.findall("{*}defs")[:1]):
        root.remove(rest)  # the first definitions are a style for all that is around
    root.attrib |= {
        "class": "figure",
        "color": INK,
        "font-family": "DejaVu Sans, sans-serif",
        "font-size": f"{FONT}px",
        "stroke-linejoin": "round",
    }
    referred = set(re.findall(r"#([\w-]+)", svg))
    for element in root.iter():
        legend = (element.get("id") or "").startswith("legend")
        if legend or len(element.findall("{*}text")) > 1:  # lines of one text, which begin in place
            element.set("class", "legend")  # a phone's larger letters would lie on each other
        if element.get("id") not in referred:
            element.attrib.pop("id", None)
        if style := element.get("style"):
            element.set("style", _themed_style(style))
        for name in {"d", "x", "y", "transform"} & set(element.attrib):
            # A hundredth of a point is not seen.
            short = re.sub(r"(\.\d\d)\d+", r"\1", element.attrib[name])
            element.set(name, " ".join(short.split()))
    return ElementTree.tostring(root, encoding="unicode")


def _themed_style(style: str) -> str:
    """The page's colours for ours, its letters, and their size relative to the picture's."""
    for colour, variable in VARIABLES.items():
        style = re.sub(colour, variable, style, flags=re.IGNORECASE)
    style = re.sub(r"font-family: [^;]*;? ?", "", style)
    style = re.sub(rf"font-size: {FONT}px;? ?", "", style)
    return re.sub(
        r"font-size: ([\d.]+)px", lambda px: f"font-size: {float(px[1]) / FONT:.3g}em", style
    )


@contextmanager
def new(height: float) -> Iterator[BookFigure]:
    """An empty figure as wide as the page, in the book's style while it is drawn.

    Examples
    --------
    >>> with new(height=4.2) as picture:
    ...     _ = picture.subplots().plot([1, 4, 9], color=BLUE)
    >>> picture.axes[0].xaxis.label.get_color() == INK
    True
    """
    with matplotlib.rc_context(STYLE):
        figure = BookFigure(height)
        yield figure
    _style_ticks(figure)


class _Powers(LogFormatterMathtext):
    """10³ in plain letters: a formula would be set letter by letter, in one size only."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        found = re.search(r"(?:(\d+)\\times)?10\^\{(.?\d+)\}", super().__call__(x, pos))
        if not found:
            return ""
        power = "10" + found[2].translate(SUPERSCRIPTS)
        return f"{found[1]}·{power}" if found[1] else power


def _style_ticks(figure: Figure) -> None:
    """Ticks are made when they are first drawn, outside the context of the style."""
    for axes in figure.axes:
        axes.tick_params(which="both", color=INK, labelcolor=INK, labelsize=FONT)
        for axis in axes.xaxis, axes.yaxis:
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter(_Powers())
            if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
                axis.set_minor_formatter(_Powers(labelOnlyBase=False, minor_thresholds=(1, 0.4)))


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the book's style and leave the reader's own settings alone."""

    @functools.wraps(draw)
    def styled(*args, **kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            figure = draw(*args, **kwargs)
        _style_ticks(figure)
        return figure

    return styled


def _finite(name: str, values: ArrayLike, ndim: int = 2) -> np.ndarray:
    values = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=float)
    if values.ndim != ndim or values.size == 0:
        raise ValueError(f"{name} must be a filled {ndim}-D array, not of shape {values.shape}.")
    if not np.isfinite(values).all():
        where = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(f"{name} must be finite, but holds NaN or infinity, first at {where}.")
    return values


def _images(name: str, values: ArrayLike, image_shape: tuple[int, int]) -> np.ndarray:
    """The rows of a matrix as images, (m, h, w)."""
    values = _finite(name, values)
    if np.shape(image_shape) != (2,):
        raise ValueError(f"image_shape must be (height, width), but is {image_shape!r}.")
    height, width = image_shape
    if height * width != values.shape[1]:
        raise ValueError(
            f"image_shape ({height}, {width}) has {height * width} pixels, "
            f"but the rows of {name} have {values.shape[1]} entries."
        )
    return values.reshape(-1, height, width)


def _equal_counts(what: str, counts: Mapping[str, int]) -> None:
    if len(set(counts.values())) > 1:
        raise ValueError(f"{what} must come in equal numbers, but these are {counts}.")


def _filled(name: str, mapping: Mapping) -> None:
    if not mapping:
        raise ValueError(f"{name} is an empty dict: there is nothing to show.")


def _columns(count: int, most: int) -> int:
    """Of the numbers of columns from `most` to half of it, the one with the fullest last row."""
    return min(count, min(range(most, most // 2, -1), key=lambda columns: -count % columns))


def _picture(axes: Axes, image: np.ndarray, **colours) -> None:
    axes.set(xticks=[], yticks=[], box_aspect=image.shape[0] / image.shape[1])
    axes.spines[:].set(visible=True, linewidth=0.5)
    axes.imshow(image, aspect="auto", **colours)


def _colours(*parts: np.ndarray) -> dict:
    """How parts scaled to 1 are coloured: photographs in greys, all others by their sign."""
    shown = [part for part in np.concatenate(parts) if part.any()]
    lit = [np.mean(part > 0.05 * np.abs(part).max()) for part in shown]
    if shown and np.median(lit) > 0.6 and min(part.min() for part in shown) >= 0:
        return {"cmap": "gray", "vmin": 0, "vmax": 1}
    return {"cmap": SIGNED, "vmin": -1, "vmax": 1}


def _part(axes: Axes, part: np.ndarray, colours: dict) -> None:
    """A part as a picture, divided by its largest magnitude; an empty frame if it is dead."""
    largest = np.abs(part).max()
    _picture(axes, part / (largest or 1), **colours)
    if not largest:
        axes.text(0.5, 0.5, "dead", transform=axes.transAxes, **CENTRED)


def _heat(figure: Figure | SubFigure, values: np.ndarray, label: str, limit: float) -> Axes:
    """A matrix in the colours of the parts, with a colour bar up to `limit`."""
    axes = figure.subplots()
    axes.spines[:].set(visible=True, linewidth=0.5)
    colours = {"cmap": SIGNED, "vmin": -limit, "vmax": limit}
    image = axes.imshow(values, aspect="auto", **colours)
    bar = figure.colorbar(image, ax=axes, label=label)
    bar.ax.set_ylim(-limit if values.min() < 0 else 0, limit)
    bar.outline.set(linewidth=0.5)
    for axis in axes.xaxis, axes.yaxis:
        axis.set_major_locator(MaxNLocator(6, integer=True))
    return axes


def _rows(
    names: Sequence[str], rows: Sequence[np.ndarray], below: float = 0
) -> tuple[Figure, np.ndarray]:
    """A named row of frames for each array of images, wrapped to be legible on a phone.

    The frames come as rows × images. `below` inches remain for a second subfigure.
    """
    count, height, width = rows[0].shape
    columns = _columns(count, 8)
    blocks = -(-count // columns)
    margin = 0.13 * max(len(line) for name in [*names, "cosine"] for line in name.split("\n"))
    side = min((WIDTH - margin) / columns, WIDTH / 4)
    above = blocks * (len(rows) * side * height / width + 0.4)
    layout = "constrained" if below else "compressed"  # compressing would cut off a subfigure
    figure = BookFigure(above + below, layout)
    upper = figure.subfigures(2, 1, height_ratios=[above, below])[0] if below else figure
    frames = upper.subplots(blocks * len(rows), columns, squeeze=False)
    frames = frames.reshape(blocks, len(rows), columns)
    for block in frames:
        for name, first in zip(names, block[:, 0], strict=True):
            name_row(first, name)
    frames = frames.transpose(1, 0, 2).reshape(len(rows), -1)
    for unused in frames[:, count:].flat:
        unused.remove()
    return figure, frames[:, :count]


def _matched(
    names: Sequence[str], rows: Sequence[np.ndarray], cosines: ArrayLike | None, below: float = 0
) -> Figure:
    figure, frames = _rows(names, rows, below)
    colours = _colours(*rows)
    for frame, image in zip(frames.flat, np.concatenate(rows), strict=True):
        _part(frame, image, colours)
    if cosines is not None:
        for frame, cosine in zip(frames[-1], cosines, strict=True):
            frame.set_xlabel(f"{cosine:.2f}", labelpad=4)
        for first in frames[-1, :: _columns(len(cosines), 8)]:
            beside = {"ha": "right", "va": "top", "textcoords": "offset points"}
            first.annotate("cosine", (0, 0), (-4, -4), xycoords="axes fraction", **beside)
    return figure


@_styled
def parts(
    components: ArrayLike,
    image_shape: tuple[int, int] | None,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
) -> Figure:
    """Show the parts: a montage of pictures, or a heat map where they are no pictures.

    Parameters
    ----------
    components : array (m, d)
        One part a row, as in `components_`. Each is divided by its largest magnitude.
    image_shape : (h, w) or None
        None draws each part as a row of a heat map.
    titles : m strings, optional
        One for each part.
    columns : int, optional
        Of the montage; by default at most 8, or 5 with titles, as legible on a phone.

    Examples
    --------
    >>> figure = parts([[1, 0, 0, 0], [0, 2, 2, 0]], (2, 2))
    >>> figure.axes[1].images[0].get_array().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    components = _finite("components", components)
    m = len(components)
    if titles is not None:
        _equal_counts("Parts and titles", {"parts": m, "titles": len(titles)})
    if image_shape is None:
        largest = np.abs(components).max(axis=1, keepdims=True)
        figure = BookFigure(min(2.5 + 0.3 * m, WIDTH))
        axes = _heat(figure, components / np.where(largest, largest, 1), "scaled weight", 1)
        axes.set(xlabel="feature", ylabel="part")
        if titles is not None:
            axes.set_yticks(range(m), titles)
        return figure
    images = _images("components", components, image_shape)
    columns = columns or _columns(m, 8 if titles is None else 5)
    side = min(WIDTH / columns, WIDTH / 4)
    height = side * image_shape[0] / image_shape[1] + (0.35 if titles else 0)
    rows = -(-m // columns)
    figure = BookFigure(rows * height, "compressed")
    frames = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = _colours(images)
    for frame, image, title in zip(frames, images, titles or [""] * m, strict=False):
        _part(frame, image, colours)
        frame.set_title(title)
    for unused in frames[m:]:
        unused.remove()
    return figure


@_styled
def matched(
    parts: Mapping[str, ArrayLike],
    image_shape: tuple[int, int],
    *,
    cosines: ArrayLike | None = None,
) -> Figure:
    """Show matched parts: a row for each method, a column for each pair.

    Parameters
    ----------
    parts : dict of arrays (m, d)
        The parts of each method by its name, in matched order. Each part is divided by its largest
        magnitude; one that is zero is an empty frame marked dead.
    image_shape : (h, w)
    cosines : array (m,), optional
        Cosine of each pair, printed beneath it.

    Examples
    --------
    >>> figure = matched({"NMF": [[1, 0]], "SAE": [[0, 0]]}, (1, 2), cosines=[0])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['', '0.00']
    """
    _filled("parts", parts)
    rows = [_images(f"parts[{name!r}]", parts[name], image_shape) for name in parts]
    _equal_counts("Matched parts", dict(zip(parts, map(len, rows), strict=True)))
    if cosines is not None:
        cosines = _finite("cosines", cosines, ndim=1)
        _equal_counts("Pairs and cosines", {"pairs": len(rows[0]), "cosines": len(cosines)})
    return _matched(list(parts), rows, cosines)


def within(values: ArrayLike) -> float:
    """Half the width of a 95 % interval for a mean, by Student's t; NaN for a single value.

    Examples
    --------
    >>> round(within([1, 2, 3]), 3)
    2.484
    """
    values = _finite("values", values, ndim=1)
    if len(values) == 1:
        return np.nan
    return float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / len(values) ** 0.5)


def means(axes: Axes, runs: Mapping[float, ArrayLike], *, label: str = "", place: int = 0) -> None:
    """Draw the mean of some runs at each x, with its 95 % interval; of two, no line between.

    Parameters
    ----------
    axes : Axes
    runs : mapping from x to the values of its runs
    label : str
    place : int
        Which of the colours, dashes and markers.

    Examples
    --------
    >>> with new(height=4) as picture:
    ...     means(picture.subplots(), {0: [1.0, 0.8], 1: [0.5, 0.7], 2: [0.3]})
    >>> picture.axes[0].lines[0].get_ydata()
    array([0.9, 0.6, 0.3])
    """
    _filled("runs", runs)
    axes.errorbar(
        list(runs),
        np.array([np.mean(values) for values in runs.values()]),
        [within(values) for values in runs.values()],
        label=label,
        color=COLOURS[place],
        linestyle=DASHES[place] if len(runs) > 2 else "",
        marker=MARKERS[place],
        capsize=4,
        elinewidth=1.5,
    )


def name_lines(axes: Axes) -> None:
    """Write the name of each line at its right end, or in a legend above where ends are too near.

    Examples
    --------
    >>> with new(height=4) as picture:
    ...     axes = picture.subplots()
    ...     _ = axes.plot([1, 2, 3], label="up"), axes.plot([3, 2, 1], label="down")
    ...     name_lines(axes)
    >>> [name.get_text() for name in axes.texts]
    ['up', 'down']
    """
    handles, names = axes.get_legend_handles_labels()
    lines = [getattr(handle, "lines", [handle])[0] for handle in handles]
    ends = [(line.get_xdata()[-1], line.get_ydata()[-1]) for line in lines]
    axes.autoscale_view()
    heights = np.sort(axes.transData.transform(ends)[:, 1]) * 72 / axes.figure.dpi
    near = np.diff(heights).min(initial=np.inf) < 1.6 * FONT
    longest = max(map(len, names))
    if near or longest > 10:
        columns = 2 if longest <= 14 else 1
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "columnspacing": 1}
        axes.legend(ncols=columns, **above)
        rows = -(-len(names) // columns)
        axes.figure.set_figheight(axes.figure.get_figheight() + 0.38 * rows)  # the axes keep theirs
        return
    for name, end in zip(names, ends, strict=True):
        axes.annotate(name, end, xytext=(10, 0), textcoords="offset points", va="center")


def name_row(axes: Axes, name: str) -> None:
    """Write a name left of a picture, each line by itself: it ends there in letters of any size.

    Examples
    --------
    >>> with new(height=2) as picture:
    ...     name_row(picture.subplots(), "two\\nlines")
    >>> [line.get_text() for line in picture.axes[0].texts]
    ['two', 'lines']
    """
    lines = name.split("\n")
    for place, line in enumerate(lines):
        beside = {
            "xytext": (-6, 20 * ((len(lines) - 1) / 2 - place)),
            "ha": "right",
            "va": "center",
        }
        axes.annotate(
            line, (0, 0.5), xycoords="axes fraction", textcoords="offset points", **beside
        )


@_styled
def history(
    histories: Mapping[str, Mapping[str, ArrayLike]], *, x: str = "iteration", y: str = "objective"
) -> Figure:
    """Plot how fits went; an axis whose values span more than a power of ten is logarithmic.

    Parameters
    ----------
    histories : dict of dicts of arrays (iterations,)
        The `history_` of each fit by its name.
    x, y : str
        Keys of the histories; "iteration", where it is no key, counts from 1.

    Examples
    --------
    >>> history({"NMF": {"objective": [100, 5, 1]}}).axes[0].get_yscale()
    'log'
    """
    _filled("histories", histories)
    figure = BookFigure(4.2)
    axes = figure.subplots()
    for place, (name, record) in enumerate(histories.items()):
        record = {"iteration": np.arange(1, 1 + np.size(record.get(y))), **record}
        if not {x, y} <= set(record):
            raise ValueError(f"histories[{name!r}] lacks {x!r} or {y!r}: it has {list(record)}.")
        steps, values = (_finite(f"histories[{name!r}][{key!r}]", record[key], 1) for key in (x, y))
        _equal_counts(f"Values in histories[{name!r}]", {x: len(steps), y: len(values)})
        dash = DASHES[(place + place // 4) % 4]
        # Few points were each measured; of two, nobody knows what lies between.
        look = {
            "linestyle": dash if len(steps) > 2 else "",
            "marker": "o" if len(steps) < 20 else "",
        }
        axes.plot(steps, values, color=COLOURS[place % 4], label=name, **look)
    for axis, (low, high) in zip("xy", axes.dataLim.get_points().T, strict=True):
        if 0 < 10 * low < high:
            axes.set(**{f"{axis}scale": "log"})
    axes.set(xlabel=x, ylabel=y)
    name_lines(axes)
    return figure


def _curve(function: Callable, z: np.ndarray) -> np.ndarray:
    """The values of a function, with a gap where it jumps."""
    values = np.array(function(z), dtype=float)
    values[1:][np.abs(np.diff(values)) > 0.1 * np.ptp(values)] = np.nan
    return values


@_styled
def activations(
    functions: Mapping[str, Callable],
    gradients: Mapping[str, Callable] | None = None,
    z: ArrayLike | None = None,
) -> Figure:
    """Plot activations f(z), each in its own axes, with the derivative where it is given.

    Parameters
    ----------
    functions : dict of callables
        By name; each takes an array z and returns an array of its shape.
    gradients : dict of callables, optional
        Derivatives, by the names of their functions.
    z : array, optional
        Increasing pre-activations; by default from -3 to 3.

    Examples
    --------
    >>> figure = activations({"ReLU": lambda z: np.maximum(z, 0)})
    >>> figure.axes[0].get_title()
    'ReLU'
    """
    _filled("functions", functions)
    gradients = gradients or {}
    if not set(gradients) <= set(functions):
        raise ValueError(f"gradients has {list(gradients)}, but functions only {list(functions)}.")
    z = np.linspace(-3, 3, 601) if z is None else _finite("z", z, ndim=1)
    count = len(functions)
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = BookFigure(1.2 + 2.6 * rows)
    frames = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    frames[0, 0].set_xlim(z[0], z[-1])
    for axes in frames[:, 0]:
        axes.set_ylabel("activation")
    for axes in frames.flat[max(count - columns, 0) : count]:  # the lowest of each column
        axes.set_xlabel("pre-activation z")
        axes.tick_params(labelbottom=True)
    for axes, (name, function) in zip(frames.flat, functions.items(), strict=False):
        axes.set_title(name)
        axes.axhline(0, color=INK, linewidth=0.5)
        axes.axvline(0, color=INK, linewidth=0.5)
        axes.plot(z, _curve(function, z), color=BLUE, label="f(z)")
        if name in gradients:
            axes.plot(z, _curve(gradients[name], z), "--", color=VERMILION, label="f′(z)")
    for unused in frames.flat[count:]:
        unused.remove()
    curves = {line.get_label(): line for axes in figure.axes for line in axes.lines[2:]}
    figure.legend(curves.values(), curves, loc="outside upper center", ncols=2)
    return figure


@_styled
def codes(H: ArrayLike, *, labels: ArrayLike | None = None) -> Figure:
    """Show codes as a heat map, samples with the same strongest part next to each other.

    Parameters
    ----------
    H : array (n, m)
        Codes, in units of the data where the parts have norm 1.
    labels : array (n,), optional
        Classes. Samples are sorted by class, then by their strongest part, then by its strength.

    Examples
    --------
    >>> codes([[0, 1], [2, 0], [3, 0]]).axes[0].images[0].get_array().tolist()
    [[3.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
    """
    H = _finite("H", H)
    classes, members = np.unique([0] * len(H) if labels is None else labels, return_inverse=True)
    _equal_counts("Samples and labels", {"samples": len(H), "labels": len(members)})
    strength = np.abs(H)
    order = np.lexsort((-strength.max(axis=1), strength.argmax(axis=1), members))
    figure = BookFigure(5.5)
    axes = _heat(figure, H[order], "code", strength.max() or 1)
    axes.set(xlabel="part", ylabel="sample, sorted")
    if labels is not None:
        edges = np.cumsum([0, *np.bincount(members)]) - 0.5
        axes.hlines(edges[1:-1], -0.5, H.shape[1] - 0.5, color=INK, linewidth=0.8)
        axes.set_yticks((edges[1:] + edges[:-1]) / 2, classes)
        axes.set_ylabel("class of the sample")
    return figure


@_styled
def samples(D: ArrayLike, D_hats: Mapping[str, ArrayLike], image_shape: tuple[int, int]) -> Figure:
    """Show samples above their reconstructions, each column in the greys of its sample.

    Parameters
    ----------
    D : array (n, d)
        A few samples.
    D_hats : dict of arrays (n, d)
        Their reconstructions, by the name of the method.
    image_shape : (h, w)

    Examples
    --------
    >>> figure = samples([[0, 4]], {"NMF": [[1, 3]]}, (1, 2))
    >>> [axes.texts[0].get_text() for axes in figure.axes]
    ['data', 'NMF']
    """
    _filled("D_hats", D_hats)
    names = ["data", *D_hats]
    given = {"D": D} | {f"D_hats[{name!r}]": D_hat for name, D_hat in D_hats.items()}
    rows = [_images(name, values, image_shape) for name, values in given.items()]
    _equal_counts("Samples and reconstructions", dict(zip(names, map(len, rows), strict=True)))
    figure, frames = _rows(names, rows)
    for column, *images in zip(frames.T, *rows, strict=True):
        greys = {"cmap": "gray", "vmin": min(images[0].min(), 0), "vmax": images[0].max()}
        for frame, image in zip(column, images, strict=True):
            _picture(frame, image, **greys)
    return figure


@_styled
def data(sets: Mapping[str, tuple[ArrayLike, tuple[int, int] | None]], count: int = 6) -> Figure:
    """Show a few samples of each data set, a row for each: what the numbers of a page are about.

    Parameters
    ----------
    sets : dict of pairs
        Samples (n, d) and their `image_shape` by name; without a shape a sample is a strip of
        features. Each picture has the greys of its own values, white is most.
    count : int
        How many, spread evenly over the samples.

    Examples
    --------
    >>> figure = data({"dots": (np.eye(4), (2, 2))}, count=2)
    >>> [int(axes.images[0].get_array().argmax()) for axes in figure.axes]
    [0, 3]
    """
    _filled("sets", sets)
    ratios = [shape[0] / shape[1] if shape else 0.2 for _, shape in sets.values()]
    margin = 0.13 * max(len(line) for name in sets for line in name.split("\n"))
    figure = BookFigure((WIDTH - margin) / count * sum(ratios) + 0.1, "compressed")
    rows = figure.subplots(len(sets), count, squeeze=False, height_ratios=ratios)
    for row, (name, (D, shape)), ratio in zip(rows, sets.items(), ratios, strict=True):
        D = _finite(f"samples of {name!r}", D)
        shown = D[np.linspace(0, len(D) - 1, count).astype(int)]
        images = _images(name, shown, shape or (1, D.shape[1]))
        for axes, image in zip(row, images, strict=True):
            _picture(axes, image, cmap="gray", vmin=min(image.min(), 0))
            axes.set_box_aspect(ratio)
        name_row(row[0], name)
    return figure


@_styled
def sums(
    sample: ArrayLike,
    models: Mapping[str, tuple[ArrayLike, ArrayLike]],
    image_shape: tuple[int, int] | None,
    count: int = 4,
) -> Figure:
    """Show a sample as the sum of its parts, a row for each method.

    Parameters
    ----------
    sample : array (d,)
    models : dict of pairs
        The sample's codes (m,) and the parts (m, d) by the name of the method. The `count` parts
        that add most are shown, each with what it adds at its brightest pixel, in units of the
        sample's brightest; the sum at the end is of all.
    image_shape : (h, w) or None
        Without a shape sample and parts are strips of features.

    Examples
    --------
    >>> figure = sums([2, 1], {"NMF": ([4, 1], [[0.5, 0], [0, 1]])}, (1, 2), count=2)
    >>> [axes.get_title() for axes in figure.axes]
    ['sample', '1.00 ×', '0.50 ×', 'sum']
    """
    _filled("models", models)
    ratio = image_shape[0] / image_shape[1] if image_shape else 0.5
    image_shape = image_shape or (1, np.size(sample))
    [image] = _images("sample", np.atleast_2d(sample), image_shape)
    greys = {"cmap": "gray", "vmin": min(image.min(), 0), "vmax": image.max()}
    side = WIDTH / (count + 3)
    figure = BookFigure(len(models) * (side * ratio + 0.5))
    figure.get_layout_engine().set(wspace=0.03, w_pad=0.12)  # room for the signs
    frames = figure.subplots(len(models), count + 2, squeeze=False)
    for row, (name, (codes, components)) in zip(frames, models.items(), strict=True):
        codes = _finite(f"codes of {name}", codes, ndim=1)
        parts = _images(f"parts of {name}", components, image_shape)
        tops = codes * np.abs(parts).max(axis=(1, 2)) / image.max()
        order = np.argsort(-np.abs(tops))[:count]
        _picture(row[0], image, **greys)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        row[0].set_title("sample")
        for axes, part, top in zip(row[1:-1], parts[order], tops[order], strict=False):
            _part(axes, part, _colours(parts))
            axes.set_title(f"{top:.2f} ×")
        for unused in row[1 + len(order) : -1]:
            unused.remove()
        _picture(row[-1], np.tensordot(codes, parts, 1), **greys)
        row[-1].set_title("sum")
        signs = "=" + "+" * (count - 1) + ("…" if count < len(codes) else "=")
        for axes, sign in zip(row[1:], signs, strict=True):
            axes.text(-0.14, 0.5, sign, transform=axes.transAxes, **CENTRED)
        for axes in row:
            axes.set_box_aspect(ratio)
    return figure


@_styled
def top_samples(
    D: ArrayLike,
    codes: ArrayLike,
    image_shape: tuple[int, int] | None,
    *,
    parts: Sequence[int] | None = None,
    count: int = 6,
) -> Figure:
    """Show for each part the samples that use it most, the one with its largest code first.

    Parameters
    ----------
    D : array (n, d)
    codes : array (n, m)
        A column a part.
    image_shape : (h, w) or None
        Without a shape a sample is a strip of features.
    parts : sequence of ints, optional
        Which parts, by their columns; all by default. They are named by their number, from 1.
    count : int
        At most so many samples a part.

    Examples
    --------
    >>> figure = top_samples(np.eye(3), np.array([[0, 1], [2, 0], [1, 3]]), None, count=2)
    >>> [int(axes.images[0].get_array().argmax()) for axes in figure.axes]
    [1, 2, 2, 0]
    """
    D, codes = _finite("D", D), _finite("codes", codes)
    _equal_counts("Samples and codes", {"samples": len(D), "codes": len(codes)})
    order = np.argsort(-codes, axis=0, kind="stable")[:count]
    chosen = range(codes.shape[1]) if parts is None else parts
    rows = {f"part {j + 1}": (D[order[:, j]], image_shape) for j in chosen}
    return data(rows, count=len(order))


@_styled
def spectra(components: ArrayLike, axis: ArrayLike | None = None) -> Figure:
    """Show the parts as curves over their features, such as wavelengths, one below the other.

    Parameters
    ----------
    components : array (m, d)
        One part a row. Each is divided by its largest magnitude.
    axis : array (d,), optional
        Where the features lie; 1, 2 and so on by default.

    Examples
    --------
    >>> [axes.get_ylabel() for axes in spectra([[0, 1, 0], [2, 0, 1]], [400, 500, 600]).axes]
    ['1', '2']
    """
    components = _finite("components", components)
    m, d = components.shape
    axis = _finite("axis", np.arange(1, d + 1) if axis is None else axis, ndim=1)
    _equal_counts("Features and places", {"features": d, "places": len(axis)})
    figure = BookFigure(min(1 + 0.7 * m, 12))
    frames = figure.subplots(m, 1, sharex=True, squeeze=False)[:, 0]
    largest = np.abs(components).max(axis=1, keepdims=True)
    scaled = components / np.where(largest, largest, 1)
    for j, (axes, part) in enumerate(zip(frames, scaled, strict=True)):
        axes.fill_between(axis, part, color=BLUE, alpha=0.3, linewidth=0)
        axes.plot(axis, part, color=BLUE, linewidth=1.5)
        axes.set_ylabel(str(j + 1), rotation=0, ha="right", va="center")
        axes.set_yticks([])
    frames[-1].set_xlabel("feature; the parts, each divided by its largest entry")
    return figure


@_styled
def intervals(
    components: ArrayLike,
    bands: Mapping[str, ArrayLike],
    *,
    titles: Sequence[str] | None = None,
    most: int = 30,
) -> Figure:
    """Show the largest entries of parts, sorted, within bands such as their intervals.

    Parameters
    ----------
    components : array (m, d)
        One part a row.
    bands : mapping of str to array (2, m, d)
        By name the lower and the upper ends.
    titles : m strings, optional
        One for each part; by default its number.
    most : int
        Entries of each part.

    Examples
    --------
    >>> ends = [[[0, 0, 1]], [[1, 2, 3]]]
    >>> [axes.get_title() for axes in intervals([[0, 1, 2]], {"90 %": ends}).axes]
    ['1']
    """
    components = _finite("components", components)
    m, d = components.shape
    _filled("bands", bands)
    ends = {name: _finite(f"bands[{name!r}]", band, ndim=3) for name, band in bands.items()}
    for name, band in ends.items():
        _equal_counts(f"Entries and ends in {name!r}", {"entries": 2 * m * d, "ends": band.size})
    titles = [str(j + 1) for j in range(m)] if titles is None else titles
    _equal_counts("Parts and titles", {"parts": m, "titles": len(titles)})
    columns = _columns(m, 3)
    rows = -(-m // columns)
    figure = BookFigure(1.2 + 1.9 * rows)
    frames = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for j, (axes, title) in enumerate(zip(frames, titles, strict=False)):
        order = np.argsort(-components[j], kind="stable")[:most]
        at = np.arange(1, len(order) + 1)
        for (name, band), colour in zip(ends.items(), COLOURS[1:], strict=False):
            axes.fill_between(
                at, *band[:, j, order], color=colour, alpha=0.4, linewidth=0, label=name
            )
        axes.plot(at, components[j, order], color=BLUE, linewidth=1.5, label="part")
        axes.set(title=title, xticks=[], ylabel="" if j % columns else "entry")
    for unused in frames[m:]:
        unused.remove()
    figure.supxlabel("entries, largest first")
    handles = frames[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(ends) + 1)
    return figure


@_styled
def comparison(result: object, image_shape: tuple[int, int] | None = None) -> Figure:
    """Show a comparison: the matched parts, and how far each pair agrees in part and in code.

    Parameters
    ----------
    result : Comparison
        With `components_a`, `components_b` (matched pairs first), `cosines`, `code_correlation`,
        `loss_a`, `loss_b`, `name_a`, `name_b`, and perhaps `image_shape`.
    image_shape : (h, w), optional
        By default that of `result`. Without one, the cosines between all parts are shown.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> result = SimpleNamespace(
    ...     components_a=np.eye(2), components_b=np.eye(2), cosines=[1, 1],
    ...     code_correlation=[1, 0.5], loss_a=3, loss_b=4, name_a="NMF", name_b="SAE")
    >>> comparison(result).axes[0].get_xlabel()
    'part of SAE'
    """
    if not len(result.cosines):
        raise ValueError("No live part of one is matched to one of the other: nothing to show.")
    image_shape = image_shape or getattr(result, "image_shape", None)
    a = _finite("components_a", result.components_a)
    b = _finite("components_b", result.components_b)
    pairs = len(result.cosines)
    if image_shape is None:
        figure = BookFigure(9)
        upper, lower = figure.subfigures(2, 1, height_ratios=[5, 4])
        norms = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
        axes = _heat(upper, a @ b.T / np.where(norms, norms, 1), "cosine", 1)
        axes.set(xlabel=f"part of {result.name_b}", ylabel=f"part of {result.name_a}")
    else:
        rows = [_images("components", both[:pairs], image_shape) for both in (a, b)]
        figure = _matched([result.name_a, result.name_b], rows, result.cosines, below=4)
        lower = figure.subfigs[1]
    axes, place = lower.subplots(), np.arange(pairs)
    axes.bar(place - 0.2, result.cosines, 0.4, color=GREEN, label="cosine of parts")
    axes.bar(place + 0.2, result.code_correlation, 0.4, color=PURPLE, label="correlation of codes")
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set(xlabel="matched pair", ylabel="agreement", ylim=(None, 1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    loss_a, loss_b = (
        np.format_float_positional(loss, precision=4, fractional=False, trim="-")
        for loss in (result.loss_a, result.loss_b)
    )
    figure.suptitle(f"squared error: {result.name_a} {loss_a} · {result.name_b} {loss_b}")
    return figure


@_styled
def seeds(mcc_between: ArrayLike, mcc_seeds: ArrayLike) -> Figure:
    """Plot the agreement between two methods beside NMF's own from seed to seed.

    Parameters
    ----------
    mcc_between, mcc_seeds : arrays
        MCCs between the methods, and between pairs of NMF's seeds. A bar marks each median.

    Examples
    --------
    >>> seeds([0.8], [0.9, 0.95]).axes[0].get_xlabel()
    'MCC (1 = same parts)'
    """
    groups = {
        "NMF,\nseed to seed": _finite("mcc_seeds", np.atleast_1d(mcc_seeds), ndim=1),
        "between\nmethods": _finite("mcc_between", np.atleast_1d(mcc_between), ndim=1),
    }
    figure = BookFigure(2.8)
    axes = figure.subplots()
    for place, values in enumerate(groups.values()):
        axes.scatter(values, np.full(len(values), place), s=120, color=COLOURS[place], alpha=0.5)
        axes.vlines(np.median(values), place - 0.3, place + 0.3, color=INK, linewidth=3)
    axes.set_yticks(range(len(groups)), groups)
    axes.set(xlabel="MCC (1 = same parts)", ylim=(1.5, -0.5))
    axes.set_xlim(min(0, axes.get_xlim()[0]), 1.02)
    return figure


@_styled
def n_components(
    values: ArrayLike, heldout: ArrayLike, training: ArrayLike, stability: ArrayLike, best: int
) -> Figure:
    """Plot the errors on hidden and on seen entries, and the stability, against the parts.

    Parameters
    ----------
    values : array (v,)
        Numbers of parts.
    heldout, training : arrays (v, repeats)
        Relative squared errors. Bars reach one standard error of the mean to both sides. The axis
        ends at 1, the error of predicting zero, or before, and a triangle there stands for a mean
        beyond; it is logarithmic where the other means span more than a power of ten.
    stability : array (v, pairs)
        MCCs between fits from random starts; each is a faint dot, their mean a line. Pairs share
        starts, so the dots themselves are shown in place of an interval.
    best : int
        The number of parts to mark.

    Examples
    --------
    >>> errors = np.array([[0.5, 0.6], [0.3, 0.2]])
    >>> figure = n_components([1, 2], errors, errors / 2, [[1], [0.9]], best=2)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['relative error', 'MCC of two starts']
    """
    values = _finite("values", values, ndim=1)
    errors = {"hidden entries": ("heldout", heldout), "seen entries": ("training", training)}
    errors = {label: _finite(*given) for label, given in errors.items()}
    stability = _finite("stability", stability)
    rows = {"values": values, **errors, "stability": stability}
    _equal_counts("Rows", {name: len(row) for name, row in rows.items()})
    figure = BookFigure(7)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for place, (label, error) in enumerate(errors.items()):
        mean, spread = error.mean(axis=1), error.std(axis=1, ddof=1) / error.shape[1] ** 0.5
        # Predictions from far too many parts can be wrong by any factor.
        beyond = mean > 1
        look = {"fmt": "o" + DASHES[place], "color": COLOURS[place], "capsize": 4}
        upper.errorbar(values, np.where(beyond, np.nan, mean), spread, label=label, **look)
        outside = {"color": COLOURS[place], "markersize": 9, "clip_on": False, "in_layout": False}
        upper.plot(values[beyond], np.ones(beyond.sum()), "^", **outside)
    means = np.minimum([error.mean(axis=1) for error in errors.values()], 1)
    if 0 < 10 * means.min() < means.max():
        upper.set_yscale("log")
    else:
        upper.set_ylim(bottom=0)
    upper.set_ylim(top=min(upper.get_ylim()[1], 1))
    dots = {"color": GREEN, "alpha": 0.3, "linewidth": 0}
    lower.scatter(np.repeat(values, stability.shape[1]), stability, **dots)
    lower.plot(values, stability.mean(axis=1), "o-", color=GREEN)
    for axes in figure.axes:
        axes.axvline(best, color=INK, linewidth=1.5, linestyle=":", zorder=0, label=f"{best} parts")
    upper.set_ylabel("relative error")
    upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1)
    lower.set(xlabel="number of parts", ylabel="MCC of two starts", ylim=(None, 1.02))
    lower.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    return figure


@_styled
def walk(
    names: Sequence[str],
    gaps: Mapping[str, ArrayLike],
    mcc: ArrayLike,
    parts: Mapping[str, ArrayLike] | None = None,
    image_shape: tuple[int, int] | None = None,
) -> Figure:
    """Show a walk: at each step the gap to the first, stacked by its terms, and the MCC with it.

    Parameters
    ----------
    names : S strings
    gaps : dict of arrays (S,)
        Terms of the gap, relative to the energy of the data; some may be negative.
    mcc : array (S,)
    parts : dict of arrays (m, d), optional
        The parts of each step in matched order; the first eight are shown as pictures.
    image_shape : (h, w), optional

    Examples
    --------
    >>> figure = walk(["NMF", "SAE"], {"dictionary": [0, 0.1], "encoder": [0, 0.2]}, [1, 0.9])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['gap / ‖D‖²', 'MCC with NMF']
    """
    gaps = {name: _finite(f"gaps[{name!r}]", values, ndim=1) for name, values in gaps.items()}
    mcc = _finite("mcc", mcc, ndim=1)
    counts = {"names": len(names), "mcc": len(mcc)}
    _equal_counts("Steps", counts | {name: len(values) for name, values in gaps.items()})
    if parts is None:
        figure = lower = BookFigure(7)
    else:
        rows = [_images(f"parts[{name!r}]", parts[name], image_shape)[:8] for name in parts]
        figure = _matched(list(parts), rows, None, below=7)
        lower = figure.subfigs[1]
    upper, lower = lower.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    place = np.arange(len(names))
    above, below = np.zeros(len(names)), np.zeros(len(names))
    for colour, (name, values) in zip(COLOURS, gaps.items(), strict=False):
        begin = np.where(values > 0, above, below)
        upper.bar(place, values, 0.6, bottom=begin, color=colour, label=name)
        above, below = above + values.clip(min=0), below + values.clip(max=0)
    upper.axhline(0, color=INK, linewidth=0.5)
    upper.set_ylabel("gap / ‖D‖²")
    upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1)
    lower.plot(place, mcc, "o-", color=GREEN)
    lower.set(ylabel=f"MCC with {names[0]}", ylim=(0, 1.05))
    lower.set_xticks(place, names, rotation=30, ha="right", rotation_mode="anchor")
    return figure


@_styled
def heat_map(
    values: ArrayLike, x: Sequence, y: Sequence, *, xlabel: str, ylabel: str, label: str
) -> Figure:
    """Plot a quantity over two factors as coloured and lettered cells.

    Parameters
    ----------
    values : array (len(y), len(x))
        NaN leaves a cell empty.
    x, y : sequences
        Values of the factors: columns from left to right, rows from below.
    xlabel, ylabel, label : str
        What the columns, the rows and the colours are.

    Examples
    --------
    >>> names = {"xlabel": "noise", "ylabel": "overlap", "label": "MCC"}
    >>> figure = heat_map([[1.0, 0.8], [0.9, 0.5]], [0, 0.1], [0, 0.5], **names)
    >>> figure.axes[0].get_xlabel()
    'noise'
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (len(y), len(x)):
        raise ValueError(f"values must be of shape {(len(y), len(x))}, but is {values.shape}.")
    if not np.isfinite(values).any():
        raise ValueError("values must hold a finite number, or there is nothing to show.")
    figure = BookFigure(max(3.0, min(1 + 0.7 * len(y), 8.0)))
    axes = figure.subplots()
    image = axes.imshow(np.ma.masked_invalid(values), origin="lower", aspect="auto", cmap="cividis")
    low, high = image.get_clim()
    if len(x) <= 8 and len(y) <= 12:
        for (row, column), value in np.ndenumerate(values):
            dark = value < (low + high) / 2
            axes.text(column, row, f"{value:.2g}", color="w" if dark else "k", **CENTRED)
    axes.set_xticks(range(len(x)), [_short(value) for value in x])
    axes.set_yticks(range(len(y)), [_short(value) for value in y])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    bar = figure.colorbar(image, label=label)
    bar.outline.set_visible(False)
    return figure


@_styled
def trend(
    groups: Mapping[str, tuple[ArrayLike, ArrayLike]], *, xlabel: str, ylabel: str, legend: str = ""
) -> Figure:
    """Plot a quantity against a factor: a dot a run, and their means with 95 % intervals.

    Parameters
    ----------
    groups : mapping from a label to (x, y)
        At most four.
    xlabel, ylabel : str
    legend : str
        What the labels of the groups are; a single group has none.

    Examples
    --------
    >>> figure = trend({"": ([0, 0, 1], [1.0, 0.8, 0.5])}, xlabel="noise", ylabel="MCC")
    >>> figure.axes[0].lines[0].get_ydata()
    array([0.9, 0.5])
    """
    _filled("groups", groups)
    if len(groups) > len(COLOURS):
        raise ValueError(f"groups may hold {len(COLOURS)} at most, but there are {len(groups)}.")
    figure = BookFigure(4.5)
    axes = figure.subplots()
    for place, (name, given) in enumerate(groups.items()):
        x, y = (_finite(f"group {name!r}", values, ndim=1) for values in given)
        _equal_counts(f"x and y of group {name!r}", {"x": len(x), "y": len(y)})
        label = f"{legend} = {name}" if legend else name
        means(axes, {at: y[x == at] for at in np.unique(x)}, label=label, place=place)
        axes.scatter(x, y, color=COLOURS[place], alpha=0.4, linewidth=0)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if len(groups) > 1:
        name_lines(axes)
    return figure


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
