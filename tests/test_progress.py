import io
import itertools

import pytest

from partsrep import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def unsilenced(monkeypatch):
    """As for a user: `make test` silences all bars."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


@pytest.fixture
def shown(monkeypatch):
    """Say what a terminal, or a file, shows of three steps of so many seconds each."""

    def run(stream, seconds):
        clock = itertools.count(0, seconds)
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
        assert list(progress.progress(range(3), "work")) == [0, 1, 2]
        return stream.getvalue()

    return run


def test_a_terminal_shows_the_bar_of_long_work(shown):
    assert "work" in shown(Terminal(), seconds=2)


def test_a_log_shows_nothing(shown):
    assert shown(io.StringIO(), seconds=2) == ""


def test_short_work_has_no_bar(shown):
    assert shown(Terminal(), seconds=0.1) == ""


def test_an_environment_variable_silences_it(shown, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert shown(Terminal(), seconds=2) == ""


def test_who_listens_is_told_of_the_outermost_loop_alone():
    heard = []
    progress.listeners[:] = [lambda *said: heard.append(said)]
    for _ in progress.progress(range(2), "outer"):
        list(progress.progress(range(3), "inner"))
    list(progress.progress([7], "next"))
    progress.listeners.clear()
    assert heard == [("outer", 0, 2), ("outer", 1, 2), ("next", 0, 1)]


def test_a_bar_is_closed_when_the_work_ends_early(monkeypatch):
    clock = itertools.count(0, 2)
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    for _ in progress.progress(range(3), "work"):
        break
    assert not progress.tqdm.auto.tqdm._instances
