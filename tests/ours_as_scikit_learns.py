"""A pytest plugin: scikit-learn's own tests of NMF meet our class and our function."""

import sklearn.decomposition
from sklearn.decomposition import _nmf

from partsrep import NMF, non_negative_factorization


def pytest_configure(config):
    """Before the tests are imported, and only where this is loaded as a plugin."""
    sklearn.decomposition.NMF = _nmf.NMF = NMF
    sklearn.decomposition.non_negative_factorization = non_negative_factorization
    _nmf.non_negative_factorization = non_negative_factorization
