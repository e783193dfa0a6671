"""What several folders of tests share: all of them draw the same numbers at every run."""

import os
import signal
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import nbval.kernel
import pytest
import tiny_book
from filelock import FileLock
from hypothesis import settings
from jupyter_client import BlockingKernelClient

import partsrep
from partsrep.runs.book import build
from partsrep.runs.kernels import CAN_FORK, KernelServer, WarmKernel, imported
from partsrep.runs.parameters import read_notebook

ROOT = Path(__file__).parents[1]

# Hypothesis' own profile for servers: examples follow from the test, and no clock decides.
settings.load_profile("ci")
# Hypothesis also draws constants that it reads in the package's loaded modules: load all of them.
for module in walk_packages(partsrep.__path__, "partsrep."):
    import_module(module.name)


@pytest.fixture
def heard_sigint():
    """SIGINT as in a shell's foreground: in the background it is ignored, and what a test starts
    inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@cache
def kernel_server() -> KernelServer:
    """What the kernels of this worker are forked from, with all that the notebooks import."""
    return KernelServer.of(imported(map(read_notebook, ROOT.glob("notebooks/*.ipynb"))))


@pytest.fixture
def warm_kernel(tmp_path):
    """A kernel that works in `tmp_path`; None where none can be forked."""
    if not CAN_FORK:
        yield None
        return
    with WarmKernel(kernel_server(), str(tmp_path)) as kernel:
        yield kernel


class KernelOfNbval(WarmKernel):
    """A warm kernel that does not need to be awaited."""

    def is_alive(self) -> bool:
        return not self.server.answered(0)

    def interrupt_kernel(self) -> None:
        self.kill(signal.SIGINT)

    def shutdown_kernel(self, now: bool) -> None:
        self.__exit__()


def start_new_kernel(startup_timeout: float, cwd: str, **_):
    """As nbval's own, which imports all anew for each notebook."""
    manager = KernelOfNbval(kernel_server(), cwd).__enter__()
    client = BlockingKernelClient(**manager.get_connection_info(session=True))
    client.start_channels()
    client.wait_for_ready(timeout=startup_timeout)
    return manager, client


if CAN_FORK:
    nbval.kernel.start_new_kernel = start_new_kernel


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The folder of the rendered book, brought up to date; a warning of a page is an error here."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "book.lock"):  # one worker builds it
        return build(ROOT).parent


@pytest.fixture(scope="session")
def html_of_template(tmp_path_factory) -> Path:
    """The folder of a book with one chapter, our template."""
    project = tmp_path_factory.mktemp("template")
    tiny_book.with_template(project)
    return build(project).parent


@pytest.fixture(scope="session")
def browser():
    """One for the tests of pages and of live figures."""
    import chromium  # beside those tests
    from playwright.sync_api import sync_playwright

    path = chromium.find()
    if path is None:
        pytest.skip("no Chromium: `make browser` gets one, PARTSREP_CHROMIUM names one")
    # Chromium refuses its sandbox to root, which containers run as.
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


def pytest_collection_modifyitems(items):
    """Workers find the same tests only if no name of one says where an object lies in memory."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give its parameter an id or a repr.")
