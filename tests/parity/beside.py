"""Imported before our peers: what two of them import beside their autoencoders is not there."""

import sys
from unittest.mock import MagicMock

# Language models and pictures.
for companion in (
    "dictionary_learning.buffer",
    "overcomplete.models",
    "overcomplete.visualization",
):
    sys.modules[companion] = MagicMock()
