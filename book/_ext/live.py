"""The live figures' scripts on every page, and the published records that one of them shows.

``partsrep.records`` of a page has what ``book/results`` has, averaged over data sets: a page that
is read from disk cannot load a file of data.
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


def setup(app):
    app.add_css_file("live/live.css")
    for name in SCRIPTS:
        app.add_js_file(f"live/{name}.js", loading_method="defer")
    app.connect("builder-inited", write_records)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
