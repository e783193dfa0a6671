"""A fork server for Jupyter kernels: it imports what a notebook imports, once.

Run as a script, ``python -P kernel_server.py MODULE …``, so that nothing else is imported. It says
when its imports are done. Then a line of its input asks for a kernel; it answers with the pid, and
when that kernel has ended, with how. It has one kernel at a time, and kills it when its input ends,
because then the worker is gone.
"""

import atexit
import fcntl
import gc
import json
import os
import pkgutil
import random
import resource
import select
import signal
import sys
from contextlib import suppress


def main(modules: list[str]) -> None:
    """Import `modules`, then fork a kernel for every line of the input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that nobody else writes between the answers
    requests = os.fdopen(0, "rb", buffering=0)
    # An import may hang, so meanwhile the end of the input, where nothing else comes, is a signal.
    flags = fcntl.fcntl(requests, fcntl.F_GETFL)
    fcntl.fcntl(requests, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(requests, fcntl.F_SETFL, flags | os.O_ASYNC)
    for module in ["ipykernel.kernelapp", *modules]:
        # What cannot be imported will say so in the notebook.
        with suppress(Exception, SystemExit):
            pkgutil.resolve_name(module)  # or a name in one, such as partsrep.NMF
    if "partsrep.lazy" in sys.modules:
        sys.modules["partsrep.lazy"].load_all()
    fcntl.fcntl(requests, fcntl.F_SETFL, flags)
    # A worker of a sweep on one machine has it blocked, which these kernels inherit.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    gc.collect()
    gc.freeze()  # or the first collection of each kernel would copy every page
    say(answers, ready=True)
    while line := requests.readline():
        pid = os.fork()
        if not pid:
            answers.close()
            become_kernel(**json.loads(line))
        say(answers, pid=pid)
        ended = os.pidfd_open(pid)
        if ended not in select.select([ended, requests], [], [])[0]:
            os.killpg(pid, signal.SIGKILL)
            return
        os.close(ended)
        _, status, usage = os.wait4(pid, 0)
        say(
            answers,
            exit_code=os.waitstatus_to_exitcode(status),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_memory=usage.ru_maxrss * 1024,
        )


def say(answers, **answer) -> None:
    print(json.dumps(answer), file=answers, flush=True)


def become_kernel(arguments: list[str], folder: str, memory: int | None, seed: int) -> None:
    """Turn this fork into a Jupyter kernel, until it is asked to end."""
    os.setsid()  # who kills this group kills its children too
    os.chdir(folder)
    sys.path.insert(0, "")  # as in any kernel, and not sooner: this script has neighbours
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    # A notebook that draws without a seed would draw the same numbers at every point.
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance(parent_handle=os.getppid())

    def end(*_):
        """An orderly end, but without taking the imported modules apart, which takes a while."""
        app.shell.user_ns.clear()  # closes files
        atexit._run_exitfuncs()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    app.initialize(arguments)
    app.start()


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the worker is gone; its kernel sees that by itself
        main(sys.argv[1:])
