"""The driver on a tiny book of two notebooks: what it repeats, what it keeps, how it fails."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import tiny_book
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from partsrep.runs.book import ENVIRONMENT, BookError, build, script
from partsrep.runs.parameters import RunError

ROOT = Path(__file__).parents[2]
PARAMETERS = "seed: int = 0  # of every draw\nn_components: int = 4  # number of parts"
GOOD = "print(n_components, 'parts from seed', seed)"


def write_notebook(path: Path, code: str) -> None:
    cells = [
        new_markdown_cell(f"# The notebook {path.stem}", id="title"),
        new_code_cell(PARAMETERS, id="defaults", metadata={"tags": ["parameters"]}),
        new_code_cell(code, id="code"),
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def start(project: Path) -> subprocess.Popen:
    """Start ``partsrep book``."""
    return subprocess.Popen(
        [script("partsrep"), "book"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that a test can press Ctrl-C
    )


def command(project: Path) -> tuple[int, str]:
    """Run ``partsrep book`` to its end: the exit code and what it said."""
    running = start(project)
    said, _ = running.communicate()
    return running.returncode, said


def snapshot(folder: Path) -> dict[Path, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.fixture(scope="module", autouse=True)
def broken_kernel(tmp_path_factory):
    """The user has a broken kernel that bears the same name as the environment's own."""
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "kernels/python3").mkdir(parents=True)
    (folder / "kernels/python3/kernel.json").write_text('{"argv": ["false"], "display_name": ""}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    project = tmp_path_factory.mktemp("tiny")
    tiny_book.sources(project, "first", "second")
    (project / "book/runs.yml").write_text("notebooks/first.ipynb:\n  n_components: 7\n")
    for name in ("first", "second"):
        write_notebook(project / f"notebooks/{name}.ipynb", GOOD)
    code, said = command(project)
    assert code == 0, said
    assert said.splitlines()[-1] == str(project / "build/html/index.html")
    return project


@pytest.fixture
def project(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project"))


def test_published_parameters_take_the_place_of_the_defaults(project):
    executed = nbformat.read(project / "build/src/notebooks/first.ipynb", as_version=4)
    _title, published, code = executed.cells
    assert published.metadata.tags == ["parameters"]
    assert published.source == "seed = 0  # of every draw\nn_components = 7  # number of parts"
    assert code.outputs[0].text == "7 parts from seed 0\n"
    page = (project / "build/html/notebooks/first.html").read_text()
    assert "7 parts from seed 0" in page
    assert "seed: int" not in page


def test_a_notebook_of_which_nothing_is_set_shows_its_defaults(project):
    executed = nbformat.read(project / "build/src/notebooks/second.ipynb", as_version=4)
    _title, published, code = executed.cells
    assert published.metadata.tags == ["parameters"]
    assert published.source == "seed = 0  # of every draw\nn_components = 4  # number of parts"
    assert code.outputs[0].text == "4 parts from seed 0\n"


@pytest.fixture(scope="module")
def printed(built, tmp_path_factory) -> Path:
    """A book whose first notebook takes three seconds and prints what it was given."""
    project = Path(shutil.copytree(built, tmp_path_factory.mktemp("printed") / "project"))
    path = project / "notebooks/first.ipynb"
    names = "seed, n_components, pair, tol, day, text, sizes"
    write_notebook(path, f"import time; time.sleep(3)\nprint(repr([{names}]))")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source += "\npair = (1, 2)\ntol = 0.5\nday = ''\ntext = 'a # b'\nsizes = [1]"
    nbformat.write(notebook, path)
    given = "tol: 1.0e-5, day: '2020-01-01', text: it's 2020, sizes: [1.0e-7, null]"
    (project / "book/runs.yml").write_text(f"notebooks/first.ipynb: {{{given}}}")
    build(project)
    return project


PRINTED = "[0, 4, (1, 2), 1e-05, '2020-01-01', \"it's 2020\", [1e-07, None]]\n"


def test_only_what_is_published_is_set_and_it_arrives_as_it_is(printed):
    """The rest keeps its default: a pair stays one, though JSON has none."""
    executed = nbformat.read(printed / "build/src/notebooks/first.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == PRINTED


def test_unchanged_book_is_left_alone(project, capsys):
    before = snapshot(project / "build")
    build(project)
    said = capsys.readouterr().out
    assert said.count("cached") == 2
    assert "rendered" not in said
    assert snapshot(project / "build") == before


def test_clean_builds_execute_to_the_same_bytes(project):
    def but_for_the_time_it_took():
        staged = snapshot(project / "build/src")
        return {path: re.sub(rb'"duration": [\d.]+', b"", text) for path, text in staged.items()}

    before = but_for_the_time_it_took()
    shutil.rmtree(project / "build")
    build(project)
    assert but_for_the_time_it_took() == before


def foot(project: Path, name: str) -> BeautifulSoup:
    page = (project / f"build/html/notebooks/{name}.html").read_text()
    return BeautifulSoup(page, "html.parser").select_one("#rerun")


def test_the_line_of_a_page_makes_what_is_on_the_page(printed):
    line = foot(printed, "first").select_one("pre").get_text()
    assert line.startswith(".venv/bin/papermill ")
    line = line.replace(".venv/bin/papermill", script("papermill"))
    subprocess.run(line, shell=True, cwd=printed, env=os.environ | ENVIRONMENT, check=True)
    ran, shown = (
        nbformat.read(printed / made, as_version=4).cells[-1].outputs[0].text
        for made in ("out.ipynb", "build/html/_sources/notebooks/first.ipynb")
    )
    assert ran == shown == PRINTED


def test_a_page_says_how_long_its_own_run_took(printed):
    said = re.search(r"it took (\d+)\ss", foot(printed, "first").get_text())
    assert 3 <= int(said[1]) < 60


def test_only_a_book_that_is_told_its_repository_links_there(project):
    clone = "```{in-a-clone}\nmake book\n```\n"
    (project / "book/index.md").write_text(f"# A tiny book\n\n{clone}")

    def links_and_commands(**told):
        build(project, **told)
        pages = [
            BeautifulSoup((project / f"build/html/{name}.html").read_text(), "html.parser")
            for name in ("notebooks/first", "book/index")
        ]
        links = [tag["href"] for page in pages for tag in page.select("a[href^=http]")]
        return " ".join(links), pages[1].select_one("pre").get_text()

    address = "https://github.com/someone/parts"
    links, commands = links_and_commands(repository=address)
    for host in (address, "mybinder.org", "colab.research.google.com"):
        assert host in links
    assert commands == f"git clone {address} && cd parts\nmake book\n"
    links, commands = links_and_commands()
    assert not re.search("someone|binder|colab|issues|edit", links)
    assert commands == "make book\n"


def test_only_what_changed_is_executed(project, capsys):
    (project / "book/runs.yml").write_text("notebooks/first.ipynb:\n  seed: 5\n")
    build(project)
    said = capsys.readouterr().out
    assert "first.ipynb: executed" in said
    assert "second.ipynb: cached" in said
    assert "4 parts from seed 5" in (project / "build/html/notebooks/first.html").read_text()


def test_picture_of_a_notebook_is_fresh_on_other_pages(project):
    stale = project / "book/_static/fig-dots.svg"
    stale.write_bytes(b"of an older run")
    path = project / "notebooks/first.ipynb"
    write_notebook(path, "from partsrep import figures\nfigures.parts([[n_components]], (1, 1))")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["mystnb"] = {"figure": {"name": "fig-dots", "caption": "Dots."}}
    nbformat.write(notebook, path)
    build(project)
    shown = (project / "build/html/_static/fig-dots.svg").read_bytes()
    assert shown.startswith(b"<svg")
    assert stale.read_bytes() == b"of an older run", "only the staged copy is refreshed"


def test_failing_notebook_keeps_the_last_book_and_says_how_to_rerun(project):
    before = snapshot(project / "build/html")
    write_notebook(project / "notebooks/second.ipynb", "parts = {}\nparts['nose']")
    code, said = command(project)
    assert code == 1
    assert "Traceback (most recent call last):\n  File" not in said, "no trace of the driver itself"
    assert snapshot(project / "build/html") == before
    assert "notebooks/second.ipynb failed in cell 3:\n\n    parts = {}\n    parts['nose']" in said
    assert "KeyError: 'nose'" in said

    rerun = said.strip().splitlines()[-1]
    again = subprocess.run(
        rerun, shell=True, cwd=project, env=os.environ | ENVIRONMENT, capture_output=True, text=True
    )
    assert again.returncode
    assert "KeyError: 'nose'" in again.stderr


def test_dying_kernel_is_reported(project):
    write_notebook(project / "notebooks/second.ipynb", "import os\nos._exit(3)")
    with pytest.raises(BookError, match=r"(?s)second.ipynb failed .*DeadKernelError"):
        build(project)


def test_warning_of_a_page_keeps_the_last_book(project):
    before = snapshot(project / "build/html")
    (project / "book/index.md").write_text("# A tiny book\n\n{ref}`nowhere`\n")
    with pytest.raises(BookError, match=r"book/index.md:3: WARNING: undefined label"):
        build(project)
    assert snapshot(project / "build/html") == before


@pytest.mark.usefixtures("heard_sigint")
def test_interrupted_book_resumes(project, capsys):
    before = snapshot(project / "build/html")
    write_notebook(project / "notebooks/first.ipynb", f"{GOOD}\nprint('new')")
    write_notebook(project / "notebooks/second.ipynb", "import time\ntime.sleep(600)")
    kept = len(list((project / "build/cache").iterdir()))
    running = start(project)
    while not (
        (project / "build/run/second.ipynb").exists()
        and len(list((project / "build/cache").iterdir())) > kept
    ):
        assert running.poll() is None
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert snapshot(project / "build/html") == before

    write_notebook(project / "notebooks/second.ipynb", GOOD)
    build(project)
    assert "first.ipynb: cached" in capsys.readouterr().out


DEAF = """\
import ctypes, signal, subprocess
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.run("sleep 600 &", shell=True, stdout=subprocess.DEVNULL)
Path("{project}/deaf").touch()
ctypes.PyDLL(None).usleep(600_000_000)  # holds the interpreter's lock: no thread sees an orphan
"""


def family(project: Path) -> list[psutil.Process]:
    """All that works in the folder, also what has lost its parent."""
    found = psutil.process_iter(["cwd"])
    return [one for one in found if Path(one.info["cwd"] or "/").is_relative_to(project)]


@pytest.mark.usefixtures("heard_sigint")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
@pytest.mark.parametrize("where", ["notebook", "page"])
def test_a_driver_that_alone_is_stopped_leaves_no_process(project, where, how):
    deaf = DEAF.format(project=project)
    if where == "notebook":
        write_notebook(project / "notebooks/second.ipynb", deaf)
    else:
        (project / "book/index.md").write_text("# A changed book\n")
        extension = next((project / "book/_ext").glob("*.py"))
        extension.write_text(f"{extension.read_text()}\n{deaf}")
    html, cache = (snapshot(project / "build" / name) for name in ("html", "cache"))
    running = start(project)
    try:
        while not (project / "deaf").exists():
            assert running.poll() is None
            time.sleep(0.1)
        assert len(family(project)) >= 3
        running.send_signal(how)
        said, _ = running.communicate(timeout=60)
        _, alive = psutil.wait_procs(family(project), timeout=60)
        assert not alive
    finally:
        for process in family(project):
            process.kill()
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert said.splitlines()[-2:] == [
            "Stopped. What is done is kept; this goes on:",
            "partsrep book",
        ]
    assert "Traceback" not in said
    assert snapshot(project / "build/html") == html
    assert snapshot(project / "build/cache") == cache


def test_swap_that_was_cut_short_is_mended(project):
    before = snapshot(project / "build/html")
    (project / "build/html").rename(project / "build/html.previous")
    build(project)
    assert snapshot(project / "build/html") == before


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ("notebooks/first.ipynb: {parts: 7}", "sets parts of .* are seed, n_components"),
        ("notebooks/third.ipynb: {seed: 1}", "names notebooks/third.ipynb; .* notebooks/first"),
        ("notebooks/first.ipynb: {seed: 0.5}", "runs.yml, notebooks/first.ipynb: seed must be a"),
        ("notebooks/first.ipynb: {seed: .nan}", "seed must be an int, not nan"),
        ("notebooks/first.ipynb: {seed: 1, seed: 2}", "the key 'seed' comes twice"),
    ],
)
def test_unknown_names_are_errors_that_show_the_valid_ones(project, runs, words):
    (project / "book/runs.yml").write_text(runs)
    with pytest.raises(RunError, match=words):
        build(project)


def test_folder_without_a_book_is_an_error(tmp_path):
    with pytest.raises(BookError, match="no book"):
        build(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("n_components", 0), ("heldout", 1.0)])
def test_a_parameter_that_makes_no_sense_is_named(name, value, tmp_path):
    notebook = ROOT / "notebooks/two_methods.ipynb"
    ran = subprocess.run(
        [script("papermill"), notebook, tmp_path / "out.ipynb", "-p", name, str(value)],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode and f"{name}={value}" in ran.stderr
