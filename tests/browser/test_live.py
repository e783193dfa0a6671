"""The live figures: their ports of our solvers give Python's results, and their controls work."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

from partsrep import NMF, SAE, TopK, encodability
from partsrep.study.matching import match

# Two cells of a map, each with two trainings.
RECORDS = """partsrep.records = {phase: [[0, 0.03], [0.4, 0]].map(([noise, dictionary]) => (
  {kind: "m = d", noise, overlap: 0.5, runs: ["short", "long"].map((name, place) => (
    {name, dictionary: place ? 0 : dictionary, amortisation: 0.01, share: 0.25}))}))};"""
LIVE = Path(__file__).parents[2] / "book/_static/live"


@pytest.fixture(scope="module")
def parts(browser):
    """Call a function of parts.js with matrices as lists; matrices come back as lists."""
    tab = browser.new_page()
    tab.goto("about:blank")
    tab.add_script_tag(path=LIVE / "parts.js")
    tab.add_script_tag(
        content="""
        const rows = (A) => A.map((row) => Float64Array.from(row));
        const lists = (fit) => Object.fromEntries(Object.entries(fit).map(([name, value]) =>
          [name, Array.isArray(value) && value[0]?.length ? value.map((row) => [...row]) : value]));
        """
    )
    yield lambda script, *data: tab.evaluate(f"(data) => {{ {script} }}", data)
    tab.close()


def planted(noise, alone=False):
    """Data and a start near their parts; in each sample some parts, or one alone."""
    rng = np.random.RandomState(4)
    X = np.maximum(rng.standard_normal((5, 16)), 0)
    H = rng.exponential(size=(90, 5)) * (rng.random_sample((90, 5)) < 0.4)
    if alone:
        H = np.eye(5)[np.arange(90) % 5] * (1 + H)
    return (
        H @ X + noise * rng.random_sample((90, 16)),
        rng.random_sample((90, 5)),
        X + 0.3 * rng.random_sample(X.shape),
    )


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_nmf_from_the_same_start_is_pythons(parts, noise):
    D, H, P = planted(noise)
    own = NMF(5, start=(H, P.T), tol=1e-8, max_iter=50_000).fit(D)
    fit = parts(
        """const [D, H, P] = data.map(rows);
        const {loss, P: found} = partsrep.last(
          partsrep.nmf(D, {start: {H, P}, tol: 1e-8, iterations: 50000}));
        return lists({loss, P: found});""",
        D.tolist(), H.tolist(), P.tolist(),
    )  # fmt: skip
    assert fit["loss"] == pytest.approx(own.loss_, rel=1e-6)
    assert match(np.array(fit["P"]), own.components_).mcc > 1 - 1e-6


@pytest.mark.parametrize(
    "alone, settings, given",
    [
        (False, {"decoder": "nonnegative"}, {}),
        # Among selections there are many minima, but not where each sample has one part.
        (True, {"activation": TopK(1), "decoder": "unit-nonnegative"}, {"k": 1}),
        (False, {}, {"free": True}),
    ],
    ids=["nonnegative", "topk", "free"],
)
def test_autoencoder_from_the_same_start_is_pythons(parts, alone, settings, given):
    D, _, P = planted(0.1 if alone else 0.3, alone)
    U = np.linalg.pinv(P).T
    own = SAE(5, start=(U, P.T), solver="projection", tol=1e-12, max_epochs=5000, **settings).fit(D)
    fit = parts(
        """const [[D, U, P], given] = [data.slice(0, 3).map(rows), data[3]];
        return lists(partsrep.last(
          partsrep.sae(D, {start: {U, P}, tol: 1e-12, steps: 5000, ...given})));""",
        D.tolist(), U.tolist(), P.tolist(), given,
    )  # fmt: skip
    assert fit["loss"] == pytest.approx(own.loss_, rel=1e-6)
    H, P = np.array(fit["H"]), np.array(fit["P"])
    assert np.sum((D - H @ P) ** 2) == pytest.approx(fit["loss"], rel=1e-8)
    if not given.get("free"):  # free parts are not determined
        assert match(P, own.components_).mcc > 1 - 1e-5


def test_own_starts_are_as_good_as_pythons(parts):
    D, _, _ = planted(0.3)
    own = SAE(5, decoder="nonnegative", random_state=0).fit(D)
    losses = parts(
        """const D = rows(data[0]);
        return [0, 1, 2, 3, 4].map((seed) =>
          partsrep.last(partsrep.sae(D, {m: 5, seed})).loss);""",
        D.tolist(),
    )
    assert min(losses) < 1.01 * own.loss_


def test_codes_are_nonnegative_least_squares(parts):
    D, _, P = planted(0.5)
    found = parts(
        "return partsrep.codes(rows(data[0]), rows(data[1])).map((row) => [...row]);",
        D.tolist(),
        P.tolist(),
    )
    np.testing.assert_allclose(found, [nnls(P.T, sample)[0] for sample in D], atol=1e-6)


def test_parts_are_matched_as_in_python(parts):
    rng = np.random.RandomState(1)
    for a, b in [(5, 5), (4, 6), (6, 3)]:
        A, B = rng.standard_normal((a, 7)), rng.standard_normal((b, 7))
        A[0] = 0
        found = parts(
            "return partsrep.match(rows(data[0]), rows(data[1])).mcc;", A.tolist(), B.tolist()
        )
        assert found == pytest.approx(match(A, B).mcc, abs=1e-12)


@pytest.fixture
def figure(browser):
    """A page with one live figure, as the book has it."""

    def open_figure(name):
        tab = browser.new_page(viewport={"width": 700, "height": 800})
        faults = []
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto("about:blank")
        tab.set_content(f'<div data-live="{name}"><p class="still">still</p></div>')
        for script in ("parts", "page"):
            tab.add_script_tag(path=LIVE / f"{script}.js")
        tab.add_script_tag(content=RECORDS)
        tab.add_script_tag(path=LIVE / f"{name}.js")
        tab.evaluate("dispatchEvent(new Event('DOMContentLoaded'))")
        opened.append((tab, faults))
        return tab

    opened = []
    yield open_figure
    for tab, faults in opened:
        tab.close()
        assert not faults


VERDICT = ".live-verdict"


def settled(tab, text, timeout=60_000):
    tab.locator(VERDICT, has_text=re.compile(text)).wait_for(timeout=timeout)
    return tab.locator(VERDICT).inner_text()


def test_both_methods_agree_until_the_signs_are_free(figure):
    tab = figure("two-methods")
    settled(tab, "They agree")
    tab.get_by_label("decoder").select_option("free")
    settled(tab, "They differ")


def test_together_has_the_margins_of_encodability(figure):
    tab = figure("together")
    angles = np.deg2rad([20, 75, 130])
    X = np.stack([np.cos(angles), np.sin(angles)])
    pairs = "a and b", "a and c", "b and c"
    at = dict(zip(pairs, itertools.combinations(range(3), 2), strict=True))
    for chosen in itertools.chain.from_iterable(itertools.combinations(pairs, r) for r in range(4)):
        for pair in pairs:
            tab.get_by_label(pair).set_checked(pair in chosen)
        patterns = np.vstack(
            [np.eye(3, dtype=bool), *(np.isin(range(3), at[pair]) for pair in chosen)]
        )
        margins = encodability(X, patterns).margin
        for j, name in enumerate("abc"):
            tab.get_by_label(name, exact=True).check()
            assert float(tab.locator(".live").get_attribute("data-margin")) == pytest.approx(
                margins[j], abs=1e-6
            )


def test_a_raised_code_moves_others_only_where_samples_compete(figure):
    tab = figure("selection")

    def moved(activation):
        tab.get_by_role("combobox", name="activation").select_option(activation)
        tab.get_by_label("marked cell").fill("4")
        return [int(word) for word in tab.locator(VERDICT).inner_text().split() if word.isdigit()][
            -2:
        ]

    assert moved("relu") == [0, 0]
    others, elsewhere = moved("topk")
    assert others == 1 and elsewhere == 0
    assert moved("batch")[1] == 1


def test_selection_is_worked_by_keys(figure):
    tab = figure("selection")
    tab.locator("svg").focus()
    before = tab.locator("[data-marked=true]").get_attribute("x")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("[data-marked=true]").get_attribute("x") != before


def test_triangle_is_worked_by_keys_and_dense_samples_leave_it_open(figure):
    tab = figure("triangle")
    corner = tab.locator(".live-handle").first
    before = corner.get_attribute("cy")
    corner.focus()
    tab.keyboard.press("ArrowDown")
    assert corner.get_attribute("cy") != before
    tab.get_by_role("button", name="NMF").click()
    settled(tab, "the same triangle")
    tab.get_by_label("dense").fill("0.8")
    tab.get_by_role("button", name="NMF").click()
    settled(tab, "different triangles")


def test_map_says_which_gap_of_a_cell_is_the_larger(figure):
    tab = figure("map")
    tab.get_by_label("training").select_option("short")
    settled(tab, "noise 0, short: dictionary gap 3.0 % of the data, .* the parts lose more")
    tab.get_by_role("button", name="noise 0.4").click()
    settled(tab, "noise 0.4, short: .* the encoder loses more")
    tab.get_by_role("button", name="noise 0:").click()
    tab.get_by_label("training").select_option("long")
    settled(tab, "noise 0, long: .* the encoder loses more")


def test_a_still_picture_stands_in_print(figure):
    tab = figure("selection")
    assert tab.locator(".live").count() == 1
    tab.add_style_tag(path=LIVE / "live.css")
    assert not tab.locator(".still").is_visible()
    tab.emulate_media(media="print")
    assert tab.locator(".still").is_visible() and not tab.locator(".live").is_visible()
