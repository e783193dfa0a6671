"""One Dask cluster for all."""

import pytest
from tiny import cluster


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory) -> str:
    """The address of a scheduler with two workers, each of them and it a process of its own."""
    with cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address
