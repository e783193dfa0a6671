"""The progress bar of long work: shown in terminals and notebooks, silent in logs and pipes."""

import os
from collections.abc import Iterable

from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook


def progress(steps: Iterable, description: str) -> tqdm:
    """Wrap `steps` in a bar that appears after a second, where somebody can see it.

    ``TQDM_DISABLE=1`` in the environment silences it in notebooks too.
    """
    # `None` asks the stream whether it is a terminal, which a notebook's stream denies.
    silent = False if issubclass(tqdm, tqdm_notebook) else None
    silenced = bool(os.environ.get("TQDM_DISABLE"))
    return tqdm(steps, desc=description, delay=1, leave=False, disable=silenced or silent)
