"""A term of the glossary is a link where a page uses it first, with a card that says what it means.

Titles, code, formulas, tables and links stay as they are; ``way.js`` shows the cards.
"""

import re
from functools import cache
from html import escape

from docutils import nodes
from sphinx import addnodes

GLOSSARY = "book/glossary"
WITHOUT = {GLOSSARY, "book/references", "book/changes", "book/notation"}
# A term whose word means other things too is recognised in these forms only.
FORMS = {"part": ["parts"], "code": ["codes"], "selection": [], "record": [], "null": []}
NO_PROSE = (
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.title,
    nodes.table,
    nodes.raw,
)


@cache  # the glossary is read once for all pages
def meanings(env) -> dict[str, tuple[str, nodes.Node]]:
    """For each way to write a term the id that it has in the glossary, and its definition."""
    if GLOSSARY not in env.found_docs:
        return {}
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        for term in item.findall(nodes.term):
            name = term.astext()
            plural = [f"{name}s"] if name.islower() and not name.endswith("s") else []
            for form in FORMS.get(name, [name, *plural]):
                for written in {form, form[0].upper() + form[1:] if form.islower() else form}:
                    found[written] = term["ids"][0], item[-1]
    return found


def link_first_uses(app, doctree, docname):
    known = meanings(app.env)
    if docname in WITHOUT or docname.startswith("book/api") or not known:
        return
    words = "|".join(re.escape(word) for word in sorted(known, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")
    glossary = app.builder.get_relative_uri(docname, GLOSSARY)
    seen = set()
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.Text | nodes.reference))):
        if isinstance(node, nodes.reference):
            _, _, anchor = node.get("refuri", "").partition("glossary.html#")
            if anchor.startswith("term-"):  # written as a link by the author
                node["classes"].append("term")
                seen.add(anchor)
        elif in_prose(node):
            link_in_text(node, pattern, known, glossary, seen)


def in_prose(text: nodes.Text) -> bool:
    parent, paragraph = text.parent, False
    while parent is not None:
        if isinstance(parent, NO_PROSE) or "math" in parent.tagname:
            return False
        paragraph = paragraph or isinstance(parent, nodes.paragraph)
        parent = parent.parent
    return paragraph


def link_in_text(text, pattern, known, glossary, seen):
    """Cut a text at the terms that the page has not used before."""
    pieces, begin = [], 0
    for found in pattern.finditer(text):
        anchor = known[found[0]][0]
        if anchor not in seen:
            seen.add(anchor)
            link = nodes.reference(
                "", found[0], refuri=f"{glossary}#{anchor}", internal=True, classes=["term"]
            )
            pieces += [nodes.Text(text[begin : found.start()]), link]
            begin = found.end()
    if pieces:
        text.parent.replace(text, [*pieces, nodes.Text(text[begin:])])


def add_cards(app, pagename, templatename, context, doctree):
    """The definitions of the terms that the page uses, hidden at its foot."""
    if doctree is None:
        return
    links = doctree.findall(
        lambda node: "term" in getattr(node, "attributes", {}).get("classes", ())
    )
    used = {link["refuri"].partition("#")[2]: None for link in links}
    definitions = dict(meanings(app.env).values())
    glossary = app.builder.get_relative_uri(pagename, GLOSSARY)
    cards = "".join(
        f'<div class="term-card" id="card-{anchor}" hidden>{in_html(app, definitions[anchor])}'
        f'<p><a href="{escape(glossary)}#{anchor}">In the glossary</a></p></div>\n'
        for anchor in used
    )
    context["body"] += cards
    if 'class="math' in cards:  # which no formula of the page itself may have asked for
        app.env.get_domain("math").data["has_equations"][pagename] = True


def in_html(app, definition) -> str:
    """A definition, without its citations and links."""
    definition = definition.deepcopy()
    for link in list(definition.findall(addnodes.pending_xref)):
        link.parent.replace(link, [] if link["refdomain"] == "cite" else link.children)
    words = app.builder.render_partial(nodes.container("", *definition.children))["fragment"]
    return re.sub(r"\s+([.;,)])", r"\1", words)


def setup(app):
    app.connect("doctree-resolved", link_first_uses, priority=900)
    app.connect("html-page-context", add_cards, priority=400)  # before MathJax is put in
    return {"parallel_read_safe": True, "parallel_write_safe": True}
