"""No dead link: only a build that is told where the sources are public has links to them.

``partsrep book --repository URL`` tells it; ``{in-a-clone}`` says how to get a clone.
"""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

BUTTONS = (
    "launch_buttons",
    "use_edit_page_button",
    "use_issues_button",
    "use_repository_button",
)


class InAClone(SphinxDirective):
    """Commands to type into a shell."""

    has_content = True

    def run(self):
        lines = list(self.content)
        if url := self.config.html_theme_options.get("repository_url"):
            lines.insert(0, f"git clone {url} && cd {url.rstrip('/').split('/')[-1]}")
        commands = "\n".join(lines)
        return [nodes.literal_block(commands, commands, language="bash")]


def no_dead_buttons(app, config):
    """Buttons for Binder, Colab, issues and edits need an address."""
    options = config.html_theme_options
    if not options.get("repository_url"):
        for button in BUTTONS:
            options.pop(button, None)


def setup(app):
    app.add_directive("in-a-clone", InAClone)
    app.connect("config-inited", no_dead_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
