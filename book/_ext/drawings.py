"""Drawings in the page: an SVG is part of its HTML, so that it has the theme's ink and letters.

A figure of a notebook and a drawing of ``book/_static`` are written with `currentColor` and the
variables ``--figure-blue``, …, which ``custom.css`` sets for a light and for a dark page. An
``img`` would know nothing of them.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator


def visit_image(translator, node):
    if not node["uri"].endswith(".svg"):
        HTML5Translator.visit_image(translator, node)
        return
    svg = Path(translator.builder.srcdir, node["uri"]).read_text(encoding="utf-8")
    said = f' role="img" aria-label="{escape(node.get("alt", ""))}"'
    translator.body.append(
        re.sub(r"<\?xml.*?\?>", "", svg).strip().replace("<svg", "<svg" + said, 1)
    )
    translator.builder.images.pop(node["uri"], None)  # no file of its own is needed


def depart_image(translator, node):
    if not node["uri"].endswith(".svg"):
        HTML5Translator.depart_image(translator, node)


def setup(app):
    app.add_node(nodes.image, override=True, html=(visit_image, depart_image))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
