"""The progress bar of long work: shown in terminals and notebooks, silent in logs and pipes."""

from collections.abc import Iterable

from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook


def progress(steps: Iterable, description: str) -> tqdm:
    """Wrap `steps` in a bar that appears after a second, where somebody can see it.

    ``TQDM_DISABLE=1`` in the environment silences it in notebooks too.
    """
    # `disable=None` asks the stream whether it is a terminal, which a notebook's stream denies.
    unless_watched = {} if issubclass(tqdm, tqdm_notebook) else {"disable": None}
    return tqdm(steps, desc=description, delay=1, leave=False, **unless_watched)
