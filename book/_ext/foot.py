"""The foot of a page: how to cite it, licence, version and date."""

from html import unescape
from importlib.metadata import version
from pathlib import Path
from re import sub

CITE = """\
@misc{{partsrep_{key},
  title        = {{{title}}},
  author       = {{{{{author}}}}},
  year         = {{{year}}},
  howpublished = {{In: {book} Version {version}}},{url}
}}"""


def fill(app, pagename, templatename, context, doctree):
    """What `templates/foot.html` shows."""
    context["book_version"] = version("partsrep")
    if doctree is None:  # an index, or the page of search
        return
    config = app.config
    address = f"{config.html_baseurl.rstrip('/')}/{pagename}.html" if config.html_baseurl else ""
    context["cite"] = CITE.format(
        key=pagename.rpartition("/")[2],
        title=unescape(sub("<[^>]+>", "", context["title"])),
        author=config.author,
        year=config.copyright,
        book=config.project,
        version=context["book_version"],
        url=f"\n  url          = {{{address}}}," if address else "",
    )


def add_templates(app, config):
    config.templates_path.append(str(Path(__file__).with_name("templates")))


def setup(app):
    app.connect("config-inited", add_templates)
    app.connect("html-page-context", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
