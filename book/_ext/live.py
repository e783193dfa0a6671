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
# How the autoencoders of the published map were trained, by the names of their records.
TRAININGS = {
    **{f"adam_{few}": f"Adam, {few} epoch{'s' * (few > 1)}" for few in (1, 10, 30, 100, 300)},
    "auto": "best training",
    "at_nmf": "begun at NMF's parts",
}
NOTHING = 1e-5  # of the data, as on the page: below it nothing is lost


def kind(parameters):
    """What the map is for: the number of parts, and which codes are allowed."""
    ratio = parameters["n_components"] / parameters["n_features"]
    parts = {0.5: "m = d/2", 1: "m = d"}.get(ratio, f"m = {ratio:g}d")
    return f"{parts}, {'TopK' if parameters['k'] else 'ReLU'}"


def phase(lines):
    """Means of the published map over its data sets: both gaps, and the dictionary's share."""
    cells = {}
    for record in map(json.loads, lines):
        given = record["parameters"]
        place = kind(given), given["noise"], given["overlap"]
        cells.setdefault(place, []).append(record["metrics"]["runs"])
    return [
        {"kind": what, "noise": noise, "overlap": overlap}
        | {"runs": [averaged(name, [runs[name] for runs in some]) for name in TRAININGS]}
        for (what, noise, overlap), some in cells.items()
    ]


def averaged(name, runs):
    """The means of one training over the data sets of a cell; no share where nothing is lost."""
    gaps = [[max(run[gap], 0) for gap in ("dictionary", "amortisation")] for run in runs]
    shares = [both[0] / sum(both) for both in gaps if sum(both) > NOTHING]
    return {
        "name": TRAININGS[name],
        "dictionary": round(mean(both[0] for both in gaps), 7),
        "amortisation": round(mean(both[1] for both in gaps), 7),
        "share": round(mean(shares), 5) if shares else None,
    }


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
