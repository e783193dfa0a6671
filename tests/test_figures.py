"""Figures draw the numbers they are given, legibly on white and on black, and change no setting."""

import io
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from partsrep import figures

PAGES = "#ffffff", "#121212"
SHAPE = (2, 3)
PARTS = np.arange(1.0, 31).reshape(5, 6)
SPARSE = np.array([[0.0, 1, 0, 2, 0, 0], [4, 0, 0, 0, 1, 0]])
HELDOUT = np.array([[0.3, 0.5, 0.4], [0.1, 0.2, 0.3]])
GAPS = {"dictionary": [0.0, -0.1], "selection": [0.0, 0.2], "encoder": [0.1, 0.3]}
TREND = {"near": ([0, 0, 1, 1, 2], [1, 0.8, 0.5, 0.3, 0.9]), "far": ([0, 0, 1], [0.1, 0.3, 0.1])}
STABLE = np.array([[1.0, 0.8, 0.9], [0.5, 0.4, 0.9]])


def comparison(**changes):
    given = {
        "components_a": np.vstack([SPARSE, np.ones(6)]),
        "components_b": 2 * SPARSE,
        "cosines": np.array([0.9, 0.4]),
        "code_correlation": np.array([0.8, -0.2]),
        "loss_a": 123456.0,
        "loss_b": 0.00125,
        "name_a": "NMF",
        "name_b": "SAE",
    }
    return SimpleNamespace(**(given | changes))


def relu(z):
    return np.maximum(z, 0)


def step(z):
    return (z > 0).astype(float)


ALL = {
    "parts": lambda: figures.parts(PARTS, SHAPE),
    "parts with titles": lambda: figures.parts(PARTS, SHAPE, titles=list("abcde")),
    "parts that are no pictures": lambda: figures.parts(PARTS, None),
    "matched": lambda: figures.matched({"NMF": PARTS, "SAE": -PARTS}, SHAPE, cosines=np.ones(5)),
    "trend": lambda: figures.trend(TREND, xlabel="noise", ylabel="MCC", legend="k"),
    "history": lambda: figures.history({"NMF": {"objective": [900, 30, 2]}}),
    "activations": lambda: figures.activations({"ReLU": relu, "step": step}, {"ReLU": step}),
    "codes": lambda: figures.codes(PARTS, labels=[0, 1, 0, 1, 1]),
    "samples": lambda: figures.samples(PARTS, {"NMF": PARTS}, SHAPE),
    "data": lambda: figures.data({"two\nlines": (PARTS, SHAPE), "no pictures": (PARTS, None)}),
    "sums": lambda: figures.sums(PARTS[0], {"NMF": (np.ones(5), PARTS)}, SHAPE),
    "sums without pictures": lambda: figures.sums(PARTS[0], {"NMF": (np.ones(5), PARTS)}, None),
    "top samples": lambda: figures.top_samples(PARTS, PARTS[:, :2], SHAPE, count=3),
    "top samples without pictures": lambda: figures.top_samples(PARTS, PARTS[:, :2], None),
    "spectra": lambda: figures.spectra(PARTS),
    "intervals": lambda: figures.intervals(PARTS, {"90 %": [PARTS, PARTS]}),
    "comparison": lambda: figures.comparison(comparison(), SHAPE),
    "comparison without pictures": lambda: figures.comparison(comparison()),
    "seeds": lambda: figures.seeds([0.7, 0.75], [0.9, 0.95, 1.0]),
    "walk": lambda: figures.walk(list("ab"), GAPS, [1, 0.5], {"a": PARTS, "b": -PARTS}, SHAPE),
    "walk without pictures": lambda: figures.walk(list("ab"), GAPS, [1, 0.5]),
    "number of parts": lambda: figures.n_components([2, 4], HELDOUT, HELDOUT / 2, STABLE, best=4),
}


@pytest.fixture(scope="module", params=ALL)
def figure(request):
    """Each figure, laid out and its ticks made, as a reader gets it."""
    figure = ALL[request.param]()
    figure.draw_without_rendering()
    return figure


def drawn(axes):
    """The numbers behind the one picture in these axes."""
    (image,) = axes.images
    return np.asarray(image.get_array())


def frames(figure):
    return [axes for axes in figure.axes if axes.images]


def name_of(axes):
    """What stands left of a picture."""
    return axes.texts[0].get_text() if axes.texts else ""


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG 2 contrast ratio."""
    light = sorted(linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05 for colour in (one, other))
    return light[1] / light[0]


def settings():
    """All but the backend, which matplotlib only looks for when it is read."""
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}


def test_lettering_is_legible_on_both_pages_and_on_a_phone(figure):
    for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text()):
        assert min(contrast(text.get_color(), page) for page in PAGES) >= 4, text
        # A phone shows the width in 350 pixels of 1/96 inch (8 points are 8/72 inch).
        assert text.get_fontsize() * (350 / 96) / figure.get_figwidth() >= 8, text


def test_background_is_transparent(figure):
    png = io.BytesIO()
    figure.savefig(png, dpi=50)
    pixels = imread(io.BytesIO(png.getvalue()))
    assert pixels[0, 0, 3] == 0
    assert pixels[..., 3].max() > 0.9


@pytest.mark.parametrize("draw", ALL.values(), ids=ALL)
def test_settings_stay_as_they_are_and_do_not_matter(draw):
    plain, changed = io.BytesIO(), io.BytesIO()
    draw().savefig(plain, dpi=50)
    with matplotlib.rc_context({"text.color": "red", "xtick.color": "red", "xtick.labelsize": 3}):
        before = settings()
        figure = draw()
        assert settings() == before
        figure.savefig(changed, dpi=50)
    assert plain.getvalue() == changed.getvalue()


def test_a_notebook_shows_a_figure_once(figure):
    assert isinstance(figure, Figure)
    formats, _ = InteractiveShell.instance().display_formatter.format(figure)
    assert [kind for kind in formats if kind.startswith("image/")] == ["image/svg+xml"]
    assert formats["image/svg+xml"].startswith("<svg")
    assert figure not in map(plt.figure, plt.get_fignums())  # or pyplot would show it again


def test_drawing_takes_the_ink_the_colours_and_the_letters_of_its_page(figure):
    svg = ElementTree.fromstring(figure._repr_svg_())
    assert svg.get("class") == "figure" and svg.get("color") == figures.INK
    inside = ElementTree.tostring(svg, encoding="unicode").split(">", 1)[1]
    for colour in (figures.INK, *figures.COLOURS):
        assert not re.search(rf"(?<!, ){colour}", inside, re.IGNORECASE), "not a variable"
    assert "font-family" not in inside and "px" not in inside, "letters follow the page"
    assert "<style" not in inside, "it would hold for all of the page"
    ids = re.findall(r' id="([^"]+)"', inside)
    assert set(ids) == set(re.findall(r"#([\w-]+)", re.sub(r"#[0-9a-fA-F]{6}\b", "", inside)))


def test_a_drawing_is_the_same_file_each_time():
    assert ALL["matched"]()._repr_svg_() == ALL["matched"]()._repr_svg_()


def test_powers_of_ten_are_plain_letters():
    axes = figures.history({"NMF": {"objective": [900, 30, 0.02]}}).axes[0]
    axes.figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert "10²" in labels and "10⁻¹" in labels and "$" not in "".join(labels)


def test_few_points_are_marked_and_two_are_not_joined():
    given = {"two": {"objective": [2, 1]}, "three": {"objective": [3, 2, 1]}}
    two, three = figures.history(given).axes[0].lines
    assert (two.get_linestyle(), two.get_marker()) == ("None", "o")
    assert (three.get_linestyle(), three.get_marker()) == ("--", "o")
    [many] = figures.history({"many": {"objective": np.arange(50.0)}}).axes[0].lines
    assert many.get_marker() in ("", "None")


def test_a_mean_over_runs_has_its_interval_and_two_are_not_joined():
    """2.5 % and 97.5 % of Student's t with one degree of freedom are ±12.7 standard errors."""
    three, two = figures.trend(TREND, xlabel="noise", ylabel="MCC").axes[0].containers
    assert three.lines[0].get_linestyle() == "-" and two.lines[0].get_linestyle() == "None"
    np.testing.assert_allclose(three.lines[0].get_ydata(), [0.9, 0.4, 0.9])
    *bars, none = three.lines[2][0].get_segments()
    assert not len(none), "one run has no interval"
    np.testing.assert_allclose(np.ptp(bars, axis=1)[:, 1], 2 * 12.706 * 0.1, rtol=1e-4)


def test_lines_are_named_at_their_ends_or_in_a_legend_where_these_are_near():
    for ends, beside in (([1, 3], True), ([1, 1.01], False)):
        with figures.new(height=4) as picture:
            axes = picture.subplots()
            for name, end in zip("ab", ends, strict=True):
                axes.plot([2, 2, end], label=name)
            figures.name_lines(axes)
        assert bool(axes.texts) == beside and bool(axes.get_legend()) != beside
        assert [text.get_position() for text in axes.texts] == ([(10, 0)] * 2 if beside else [])


def test_photographs_are_bright_where_they_are_white():
    photograph, strokes = np.full((2, 6), 0.5) + np.eye(2, 6), np.eye(2, 6)
    for components, grey in ((photograph, True), (strokes, False), (-photograph, False)):
        image = figures.parts(components, SHAPE).axes[0].images[0]
        assert (image.get_cmap().name == "gray") == grey


def test_data_shows_samples_of_each_set_with_bright_as_white():
    figure = figures.data({"a": (PARTS, SHAPE), "b": (PARTS, None)}, count=3)
    assert len(figure.axes) == 6
    np.testing.assert_array_equal(drawn(figure.axes[2]), PARTS[4].reshape(SHAPE))
    np.testing.assert_array_equal(drawn(figure.axes[5]), PARTS[4:])
    assert {axes.images[0].get_cmap().name for axes in figure.axes} == {"gray"}


def test_a_sum_shows_what_adds_most_and_adds_up():
    codes = np.array([0.0, 3, 1, 0, 2])
    figure = figures.sums(codes @ PARTS, {"NMF": (codes, PARTS)}, SHAPE, count=2)
    sample, first, second, total = map(drawn, figure.axes)
    order = np.argsort(-codes * PARTS.max(axis=1))
    np.testing.assert_allclose(first, PARTS[order[0]].reshape(SHAPE) / PARTS[order[0]].max())
    np.testing.assert_allclose(second, PARTS[order[1]].reshape(SHAPE) / PARTS[order[1]].max())
    np.testing.assert_allclose(total, sample)


def test_the_samples_that_use_a_part_most_come_first():
    codes = np.array([[0.0, 1], [3, 0], [1, 2], [2, 5], [0, 0]])
    figure = figures.top_samples(PARTS, codes, SHAPE, parts=[1], count=3)
    for axes, sample in zip(figure.axes, [3, 2, 0], strict=True):
        np.testing.assert_array_equal(drawn(axes), PARTS[sample].reshape(SHAPE))
    assert figure.axes[0].texts[0].get_text() == "part 2"
    with pytest.raises(ValueError, match="Samples and codes"):
        figures.top_samples(PARTS, codes[1:], SHAPE)


def test_intervals_are_those_of_the_entries_that_are_shown():
    rng = np.random.RandomState(0)
    parts = rng.uniform(size=(2, 7))
    band = np.array([parts - 0.1, parts + 0.2])
    figure = figures.intervals(parts, {"90 %": band, "open": [parts, parts]}, most=4)
    for axes, part in zip(figure.axes, parts, strict=True):
        largest = np.sort(part)[:-5:-1]
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), largest)
        y = axes.collections[0].get_paths()[0].vertices[:, 1]
        assert y.min() == pytest.approx(largest[-1] - 0.1)
        assert y.max() == pytest.approx(largest[0] + 0.2)
    with pytest.raises(ValueError, match="Entries and ends in 'open'"):
        figures.intervals(parts, {"open": band[:, 1:]})
    with pytest.raises(ValueError, match="nothing to show"):
        figures.intervals(parts, {})


def test_a_spectrum_has_its_largest_entry_at_one_and_its_own_axis():
    axis = np.linspace(400, 500, PARTS.shape[1])
    figure = figures.spectra(np.vstack([3 * PARTS[:2], 0 * PARTS[:1]]), axis)
    for axes, part in zip(figure.axes, PARTS, strict=False):
        x, y = axes.lines[0].get_data()
        np.testing.assert_array_equal(x, axis)
        if axes is not figure.axes[2]:
            np.testing.assert_allclose(y, part / np.abs(part).max())
    assert not figure.axes[2].lines[0].get_ydata().any()
    with pytest.raises(ValueError, match="Features and places"):
        figures.spectra(PARTS, axis[1:])


def test_nothing_is_cut_off_or_overlaps_its_neighbour(figure):
    artists = [*figure.axes, *figure.legends, *figure.texts]
    boxes = [artist.get_tightbbox() for artist in artists]
    page = figure.bbox.padded(1)
    for place, box in enumerate(boxes):
        assert page.x0 <= box.x0 < box.x1 <= page.x1 and page.y0 <= box.y0 < box.y1 <= page.y1
        assert box.padded(-1).count_overlaps(boxes[:place]) == 0


def test_every_scale_says_what_it_measures(figure):
    for axes in figure.axes:
        for axis in axes.xaxis, axes.yaxis:
            ticks = [tick.get_text() for tick in axis.get_ticklabels() if tick.get_visible()]
            numbers = any(character.isdigit() for character in "".join(ticks))
            assert not numbers or axis.get_label_text()


def test_colours_stand_out_from_both_pages():
    for colour in figures.COLOURS:
        assert min(contrast(colour, page) for page in PAGES) >= 3, colour


def test_colours_differ_for_the_colour_blind():
    # Viénot, Brettel & Mollon (1999): deuteranopia in linear RGB.
    deuteranopia = [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
    seen = [np.clip(np.array(deuteranopia) @ linear(colour), 0, 1) for colour in figures.COLOURS]
    seen = np.array(seen) ** (1 / 2.2)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert apart[~np.eye(len(seen), dtype=bool)].min() > 0.2


def test_zero_is_transparent_and_the_signs_differ():
    negative, weak, zero, positive = figures.SIGNED(np.array([0, 0.4, 0.5, 1]))
    assert zero[3] == 0
    assert 0 < weak[3] < negative[3] == positive[3] == 1
    assert np.array_equal(weak[:3], negative[:3])
    assert not np.array_equal(negative[:3], positive[:3])


def test_parts_are_drawn_scaled_by_their_own_largest_magnitude():
    signed = PARTS * [[1], [-3], [1], [1], [1]]
    shown = frames(figures.parts(signed, SHAPE))
    assert len(shown) == 5
    for axes, part in zip(shown, signed, strict=True):
        np.testing.assert_allclose(drawn(axes), part.reshape(SHAPE) / np.abs(part).max())
        assert axes.images[0].get_clim() == (-1, 1)


def test_parts_carry_their_titles_in_the_columns_asked_for():
    figure = figures.parts(PARTS, SHAPE, titles=list("abcde"), columns=2)
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    assert figure.axes[0].get_gridspec().get_geometry() == (3, 2)


@pytest.mark.parametrize(("m", "rows", "columns"), [(1, 1, 1), (8, 1, 8), (9, 2, 5), (25, 5, 5)])
def test_montage_has_at_most_eight_columns_and_few_gaps(m, rows, columns):
    figure = figures.parts(np.ones((m, 6)), SHAPE)
    assert figure.axes[0].get_gridspec().get_geometry() == (rows, columns)
    assert len(figure.axes) == m


def test_parts_that_are_no_pictures_are_rows_of_a_heat_map():
    axes, bar = figures.parts(SPARSE, None, titles=["a", "b"]).axes
    np.testing.assert_array_equal(drawn(axes), SPARSE / [[2], [4]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("feature", "part")
    assert bar.get_ylim() == (0, 1)
    assert figures.parts(-SPARSE, None).axes[1].get_ylim() == (-1, 1)


@pytest.mark.parametrize("m", [3, 8, 11])
def test_matched_parts_stand_above_each_other(m):
    random = np.random.RandomState(0)
    given = {name: random.rand(m, 6) for name in ("NMF", "SAE", "third")}
    cosines = np.linspace(1, 0, m)
    figure = figures.matched(given, SHAPE, cosines=cosines)
    figure.draw_without_rendering()
    assert len(figure.axes) == 3 * m
    where = {}
    for axes in figure.axes:
        for name, components in given.items():
            for pair, part in enumerate(components):
                if np.allclose(drawn(axes), part.reshape(SHAPE) / part.max()):
                    where[name, pair] = axes
    assert len(where) == 3 * m
    for pair in range(m):
        column = [where[name, pair].get_position() for name in given]
        assert column[0].y0 > column[1].y0 > column[2].y0
        assert np.ptp([box.x0 for box in column]) < 1e-6
        assert where["third", pair].get_xlabel() == f"{cosines[pair]:.2f}"
        assert where["NMF", pair].get_xlabel() == ""
    assert [name_of(where[name, 0]) for name in given] == list(given)


def test_only_a_dead_part_is_marked_dead():
    figure = figures.matched({"NMF": SPARSE, "SAE": SPARSE * [[1e-9], [0]]}, SHAPE)
    marks = ["dead" in [text.get_text() for text in axes.texts] for axes in figure.axes]
    assert marks == [False, False, False, True]


def test_history_draws_each_fit_on_axes_that_suit_it():
    given = {
        "NMF": {"objective": np.geomspace(1000, 1, 30), "seconds": np.linspace(0, 2, 30)},
        "SAE": {"objective": np.geomspace(900, 9, 40), "seconds": np.linspace(0, 3, 40)},
    }
    (axes,) = figures.history(given).axes
    for line, (name, record) in zip(axes.lines, given.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), record["objective"])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(record["objective"]) + 1))
        assert line.get_label() == name
    assert (axes.get_xlabel(), axes.get_xscale()) == ("iteration", "log")
    assert (axes.get_ylabel(), axes.get_yscale()) == ("objective", "log")
    (axes,) = figures.history(given, x="seconds").axes
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), given["SAE"]["seconds"])
    assert (axes.get_xlabel(), axes.get_xscale()) == ("seconds", "linear")
    (axes,) = figures.history({"NMF": {"objective": [2, 1.5, 1]}}).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")


def test_sixteen_fits_look_different():
    fits = {str(fit): {"objective": [3, 2, 1]} for fit in range(16)}
    lines = figures.history(fits).axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 16


def test_activations_draw_function_and_derivative_with_a_gap_at_a_jump():
    z = np.linspace(-2, 2, 401)
    figure = figures.activations({"ReLU": relu, "square": np.square}, {"ReLU": step}, z=z)
    rectified, square = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["ReLU", "square"]
    assert all(axes.get_xlabel() for axes in figure.axes)
    curves = {line.get_label(): line.get_ydata() for line in rectified.lines}
    np.testing.assert_array_equal(curves["f(z)"], relu(z))
    slope = curves["f′(z)"]
    assert np.flatnonzero(np.isnan(slope)).tolist() == [201]
    np.testing.assert_array_equal(np.delete(slope, 201), np.delete(step(z), 201))
    assert "f′(z)" not in [line.get_label() for line in square.lines]


def test_activations_label_the_lowest_axes_of_each_column():
    figure = figures.activations({"a": relu, "b": relu, "c": relu})
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False, True, True]


def test_codes_are_sorted_by_class_then_strongest_part_then_strength():
    H = np.array([[0, 1.0], [2, 0], [3, 0], [0, 5]])
    axes, bar = figures.codes(H).axes
    np.testing.assert_array_equal(drawn(axes), H[[2, 1, 3, 0]])
    assert bar.get_ylim() == (0, 5)
    assert bar.get_ylabel() == "code"
    axes, _ = figures.codes(H, labels=["b", "a", "b", "b"]).axes
    np.testing.assert_array_equal(drawn(axes), H[[1, 2, 3, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    np.testing.assert_array_equal(axes.get_yticks(), [0, 2])
    assert figures.codes(-H).axes[1].get_ylim() == (-5, 5)


def test_samples_and_reconstructions_share_the_greys_of_the_sample():
    D = PARTS[:2]
    figure = figures.samples(D, {"NMF": D + 1, "SAE": D / 2}, SHAPE)
    assert len(figure.axes) == 6
    assert [name_of(axes) for axes in figure.axes[::2]] == ["data", "NMF", "SAE"]
    for axes, image in zip(figure.axes, [*D, *(D + 1), *(D / 2)], strict=True):
        np.testing.assert_array_equal(drawn(axes), image.reshape(SHAPE))
    assert [axes.images[0].get_clim() for axes in figure.axes] == 3 * [(0, 6), (0, 12)]


@pytest.mark.parametrize("given", ["argument", "attribute"])
def test_comparison_shows_matched_parts_and_bars(given):
    if given == "argument":
        figure = figures.comparison(comparison(image_shape=None), image_shape=SHAPE)
    else:
        figure = figures.comparison(comparison(image_shape=SHAPE))
    *pictures, bars = figure.axes
    for axes, part in zip(pictures, [*SPARSE, *SPARSE], strict=True):
        np.testing.assert_array_equal(drawn(axes), part.reshape(SHAPE) / part.max())
    heights = [[bar.get_height() for bar in group] for group in bars.containers]
    assert heights == [[0.9, 0.4], [0.8, -0.2]]
    assert bars.get_ylim()[0] < -0.2 and bars.get_ylim()[1] == 1
    legend = [text.get_text() for text in bars.get_legend().get_texts()]
    assert legend == ["cosine of parts", "correlation of codes"]
    assert figure.get_suptitle() == "squared error: NMF 123500 · SAE 0.00125"


def test_comparison_of_two_fits_of_one_name_shows_both():
    figure = figures.comparison(comparison(name_b="NMF"), SHAPE)
    assert [name_of(axes) for axes in frames(figure)] == ["NMF", "", "NMF", ""]


def test_comparison_without_pictures_shows_all_cosines():
    dead = np.vstack([SPARSE[0], np.zeros(6)])
    axes = figures.comparison(comparison(components_b=dead)).axes[0]
    expected = [[1, 0], [0, 0], [3 / np.sqrt(30), 0]]
    np.testing.assert_allclose(drawn(axes), expected)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("part of SAE", "part of NMF")


def test_a_walk_stacks_gaps_of_one_sign_from_zero():
    gap, mcc = figures.walk(list("ab"), GAPS, [1, 0.5]).axes
    spans = [[(bar.get_y(), bar.get_height()) for bar in group] for group in gap.containers]
    assert spans == [[(0, 0), (0, -0.1)], [(0, 0), (0, 0.2)], [(0, 0.1), (0.2, 0.3)]]
    assert mcc.lines[0].get_ydata().tolist() == [1, 0.5]
    assert mcc.get_ylabel() == "MCC with a"
    with pytest.raises(ValueError, match="Steps must come in equal numbers"):
        figures.walk(list("abc"), GAPS, [1, 0.5])


def test_seeds_put_both_agreements_on_one_axis():
    (axes,) = figures.seeds([0.7, 0.76], [0.9, 0.95, 1.0]).axes
    dots = [group for group in axes.collections if len(group.get_offsets()) > 1]
    assert [dot.get_offsets()[:, 0].tolist() for dot in dots] == [[0.9, 0.95, 1.0], [0.7, 0.76]]
    medians = [group.get_segments()[0][0, 0] for group in axes.collections if group not in dots]
    np.testing.assert_allclose(medians, [0.95, 0.73])
    assert axes.get_xlabel() == "MCC (1 = same parts)"
    low, high = axes.get_xlim()
    assert low <= 0 and high >= 1


def test_numbers_of_parts_have_their_errors_with_bars_and_their_stability_below():
    figure = figures.n_components([2, 4], HELDOUT, HELDOUT / 2, STABLE, best=4)
    errors, stability = figure.axes
    for container, error in zip(errors.containers, (HELDOUT, HELDOUT / 2), strict=True):
        line, _, (bars,) = container
        mean, reach = error.mean(axis=1), error.std(axis=1, ddof=1) / 3**0.5
        np.testing.assert_array_equal(line.get_xdata(), [2, 4])
        np.testing.assert_allclose(line.get_ydata(), mean)
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.transpose([mean - reach, mean + reach]))
    np.testing.assert_allclose(stability.lines[0].get_ydata(), STABLE.mean(axis=1))
    np.testing.assert_array_equal(stability.collections[0].get_offsets()[:, 1], STABLE.ravel())
    assert stability.get_xlabel() == "number of parts" and errors.get_yscale() == "linear"
    for axes in figure.axes:
        assert axes.lines[-1].get_xdata() == [4, 4]
    legend = [text.get_text() for text in errors.get_legend().get_texts()]
    assert sorted(legend) == ["4 parts", "hidden entries", "seen entries"]


def test_errors_of_numbers_of_parts_are_shown_up_to_that_of_predicting_zero():
    for factor, scale in ((1, "linear"), (0.01, "log")):
        rising = HELDOUT[::-1] * [[factor], [1e9]]
        errors = figures.n_components([2, 4], rising, rising, STABLE, best=2).axes[0]
        low, high = errors.get_ylim()
        assert (errors.get_yscale(), high) == (scale, 1)
        assert (low == 0) == (scale == "linear")
        shown = errors.containers[0].lines[0].get_ydata()
        np.testing.assert_allclose(shown, [rising[0].mean(), np.nan])
        beyond = [
            line for line in errors.lines if line.get_marker() == "^" and len(line.get_xdata())
        ]
        assert [line.get_xydata().tolist() for line in beyond] == 2 * [[[4, 1]]]


NAN = np.where(np.arange(30) == 13, np.nan, np.arange(30)).reshape(5, 6)
WRONG = {
    "shape of another size": (
        lambda: figures.parts(PARTS, (2, 4)),
        r"image_shape \(2, 4\) has 8 pixels.*components have 6",
    ),
    "no shape": (lambda: figures.matched({"NMF": PARTS}, None), "image_shape must be"),
    "NaN": (lambda: figures.parts(NAN, SHAPE), r"components must be finite.*\[2, 1\]"),
    "infinity": (lambda: figures.codes(np.full((2, 2), np.inf)), "H must be finite"),
    "1-D parts": (lambda: figures.parts(PARTS[0], None), r"2-D array, not of shape \(6,\)"),
    "3-D codes": (lambda: figures.codes(PARTS[None]), "2-D array"),
    "no rows": (lambda: figures.parts(PARTS[:0], SHAPE), r"filled.*\(0, 6\)"),
    "no method": (lambda: figures.matched({}, SHAPE), "parts is an empty dict"),
    "no history": (lambda: figures.history({}), "histories is an empty dict"),
    "no function": (lambda: figures.activations({}), "functions is an empty dict"),
    "no reconstruction": (lambda: figures.samples(PARTS, {}, SHAPE), "D_hats is an empty dict"),
    "other numbers of parts": (
        lambda: figures.matched({"NMF": PARTS, "SAE": PARTS[1:]}, SHAPE),
        "equal numbers.*'NMF': 5, 'SAE': 4",
    ),
    "other number of cosines": (
        lambda: figures.matched({"NMF": PARTS}, SHAPE, cosines=[1, 1]),
        "'pairs': 5, 'cosines': 2",
    ),
    "other number of titles": (
        lambda: figures.parts(PARTS, SHAPE, titles=["a"]),
        "'parts': 5, 'titles': 1",
    ),
    "other number of labels": (
        lambda: figures.codes(PARTS, labels=[1, 2]),
        "'samples': 5, 'labels': 2",
    ),
    "other number of samples": (
        lambda: figures.samples(PARTS, {"NMF": PARTS[:3]}, SHAPE),
        "'data': 5, 'NMF': 3",
    ),
    "missing key": (
        lambda: figures.history({"NMF": {"objective": [1]}}, x="seconds"),
        "lacks 'seconds'",
    ),
    "lengths of a history": (
        lambda: figures.history({"NMF": {"objective": [1], "seconds": [1, 2]}}, x="seconds"),
        "'seconds': 2, 'objective': 1",
    ),
    "gradient of nothing": (lambda: figures.activations({"a": relu}, {"b": step}), "gradients has"),
    "other number of rows": (
        lambda: figures.n_components([2, 4, 6], HELDOUT, HELDOUT, STABLE, best=4),
        "Rows must come.*'values': 3, 'hidden entries': 2",
    ),
    "stability that is NaN": (
        lambda: figures.n_components([2, 4], HELDOUT, HELDOUT, STABLE * np.nan, best=4),
        "stability must be finite",
    ),
    "no seeds": (lambda: figures.seeds([0.5], []), "mcc_seeds must be a filled 1-D"),
    "MCC that is NaN": (lambda: figures.seeds([np.nan], [1]), "mcc_between must be finite"),
    "comparison of another size": (lambda: figures.comparison(comparison(), (5, 5)), "25 pixels"),
}


@pytest.mark.parametrize(("draw", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
