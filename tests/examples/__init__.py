"""Choices that are not partsrep's own: CONTRIBUTING shows them, and the tests use them."""
