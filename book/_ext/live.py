"""The live figures' scripts on every page, and the published records that one of them shows.

``partsrep.records`` of a page has what ``book/results`` has, averaged over data sets: a page that
is read from disk cannot load a file of data. Nor can it start a worker from a file, so that
``partsrep.work`` has the text of what a worker runs.
"""

import json
from pathlib import Path
from statistics import mean

SCRIPTS = [
    "form",
    "parts",
    "page",
    "records",
    "two-methods",
    "triangle",
    "together",
    "selection",
    "map",
]
#: What one page alone needs, and of it the worker.
OF_PAGE = {"book/your_data": ["study", "read", "work", "your-data"]}
WORK = ["parts", "study", "worker"]
SHOWN = ["mcc", "seed_mcc", "truth_mcc_nmf", "truth_mcc_sae"]


def phase(lines):
    """Means of the published map over its data sets, a dict for each noise and overlap."""
    cells = {}
    for record in map(json.loads, lines):
        place = record["parameters"]["noise"], record["parameters"]["overlap"]
        cells.setdefault(place, []).append(record["metrics"]["planted"])
    return [
        {"noise": noise, "overlap": overlap}
        | {name: round(mean(found[name] for found in some), 5) for name in SHOWN}
        for (noise, overlap), some in sorted(cells.items())
    ]


def write_records(app):
    """Put the records beside the scripts."""
    # The driver builds from a copy within the repository, which leaves the results where they are.
    folders = Path(app.confdir), *Path(app.confdir).parents
    places = (folder / "book/results/phase.jsonl" for folder in folders)
    results = next((place for place in places if place.is_file()), None)
    records = {"phase": phase(results.read_text().splitlines())} if results else {}
    out = Path(app.outdir, "_static/live/records.js")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f"partsrep.records = {json.dumps(records)};\n")
    out.with_name("work.js").write_text(f"partsrep.work = {json.dumps(worker())};\n")


def worker():
    """The text of what a worker runs."""
    folder = Path(__file__).parents[1] / "_static/live"
    return "\n".join((folder / f"{name}.js").read_text() for name in WORK)


def add_own_scripts(app, pagename, templatename, context, doctree):
    """Those of one page."""
    for name in OF_PAGE.get(pagename, ()):
        app.add_js_file(f"live/{name}.js", loading_method="defer")


def setup(app):
    app.add_css_file("live/live.css")
    for name in SCRIPTS:
        app.add_js_file(f"live/{name}.js", loading_method="defer")
    app.connect("builder-inited", write_records)
    app.connect("html-page-context", add_own_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
