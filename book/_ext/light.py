"""What a page loads: of the theme and of MathJax only what this book uses.

The theme draws some twenty icons; it ships two thousand, as fonts and once more as a script of
1.5 MB (`templates/static/webpack-macros.html` leaves that out).
MathJax comes as its core, TeX, one output and what screen readers need, without the menu, which
would make each formula a tab stop.
"""

import logging
import re
from pathlib import Path

from fontTools import subset

MATHJAX = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts",
    "a11y/assistive-mml.js",
)
ICON = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\[0-9a-f]+"\}')
WOFF2 = re.compile(r'url\([^)]*\.woff2\) format\("woff2"\),')


def small_mathjax(app, config):
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = (config.mathjax3_config or {}) | {
        "loader": {"load": ["input/tex", "output/chtml", "a11y/assistive-mml"]}
    }


def drop_what_no_page_uses(app, failure):
    if failure or app.builder.name != "html":
        return
    static = Path(app.outdir, "_static")
    for path in static.rglob("*"):
        of_mathjax = path.is_relative_to(static / "mathjax")
        kept = (
            path.relative_to(static / "mathjax").as_posix().startswith(MATHJAX)
            if of_mathjax
            else (
                path.suffix not in (".map", ".po", ".mo", ".woff2")
                and path.name != "fontawesome.js"
            )
        )
        if path.is_file() and not kept:
            path.unlink()
    keep_icons(static, used_icons(app.outdir))


def used_icons(folder) -> set[str]:
    """Names of icons in pages and scripts."""
    files = [path for kind in ("html", "js") for path in Path(folder).rglob(f"*.{kind}")]
    return {name for path in files for name in re.findall(r"fa-[a-z-]+", path.read_text())}


def keep_icons(static: Path, used: set[str]) -> None:
    """Leave only these icons in the theme's style sheet, and only what it names in its fonts."""

    def rule(found):
        names = re.findall(r"\.(fa-[\w-]+)", found[1])
        return found[0] if used.intersection(names) else ""

    sheets = static / "styles"
    theme = sheets / "pydata-sphinx-theme.css"
    theme.write_text(WOFF2.sub("", ICON.sub(rule, theme.read_text())))
    text = "".join(path.read_text() for path in sheets.glob("*.css"))
    codes = {int(code, 16) for code in re.findall(r'"\\(f[0-9a-f]{3})"', text)}
    codes |= {ord(character) for character in re.findall("[\ue000-\uf8ff]", text)}
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it tells of each table
    for path in (static / "vendor/fontawesome/webfonts").glob("*.ttf"):
        font = subset.load_font(path, options := subset.Options(drop_tables=["FFTM"]))
        few = subset.Subsetter(options)
        few.populate(unicodes=codes)
        few.subset(font)
        subset.save_font(font, path, options)


def setup(app):
    app.connect("config-inited", small_mathjax)
    app.connect("build-finished", drop_what_no_page_uses, priority=900)  # after MathJax's copy
    return {"parallel_read_safe": True, "parallel_write_safe": True}
