"""What several folders of tests share: all of them draw the same numbers at every run."""

import os
import signal
from contextlib import ExitStack, contextmanager
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
from pages import DESK, PAGES, PHONE

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


@pytest.fixture
def visit(browser, html):
    """Open a page with the network off; whatever goes wrong on it fails the test."""
    with ExitStack() as open_tabs:

        def visit(page, viewport, folder=html, **options):
            return open_tabs.enter_context(tab_with(browser, folder, page, viewport, **options))

        yield visit


# What only looks at a page shares one visit to it: pytest runs the tests of one page together.
@pytest.fixture(scope="module", params=PAGES)
def on_desk(browser, html, request):
    """Each page on a wide screen."""
    with tab_with(browser, html, request.param, DESK) as tab:
        yield tab


@pytest.fixture(scope="module", params=PAGES)
def on_phone(browser, html, request):
    """Each page on a phone."""
    with tab_with(browser, html, request.param, PHONE) as tab:
        yield tab


@contextmanager
def tab_with(browser, folder, page, viewport, **options):
    """A tab with this page; its errors are ours."""
    faults = []
    context = browser.new_context(viewport=viewport, offline=True, **options)
    tab = context.new_page()
    scripts = options.get("java_script_enabled", True)  # without them each one is an error
    if scripts:
        tab.on("console", lambda said: said.type == "error" and faults.append(said.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("requestfailed", lambda request: faults.append(f"{request.url} failed"))
    name, _, anchor = page.partition("#")
    tab.goto((folder / f"{name}.html").as_uri() + (anchor and f"#{anchor}"))
    if scripts:
        tab.evaluate("window.MathJax?.startup?.promise")
    yield tab
    seen = list(faults)  # closing a tab also ends what it still asks for
    context.close()
    assert not seen


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for many tests wait: for a browser, a kernel, a cluster."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items):
    """Workers find the same tests only if no name of one says where an object lies in memory."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give its parameter an id or a repr.")
