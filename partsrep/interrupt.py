"""Ctrl-C while the command ``partsrep`` still imports: one word and its exit code, no traceback.

The package is imported before the command line can catch anything, and that takes seconds.
"""

import os
import signal
import sys
import threading
from itertools import pairwise
from pathlib import Path


def _stop(*_) -> None:
    os.write(2, b"Stopped.\n")
    os._exit(130)


def quiet() -> None:
    """End at once at Ctrl-C, if this process is the command ``partsrep``."""
    ours = Path("".join(sys.argv[:1])).name == "partsrep" or ("-m", "partsrep") in pairwise(
        sys.orig_argv
    )
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours and heard and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _stop)


def loud() -> None:
    """From now on it is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)
