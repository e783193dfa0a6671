"""The page "Your data": what it says of a matrix is what Python says."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from partsrep import NMF, SAE, certificate, datasets, encodability, predict, verdict
from partsrep.study.answer import answer, methods
from partsrep.study.freedom import freedom
from partsrep.study.matching import match
from partsrep.study.verdict import chance_of, compared

ROOT = Path(__file__).parents[2]
LIVE = ROOT / "book/_static/live"
sys.path.insert(0, str(ROOT / "book/_ext"))

import live  # noqa: E402


@pytest.fixture(scope="module")
def figure(browser, tmp_path_factory):
    """The figure in a page from disk, with the network off; what goes wrong on it is a failure."""
    folder = tmp_path_factory.mktemp("page")
    scripts = "".join(
        f"<script>{(LIVE / f'{name}.js').read_text()}</script>"
        for name in ("parts", "page", "study", "read", "your-data")
    )
    work = json.dumps(live.worker()).replace("</", "<\\/")
    (folder / "page.html").write_text(
        f'<meta charset="utf-8"><div data-live="your-data"></div>{scripts}'
        f"<script>partsrep.work = {work};</script>"
    )
    context = browser.new_context(offline=True, accept_downloads=True)
    tab = context.new_page()
    faults = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto((folder / "page.html").as_uri())
    yield tab
    context.close()
    assert not faults


def given(tab, path):
    """Choose a file, and wait until it was read."""
    tab.locator("[role=alert]").evaluate("alert => { alert.hidden = true; }")
    tab.locator("#matrix").set_input_files(path)


def said(tab):
    """What the error says."""
    tab.get_by_role("alert").wait_for()
    return tab.get_by_role("alert").inner_text()


def answered(tab, m, decoder="nonnegative", k=0):
    """What is found, by the names of Python's; numbers and the verdict are no texts."""
    tab.locator("#n_components").fill(str(m))
    tab.locator("#decoder").select_option(decoder)
    tab.locator("#k").fill(str(k or ""))
    tab.locator("#run").click()
    tab.locator("#result").wait_for(timeout=60_000)
    assert not tab.get_by_role("alert").is_visible()
    data = tab.locator("#result").evaluate("result => ({...result.dataset})")
    words = ("decidingCondition", "recommendation")
    return {
        name: value if name in words else json.loads(value or "null")
        for name, value in data.items()
    }


def numbers(folder, D, name="matrix.csv"):
    """A file of a matrix."""
    np.savetxt(folder / name, D, delimiter=",", fmt="%.17g")
    return folder / name


EXACT = {"n_parts": 3, "n_samples": 90}
NOISY = {"n_parts": 4, "n_samples": 120, "noise": 0.2, "overlap": 0.3}
PROBLEMS = {
    "exact": (EXACT, 1e-120, {}, (True, "none")),
    "noisy": (NOISY, 1.0, {}, (True, "none")),
    "topk": (NOISY, 1.0, {"k": 1}, (False, "selection")),
    "free": (NOISY, 1.0, {"decoder": "free"}, (False, "signs")),
    "one part": (NOISY | {"n_parts": 1}, 1.0, {}, (True, "none")),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_its_answer_is_the_reports_within_seeds_in_any_unit(figure, tmp_path, name):
    settings, unit, choices, expected = PROBLEMS[name]
    m, D = settings["n_parts"], datasets.load("planted", **settings).D
    given(figure, numbers(tmp_path, unit * D))
    found = answered(figure, m, **choices)
    nmf, sae = methods(D, m, **choices)
    judged = verdict(D, nmf, sae, seeds=3)
    own = answer(judged, predict(D, m, sae, seeds=2), D)
    assert (found["agree"], found["decidingCondition"]) == expected
    assert (own.agree, own.deciding_condition) == expected
    assert found["recommendation"] == own.recommendation
    if name != "free":  # whose parts turn, from start to start
        assert found["mcc"] == pytest.approx(judged.mcc, abs=1e-3)
    assert found["seedMcc"] == pytest.approx(judged.seed_mcc, abs=1e-3)
    assert found["chance"] == pytest.approx(judged.chance, abs=0.05)
    assert found["excess"] == (own.excess and pytest.approx(own.excess, abs=1e-4))


def test_a_free_decoder_disagrees_and_open_data_are_undetermined(figure):
    for name, agree, use in [
        ("the same, free signs", "false", "Use NMF."),
        ("no zeros at all", "null", "Nobody can tell."),
    ]:
        figure.get_by_role("button", name=name, exact=True).click()
        figure.locator("#result").wait_for(timeout=60_000)
        assert figure.locator("#result").get_attribute("data-agree") == agree
        assert use in figure.locator("#result").inner_text()


def test_signs_have_an_honest_answer(figure, tmp_path):
    given(figure, numbers(tmp_path, [[1.0, 2.0, 0.5], [0.25, -0.5, 1.0]]))
    assert "row 2, column 2 is -0.5" in said(figure)
    assert figure.locator("#result").get_attribute("data-agree") == "null"
    assert "Nobody can tell" in figure.locator("#result").inner_text()
    assert figure.locator("#run").is_disabled()


BAD = {
    "text.csv": "a,b\n1,2\n3,x\n",
    "ragged.csv": "1,2,3\n4,5\n",
    "semicolons.csv": "1,5;2,5\n3,0;4,0\n",
    "empty.csv": "",
    "blank.csv": "\n\n",
    "names.csv": "a,b\n",
    "missing.csv": "1,NA\n2,3\n",
    "half.csv": "x,1\n2,3\n",
    "one.csv": "1\n\n2\n",
    "open.csv": '"a,c\n1,2\n',
    "after.csv": '"a" b,c\n1,2\n',
    "under.csv": "1_0,2\n3,4\n",
    "prose.csv": "hello world",
    "cut.npy": b"",
    "magic.npy": b"hello world, no array",
    "flat.npy": np.arange(3.0),
    "object.npy": np.array([[{}]], object),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    for name, content in BAD.items():
        if isinstance(content, np.ndarray):
            np.save(folder / name, content)
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(content)
    np.save(folder / "cut.npy", np.eye(3))
    (folder / "cut.npy").write_bytes((folder / "cut.npy").read_bytes()[:-5])
    return folder


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_has_pythons_error(figure, bad, name):
    with pytest.raises(ValueError) as error:
        datasets.from_file(bad / name)
    given(figure, bad / name)
    assert said(figure) == str(error.value).replace(str(bad / name), name)
    assert figure.locator("#run").is_disabled()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1,2\n3,nan\n4,5\n", "row 2, column 2 is nan: no finite number"),
        ("gene,a,b\none,1,0\ntwo,inf,3\n", "row 2 ('two'), column 1 ('a') is inf"),
        ("1,2,3\n", "The matrix is 1 x 3"),
        ("1\n2\n3\n", "from one feature no parts"),
        ("0,0\n0,0\n", "All entries are 0"),
    ],
)
def test_bad_numbers_are_named(figure, tmp_path, content, words):
    (tmp_path / "bad.csv").write_text(content)
    given(figure, tmp_path / "bad.csv")
    assert words in said(figure)


def test_a_million_rows_get_the_command_line(figure, tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((10**6, 3), np.float32))
    given(figure, tmp_path / "rows.npy")
    figure.locator("#n_components").fill("2")
    assert "partsrep report rows.npy --parts" in said(figure)


@pytest.mark.parametrize(
    "content",
    [
        "gene,a,b\none,1,0\ntwo,0,3\n",
        "a,b\nr1,1,2\nr2,3,4\n",
        ",a,b\n0,1e3,.5\n1, 2 ,+3.\n",
        '"a, b",c\r\n1,2\r\n',
    ],
)
def test_names_and_numbers_are_read_as_in_python(figure, tmp_path, content):
    (tmp_path / "good.csv").write_bytes(content.encode())
    own = datasets.from_file(tmp_path / "good.csv")
    read = figure.evaluate(
        """text => { const read = partsrep.read.file("good.csv", new TextEncoder().encode(text));
        return {...read, D: read.D.map((row) => [...row])}; }""",
        content,
    )
    assert read["D"] == own.D.tolist()
    for name in ("features", "samples"):
        names = getattr(own, name)
        assert read[name] == (None if names is None else names.tolist())


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "|b1", "<u8"])
def test_arrays_are_read_in_both_orders(figure, tmp_path, dtype):
    A = (np.arange(12).reshape(4, 3) % 2).astype(dtype)
    for order in "CF":
        np.save(tmp_path / "a.npy", np.array(A, order=order))
        read = figure.evaluate(
            "bytes => partsrep.read.file('a.npy', Uint8Array.from(bytes).buffer)"
            ".D.map((row) => [...row])",
            list((tmp_path / "a.npy").read_bytes()),
        )
        assert read == A.astype(float).tolist()


def test_what_is_pasted_is_read_and_a_run_can_be_stopped(figure):
    figure.get_by_text("or paste numbers").click()
    rows = np.random.RandomState(0).random_sample((250, 60))
    figure.locator("#pasted").fill("\n".join("\t".join(map(str, row)) for row in rows))
    figure.get_by_role("button", name="Read these").click()
    figure.get_by_text("250 samples, 60 features").wait_for()
    figure.locator("#n_components").fill("12")
    figure.locator("#run").click()
    figure.get_by_role("progressbar").wait_for()
    figure.locator("#stop").click()
    figure.get_by_text("nothing is kept").wait_for()
    assert not figure.locator("#result").is_visible() and figure.locator("#run").is_enabled()


def test_a_number_of_parts_that_is_none_is_refused(figure):
    figure.get_by_role("button", name="six spots", exact=True).click()
    figure.locator("#stop").click()
    figure.locator("#n_components").fill("0")
    figure.locator("#run").click()
    assert "integer of at least 1; got 0" in said(figure)


def test_the_answer_can_be_kept(figure, tmp_path):
    D = 1000 * datasets.load("planted", n_parts=3, n_samples=60).D
    given(figure, numbers(tmp_path, D))
    found = answered(figure, 3)
    kept = {}
    for name in ("answer", "parts", "codes"):
        with figure.expect_download() as download:
            figure.get_by_role("button", name=name).click()
        kept[name] = Path(download.value.path())
    answer = json.loads(kept["answer"].read_text())
    assert answer["agree"] is found["agree"] is True and answer["mcc"] == found["mcc"]
    assert answer["recommendation"] == "nmf" and answer["deciding_condition"] == "none"  # n < d
    P, H = (
        datasets.from_file(kept[name].replace(tmp_path / f"{name}.csv")).D
        for name in ("parts", "codes")
    )
    for own, codes in ((P[:3], H[:, :3]), (P[3:], H[:, 3:])):
        assert np.sum((D - codes @ own) ** 2) < 1e-6 * np.sum(D**2)


@pytest.fixture(scope="module")
def study(figure):
    """Call a port with matrices as lists; matrices come back as lists."""
    head = "const rows = (A) => A.map((row) => Float64Array.from(row)); const s = partsrep.study;"
    return lambda script, *data: figure.evaluate(f"(data) => {{ {head} {script} }}", data)


def fitted():
    D = datasets.load("planted", n_parts=4, n_samples=100, noise=0.2, overlap=0.6).D
    return D, NMF(4, n_init=3, random_state=0).fit(D)


def test_from_the_same_start_the_fits_are_pythons(study):
    D, nmf = fitted()
    loss, mcc = study(
        """const [D, H, P, other] = data.map(rows);
        const fit = s.near(D, {H, P}, {});
        return [fit.loss, partsrep.match(fit.P, other).mcc];""",
        D.tolist(),
        nmf.transform(D).tolist(),
        nmf.components_.tolist(),
        (own := SAE(4, decoder="nonnegative", start=nmf, tol=1e-9).fit(D)).components_.tolist(),
    )
    assert loss == pytest.approx(own.loss_, rel=1e-6)
    assert mcc > 1 - 1e-6


def test_parts_that_others_can_replace_are_pythons(study):
    rng = np.random.RandomState(1)
    for zeros in (0.0, 0.3, 0.6):
        H, P = (np.maximum(rng.random_sample(shape) - zeros, 0) for shape in ((40, 4), (4, 12)))
        found = study(
            "return s.freedom({H: rows(data[0]), P: rows(data[1])});", H.tolist(), P.tolist()
        )
        np.testing.assert_allclose(found, freedom(H, P).cosines, atol=1e-9)


def test_margins_are_pythons(study):
    rng = np.random.RandomState(2)
    for m, d in [(4, 9), (6, 5), (7, 7)]:
        P = np.maximum(rng.standard_normal((m, d)), 0) + 1e-3
        H = rng.random_sample((12, m)) * (rng.random_sample((12, m)) < 0.3)
        found = study(
            "return s.margins(rows(data[0]), s.usedTogether(rows(data[1])))"
            ".map((margin) => (margin === Infinity ? -1 : margin));",
            P.tolist(), H.tolist(),
        )  # fmt: skip
        active = 0.05 * H.max(axis=0) < H
        own = encodability(P.T, active).margin
        np.testing.assert_allclose(found, np.where(np.isinf(own), -1, own), atol=1e-5)


def test_singular_values_are_numpys(study):
    A = np.random.RandomState(3).standard_normal((30, 8))
    found = study("return s.beyond(rows(data[0]), 3);", A.tolist())
    assert found == pytest.approx(np.sum(np.linalg.svd(A)[1][3:] ** 2), rel=1e-9)


def test_agreement_and_its_interval_are_pythons(study):
    rng = np.random.RandomState(4)
    truth = np.maximum(rng.standard_normal((4, 10)), 0)
    stacks = [np.maximum(truth + 0.3 * rng.standard_normal((6, 4, 10)), 0) for _ in range(2)]
    D = rng.random_sample((50, 10))
    found = study(
        """const [a, b] = data.slice(0, 2).map((fits) => fits.map(rows));
        const chance = s.chanceOf(a, rows(data[2]), partsrep.random(0));
        const {mcc, own, interval} = s.compared(a, b, data[3], partsrep.random(0));
        return [mcc, own, chance, ...interval];""",
        *(stack.tolist() for stack in stacks), D.tolist(), 0.5,
    )  # fmt: skip
    chance = chance_of(list(stacks[0]), D, np.random.RandomState(0))
    between = [[match(a, b).mcc for b in stacks[1]] for a in stacks[0]]
    assert found[0] == pytest.approx(np.mean(between), abs=1e-12)
    assert found[2] == pytest.approx(chance, abs=0.01)
    own = [match(a, b).mcc for i, a in enumerate(stacks[0]) for b in stacks[0][:i]]
    assert found[1] == pytest.approx(np.mean(own), abs=1e-12)
    fits = [_Fixed(stack) for stack in stacks]
    judged = compared(*fits, D, "a", 0.5, 4000, np.random.RandomState(0))
    np.testing.assert_allclose(found[3:], judged.agreement_interval, atol=0.05)


class _Fixed(list):
    """Fits whose parts are given."""

    def __init__(self, parts):
        super().__init__(_Given(one) for one in parts)


class _Given:
    def __init__(self, parts):
        self.components_ = parts

    def transform(self, D):
        return np.ones((len(D), len(self.components_)))


def test_prediction_and_certificate_are_pythons(study):
    D, nmf = fitted()
    H = nmf.transform(D)
    foretold, proved = predict(D, 4, seeds=2), certificate(nmf, D)
    fit = {"H": H.tolist(), "P": nmf.components_.tolist(), "loss": nmf.loss_}
    found = study(
        """const of = (fit) => ({...fit, H: rows(fit.H), P: rows(fit.P)});
        const {certificate, predicted_excess, margins} =
          s.answer(rows(data[0]), [of(data[1]), of(data[1])], [of(data[1]), of(data[1])], {m: 4});
        return {certificate, predicted_excess, least: Math.min(...margins)};""",
        D.tolist(), fit,
    )  # fmt: skip
    energy = np.sum(D**2)
    np.testing.assert_allclose(found["predicted_excess"], foretold.excess, atol=1e-3)
    assert found["certificate"]["lower"] * energy == pytest.approx(proved.lower, rel=1e-6)
    assert found["certificate"]["upper"] == pytest.approx(proved.upper / energy, abs=1e-8)
    assert found["least"] == pytest.approx(foretold.evidence["least margin"], abs=1e-3)
