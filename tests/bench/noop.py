"""Points that do nothing, through a real scheduler: what a sweep costs when its work is free.

``python tests/bench/noop.py 100000 FILE.json`` starts ``dask scheduler`` and two ``dask worker``
processes, drives that many points through them, each of which only writes its record, and then
plans the sweep again and gathers its table.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import psutil
from distributed import Client
from nbformat.v4 import new_code_cell, new_notebook

from partsrep.runs import driver, results
from partsrep.runs.book import script
from partsrep.runs.points import RECORD, Job, Point, as_record
from partsrep.runs.records import write_json

KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


def noop(point: Point, job: Job) -> None:
    """Leave a record, as a point does, without running a notebook."""
    folder = Path(job.out, point.name)
    folder.mkdir()
    record = as_record(point, job, {"sum": point.parameters["seed"]}, None, 0.0, {})
    write_json(folder / RECORD, record)


def main(count: int, report: Path) -> None:
    with TemporaryDirectory() as folder:
        place, out = Path(folder), Path(folder, "out")
        parameters = new_code_cell("seed: int = 0  # of nothing", metadata={"tags": ["parameters"]})
        nbformat.write(
            new_notebook(cells=[parameters], metadata={"kernelspec": KERNEL}), place / "noop.ipynb"
        )
        arguments = place / "noop.ipynb", {"seeds": count}, out
        found = {"points": count, "workers": 2}
        planned = timed(found, "plan", driver.plan, *arguments)
        where = ["--scheduler-file", str(place / "scheduler.json"), "--dashboard-address", ":0"]
        commands = {
            "scheduler": [script("dask"), "scheduler", "--host", "127.0.0.1", "--port", "0"],
            "workers": [script("dask"), "worker", "--nworkers", "2", "--nthreads", "1"],
        }
        running = {name: subprocess.Popen([*c, *where]) for name, c in commands.items()}
        while not (place / "scheduler.json").exists():
            time.sleep(0.1)
        try:
            with Client(scheduler_file=place / "scheduler.json", set_as_default=False) as client:
                client.wait_for_workers(2)
                client.run(__import__, "partsrep.runs")
                summary = driver.Summary(out, cached=0, errors={}, left=count)
                before = {name: used(process) for name, process in running.items()}
                with driver._alone(out.absolute()):
                    content, _ = driver.opened(arguments[0])
                    job = driver._job(arguments[0], content, False, out, 60.0)
                    timed(found, "drive", driver._drive, client, job, planned.todo, summary, noop)
                for name, process in running.items():
                    seconds, memory = used(process)
                    each = 1000 * (seconds - before[name][0]) / count
                    found[f"{name}_cpu_ms_per_point"] = round(each, 2)
                    found[f"{name}_memory_mb"] = round(memory / 2**20)
            assert (summary.done, summary.left) == (count, 0)
        finally:
            for process in running.values():
                process.terminate()
                process.wait()
        again = timed(found, "resume", driver.plan, *arguments)
        assert len(again.done) == count
        assert len(timed(found, "gather", results, out)) == count
        sizes = [path.stat().st_blocks * 512 for path in out.glob(f"*/{RECORD}")]
        found["record_bytes_on_disk"] = round(sum(sizes) / count)
        found["driver_memory_mb"] = round(psutil.Process().memory_info().rss / 2**20)
    text = json.dumps(found, indent=1)
    print(text)
    report.write_text(text + "\n")


def used(process: subprocess.Popen) -> tuple[float, int]:
    """Processor seconds of a process and of those below it, and the bytes of the largest."""
    family = psutil.Process(process.pid)
    family = [family, *family.children(recursive=True)]
    seconds = sum(sum(member.cpu_times()[:2]) for member in family)
    return seconds, max(member.memory_info().rss for member in family)


def timed(found: dict, name: str, function, *arguments):
    """Call a function and note its seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function(*arguments)
    found[f"{name}_seconds"] = round(time.perf_counter() - wall, 1)
    found[f"{name}_cpu_seconds"] = round(time.process_time() - cpu, 1)
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
