"""Run a command, and end it with all that it started as soon as the driver is gone or lets go.

Run as a script, ``python -P lifeline.py COMMAND …``, so that nothing of ours is imported. Its input
is a pipe that only the driver holds: however the driver ends, the pipe ends too. The driver may
wait for this script, whose end is that of the command.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import psutil


def main(command: list[str]) -> None:
    """Run `command` to its own end or to that of the input, whichever comes first."""
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=lambda: os._exit(running.wait() % 256)).start()
    os.read(0, 1)
    with suppress(psutil.NoSuchProcess):
        end(psutil.Process(running.pid))


def end(process: psutil.Process) -> None:
    """Kill a process, what it started, and whatever else is in a group that it leads."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process.suspend()  # so that it starts nothing more
        for child in process.children():
            end(child)
        kill = os.killpg if os.getpgid(process.pid) == process.pid else os.kill
        kill(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
