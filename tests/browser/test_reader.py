"""What a reader does on a page, in a real browser: folds, cards, search, ink, notes."""

import pytest
from pages import DESK, PHONE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_of_drawings_stands_out(visit, scheme):
    tab = visit("notebooks/sae", DESK, color_scheme=scheme)
    ink, blue, ground = tab.evaluate(
        r"""() => {
          const drawing = document.querySelector("svg.figure"), probe = document.createElement("i");
          probe.style.color = "var(--figure-blue)";
          document.body.append(probe);
          const colours = [drawing, probe].map((element) => getComputedStyle(element).color);
          return [...colours, getComputedStyle(document.body).backgroundColor].map(
            (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((value) => value / 255));
        }"""
    )
    assert contrast(ink, ground) >= 7
    assert contrast(blue, ground) >= 4.5


def contrast(one, other):
    """WCAG 2 contrast ratio of two colours in sRGB."""
    light = []
    for colour in (one, other):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(light) / min(light)


CUT = """() => {
  const right = (box) => box.getBoundingClientRect().right;
  return [...document.querySelectorAll(".bd-article .math:has(> mjx-container)")]
    .filter((one) => one.checkVisibility() && one.clientWidth && one.tabIndex < 0)
    .filter((one) => {
      const container = one.querySelector(":scope > mjx-container");
      const line = one.matches("div") ? container : one;
      const pieces = [...container.querySelectorAll("mjx-math, mjx-math > *")];
      return Math.max(...pieces.map(right)) > right(line) + 2;
    })
    .map((one) => one.textContent);
}"""


# Each has a formula that is wider than a phone; proofs are opened.
@pytest.mark.parametrize("page", ["notebooks/allocation", "notebooks/solvers", "notebooks/vae"])
def test_no_formula_is_cut_on_a_phone(visit, page):
    tab = visit(page, PHONE)
    tab.locator(".proof-fold").evaluate_all("folds => folds.forEach((fold) => (fold.open = true))")
    tab.wait_for_function(f"() => !({CUT})().length")
    for scrolling in tab.locator(".math.scrolls").all():
        assert scrolling.evaluate("one => getComputedStyle(one).overflowX") == "auto"
        assert scrolling.get_attribute("tabindex") == "0"
    assert tab.locator(".math[style*='font-size']").count() > 0, "a wide one is set smaller"


PROVING = "notebooks/uniqueness"


def test_a_proof_opens_by_click_and_by_key(visit):
    tab = visit(PROVING, DESK)
    proof = tab.locator(".proof-fold").first
    last = proof.locator("p").last
    assert not last.is_visible()
    proof.locator("summary").click()
    assert last.is_visible()
    proof.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert not last.is_visible()


def test_a_link_into_a_proof_opens_it(visit):
    tab = visit(PROVING, DESK)
    proof = tab.locator(".proof-fold").nth(1)
    proof.evaluate("fold => fold.lastElementChild.id = 'inside'")
    tab.evaluate("location.hash = 'inside'")
    assert proof.locator("#inside").is_visible()
    assert tab.locator(".proof-fold[open]").count() == 1


def test_on_paper_every_proof_is_open_and_afterwards_none(visit):
    tab = visit(PROVING, DESK)
    tab.emulate_media(media="print")
    heights = "folds => folds.map((fold) => fold.getBoundingClientRect().height)"
    assert min(tab.locator(".proof-fold").evaluate_all(heights)) > 60
    tab.emulate_media(media="screen")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator(".proof-fold:not([open])").count() == 0
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator(".proof-fold[open]").count() == 0


def test_without_scripts_a_proof_can_be_read(visit):
    tab = visit(PROVING, DESK, java_script_enabled=False)
    proof = tab.locator(".proof-fold").first
    proof.locator("summary").click()
    assert proof.locator("p").last.is_visible()


def test_a_status_can_be_told_without_its_colour(visit):
    tab = visit("book/ledger", DESK)
    sign = "chip => getComputedStyle(chip, '::before').content.slice(1, 2)"
    signs = {
        name: tab.locator(f".status-{name}").first.evaluate(sign)
        for name in ("proved", "measured", "open", "refuted")
    }
    assert len(set(signs.values())) == 4 and not any(one.isalnum() for one in signs.values())


def test_a_term_shows_what_it_means_to_pointer_and_keys(visit):
    tab = visit("notebooks/encodability", DESK)
    term = tab.locator("a.term", has_text="ReLU").first
    card = tab.locator("#card-term-ReLU")
    assert not card.is_visible()
    term.hover()
    assert card.is_visible() and "sets negative ones to zero" in card.inner_text()
    card.hover()
    tab.wait_for_timeout(400)
    assert card.is_visible(), "the pointer may go to the card"
    tab.keyboard.press("Escape")
    assert not card.is_visible()
    tab.mouse.move(0, 0)
    term.focus()
    assert card.is_visible()
    assert term.get_attribute("aria-describedby") == "card-term-ReLU"
    tab.locator("a.term", has_text="MCC").first.focus()
    assert not card.is_visible(), "one card at a time"


def test_a_card_fits_a_phone(visit):
    tab = visit("notebooks/noise", PHONE)
    tab.set_default_timeout(5000)
    for term in tab.locator("a.term").all():
        term.focus()
        box = tab.locator(".term-card:not([hidden])").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]


def test_search_shows_the_words_around_what_it_found(visit):
    tab = visit("search", DESK)
    tab.wait_for_load_state("networkidle")  # what a page that is left still asks for has failed
    tab.goto(f"{tab.url.partition('?')[0]}?q=overcomplete")
    tab.locator(".search-summary", has_text="found").wait_for()
    results = tab.locator("#search-results li")
    assert results.count() > 5
    assert tab.locator("#search-results li:not(:has(.context))").count() == 0
    assert tab.locator("#search-results mark").count() > 0


def test_a_margin_note_stands_beside_the_text_and_on_a_phone_within_it(visit):
    for viewport, beside in (PHONE, False), (DESK, True):
        tab = visit("book/first_proofs", viewport)
        note = tab.locator("aside.margin").first.bounding_box()
        text = tab.locator(".bd-article").bounding_box()
        assert (note["x"] >= text["x"] + text["width"] * 0.9) == beside
        assert beside or note["width"] >= text["width"] * 0.9
