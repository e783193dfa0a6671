"""Warm kernels: a fresh process for every notebook that has its imports behind it already."""

import ast
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from jupyter_client import AsyncKernelManager
from nbformat import NotebookNode

from .parameters import python

# One thread, fixed seeds and no progress bars make two runs identical; the kernel is that of this
# very environment, whatever kernels the user has registered.
ENVIRONMENT = {
    "JUPYTER_PATH": "",
    "JUPYTER_PREFER_ENV_PATH": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "TQDM_DISABLE": "1",
}
#: Processes can be forked safely on Linux alone; elsewhere kernels start cold.
CAN_FORK = sys.platform == "linux"
SCRIPT = Path(__file__).with_name("kernel_server.py")
#: A kernel draws its figures into the notebook; matplotlib reads this when it is imported.
INLINE = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
#: Seconds that the imports may take before each kernel has to do them itself.
IMPORTS = 300.0
# papermill's own reading of the cell misses parameters that ours finds, and says so.
for said_by in ("papermill", "papermill.translators"):
    logging.getLogger(said_by).addFilter(
        lambda said: not re.match("Passed unknown parameter|Unable to parse line", str(said.msg))
    )


def execute(
    notebook: Path,
    output: Path,
    given: dict[str, Any],
    kernel: "WarmKernel | None",
    said: TextIO | None = None,
    **cold: Any,
) -> None:
    """Run a notebook by papermill, in `kernel` or else in one with the options `cold`.

    What it prints is written to `said` as it comes.
    """
    import papermill  # slow to import

    # It fills in what stands in braces in a path.
    source, target = (
        str(path).replace("{", "{{").replace("}", "}}") for path in (notebook, output)
    )
    papermill.execute_notebook(
        source,
        target,
        given,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        stdout_file=said,
        iopub_timeout=60,  # on a busy machine a kernel's last words may take their time
        **({"km": kernel} if kernel else cold),
    )


def imported(notebooks: Iterable[NotebookNode]) -> list[str]:
    """The modules that notebooks import at the top level of their cells, in order.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> sources = "%matplotlib inline", "import numpy as np\\nfrom scipy import linalg"
    >>> imported([new_notebook(cells=[new_code_cell(source) for source in sources])])
    ['numpy', 'scipy', 'scipy.linalg']
    """
    found = []
    cells = (cell for notebook in notebooks for cell in notebook.cells)
    for source in (cell.source for cell in cells if cell.cell_type == "code"):
        with suppress(SyntaxError):  # the notebook will say so
            for node in ast.parse(python(source)).body:
                if isinstance(node, ast.Import):
                    found += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    # A name may be a module; the server passes over what is none.
                    found += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return list(dict.fromkeys(found))


class KernelServer:
    """The process that a worker's kernels are forked from, which has imported some modules."""

    def __init__(self, modules: list[str]):
        self.process = subprocess.Popen(
            [sys.executable, "-P", SCRIPT, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT | INLINE,
            start_new_session=True,  # Ctrl-C is the driver's
        )

    @classmethod
    def of(cls, modules: list[str]) -> "KernelServer":
        """A server that has imported `modules`, or one without them if that kills it or hangs.

        Then the kernels import them, in the time of their points, whose errors say what is wrong.
        """
        server = cls(modules)
        if not server.ready(IMPORTS):
            server.process.kill()
            server.close()
            server = cls([])
            server.ready(IMPORTS)
        return server

    def ready(self, seconds: float) -> bool:
        """Whether its imports are done within that time."""
        with suppress(RuntimeError):
            return self.answered(seconds) and bool(self.answer())
        return False

    def ask(self, **request) -> None:
        """Ask for a kernel."""
        with suppress(BrokenPipeError):  # `answer` says it
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def answered(self, seconds: float) -> bool:
        """Whether an answer comes within that time."""
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def answer(self) -> dict:
        """The next answer."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                "The process that imports what the notebook imports has died, "
                f"exit code {self.process.wait()}."
            )
        return json.loads(line)

    def close(self) -> None:
        """End it, and its kernel with it."""
        self.process.stdin.close()
        self.process.wait()


class KernelServers:
    """The servers of some threads: each is started when it is needed, and used again."""

    def __init__(self, modules: list[str]):
        self.modules = modules
        self.started: list[KernelServer] = []
        self.free: list[KernelServer] = []
        self.closed = False

    @contextmanager
    def one(self) -> Iterator[KernelServer]:
        """A server that no other thread has."""
        try:
            server = self.free.pop()
        except IndexError:
            server = KernelServer.of(self.modules)
            self.started.append(server)
        if self.closed:
            raise RuntimeError("The servers of kernels are closed.")
        yield server
        self.free.append(server)

    def close(self) -> None:
        """End them all, their kernels with them, and at once what is yet started."""
        self.closed = True
        for server in self.started:
            server.close()


class WarmKernel(AsyncKernelManager):
    """A Jupyter kernel, forked from a `KernelServer`; nbclient and papermill take it as ``km``.

    As every kernel is a process of its own, no state of one notebook reaches the next.

    It works in `folder`, may take so many bytes of `memory` (beyond, Python raises a MemoryError),
    and lives so many `seconds` from its fork on; `seed` is for what the notebook draws without one.
    """

    def __init__(
        self,
        server: KernelServer,
        folder: str,
        memory: int | None = None,
        seconds: float = threading.TIMEOUT_MAX,
        seed: int = 0,
    ):
        self.place = tempfile.TemporaryDirectory(prefix="kernel-")  # a socket's path must be short
        super().__init__(
            kernel_name="python3",
            transport="ipc",
            connection_file=f"{self.place.name}/kernel.json",
        )
        self.server = server
        self.request = {"folder": folder, "memory": memory, "seed": seed}
        self.timer = threading.Timer(seconds, self.expire)
        self.timer.daemon = True
        self.timed_out = False
        self.pid = self.kc = None
        self.ended: dict = {}  # with what it has used

    def __enter__(self) -> "WarmKernel":
        self.write_connection_file()
        arguments = ["-f", self.connection_file, "--HistoryManager.enabled=False"]
        self.server.ask(arguments=arguments, **self.request)
        self.pid = self.server.answer()["pid"]
        self.timer.start()
        return self

    def __exit__(self, *_) -> None:
        self.timer.cancel()
        if self.kc is not None:
            self.kc.stop_channels()
        self.kill(signal.SIGTERM)  # an orderly end, which flushes open files
        if not self.server.answered(5):
            self.kill()
        self.ended = self.server.answer()
        self.place.cleanup()

    def expire(self) -> None:
        """End the kernel because its time is over."""
        self.timed_out = True
        self.kill()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the kernel and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, how)

    def client(self, **options):
        self.kc = super().client(**options)
        return self.kc

    @property
    def has_kernel(self) -> bool:
        return self.pid is not None

    async def _async_is_alive(self) -> bool:
        return not self.server.answered(0)

    is_alive = _async_is_alive
