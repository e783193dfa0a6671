"""Ours against its peers, at one thread: prints a table and writes a list of rows as JSON.

Seconds are those of the processor, medians of complete runs taken in turn; ratio = peer / ours.
A file beside this one adds its benchmarks by a dict from names to functions of the scale that
return rows (made by `measure.row`); `main` joins the dicts.
"""

import argparse
import json
import os
import re
import sys
import time
import warnings
from pathlib import Path

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
ROOT = Path(__file__).resolve().parents[2]
HEAD = (
    f"{'':44} {'ours s':>8} {'peer s':>8} {'ratio':>6}  {'of GEMM peak':13}  {'bar':14} met  more"
)


def main() -> None:
    """Run the chosen benchmarks."""
    arguments = read_arguments()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        # Libraries read these when they are loaded, the child processes of a benchmark too.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    began = time.perf_counter()
    import blocks
    import imports
    import nmf
    import sae
    import sweeps
    from measure import machine
    from sklearn.exceptions import ConvergenceWarning

    # Fits that are cut off at a number of iterations are the point here.
    warnings.simplefilter("ignore", ConvergenceWarning)
    benchmarks = {
        **blocks.BENCHMARKS,
        **imports.BENCHMARKS,
        **nmf.BENCHMARKS,
        **sae.BENCHMARKS,
        **sweeps.BENCHMARKS,
    }
    chosen = {name: run for name, run in benchmarks.items() if re.search(arguments.only, name)}
    if not chosen:
        sys.exit(f"No benchmark is called {arguments.only!r}; there are: {', '.join(benchmarks)}")
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(HEAD, flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for run in chosen.values():
        found = run(arguments.scale)
        print(*map(line, found), sep="\n", flush=True)
        rows += found
        # After each, so that an interrupted run leaves what it has measured.
        text = json.dumps(rows, indent=1, allow_nan=False, ensure_ascii=False)
        arguments.out.write_text(text + "\n")
    judged = [row["met"] for row in rows if row["bar"]]
    print(f"{sum(judged)} of {len(judged)} bars met, in {time.perf_counter() - began:.0f} s.")
    print(f"To publish the table: cp {os.path.relpath(arguments.out)} book/results/bench.json")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="PATTERN", help="benchmarks so called")
    parser.add_argument("--scale", type=float, default=1, help="below 1: shrink all, for a test")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    return parser.parse_args()


def line(row: dict) -> str:
    """A row for people; what never happened is a dash."""
    shares = "" if row["gemm_share"] is None else pair(row, "gemm_share", ".0%")
    more = [
        f"{label} {pair(row, field, form)}"
        for field, label, form in (
            ("objective", "objective", ".5f"),
            ("iterations", "iterations", ".0f"),
            ("growth", "growth", ".2f"),
            ("memory", "memory", ".1f"),
            ("cosine", "cosine", ".3f"),
        )
        if field in row
    ]
    met = {None: "", True: "yes", False: "NO"}[row["met"]]
    seconds = (number(row[side], ".3f") for side in ("ours", "peer"))
    return (
        "{:44} {:>8} {:>8} {:>6}".format(row["name"], *seconds, number(row["ratio"], ".2f"))
        + f"  {shares:13}  {row['bar'] or '':14} {met:3}  {', '.join(more)}"
    )


def pair(row: dict, field: str, form: str) -> str:
    """Ours against the peer's."""
    return f"{number(row[field], form)} / {number(row[f'peer_{field}'], form)}"


def number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    main()
