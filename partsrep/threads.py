"""How many threads work: one, where more would only wait for each other and move the last bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

# Multiplications of a product from which on more threads can pay.
WORK = 2**24
_lock, _inside, _limits = Lock(), 0, None


@contextmanager
def one_where_more_do_not_pay(work: int) -> Iterator[None]:
    """Run BLAS on one thread if a product has less work than `WORK`.

    The order in which a product is summed depends on the number of threads, and iterations can make
    much of last bits: so small data get the same answer on machines of any number of cores. The
    limit is that of the process, and lasts until the last of several fits at once has ended.
    """
    global _inside, _limits
    if work > WORK:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _limits = _controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limits.restore_original_limits()


@cache
def _controller() -> ThreadpoolController:
    """It looks at all loaded libraries, which takes milliseconds: once."""
    return ThreadpoolController()
