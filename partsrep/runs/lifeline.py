"""Run a command, and end it with all that it started as soon as the driver is gone or lets go.

Run as a script, ``python -P lifeline.py COMMAND …``, so that nothing else is imported. Its input
is a pipe that only the driver holds: however the driver ends, the pipe ends too. The driver may
wait for this script, whose end is that of the command.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path


def main(command: list[str]) -> None:
    """Run `command` to its own end or to that of the input, whichever comes first."""
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=lambda: os._exit(running.wait() % 256)).start()
    os.read(0, 1)
    end(running.pid)


def end(pid: int) -> None:
    """Kill a process, what it started, and whatever else is in a group that it leads."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # so that it starts nothing more
        for child in children(pid):
            end(child)
        kill = os.killpg if os.getpgid(pid) == pid else os.kill
        kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """The processes that another one started; none is known without ``/proc``.

    Then a kernel, which looks every second whether its parent lives, ends by itself.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            _state, parent, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            if int(parent) == pid:
                found.append(int(process.name))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
