"""The list of references without the roles that docutils gives it.

It calls each entry and each link back an item of a list in a way that screen readers refuse.
"""

import re

ROLES = re.compile(r' role="(?:doc-biblioentry|doc-backlink|list)"(?=[^>]*>)')


def plain_list(app, pagename, templatename, context, doctree):
    if "citation-list" in context.get("body", ""):
        context["body"] = ROLES.sub("", context["body"])


def setup(app):
    app.connect("html-page-context", plain_list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
