import io

from partsrep import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_silent_unless_a_terminal_watches(monkeypatch):
    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr("sys.stderr", stream)
        bar = progress.progress(range(3), "work")
        assert bar.disable != shown
        assert list(bar) == [0, 1, 2]


def test_an_environment_variable_silences_it(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert progress.progress(range(3), "work").disable
