"""What tests of the center's real parts share."""

import obstore
import pytest
from obstore.store import LocalStore

# Fixtures of the suites below: loaded here, since they bring the whole center in.
from tests.fixtures.center import api, center, each_api, each_center, postgres_center

__all__ = ["api", "center", "each_api", "each_center", "object_store_runtime", "postgres_center"]


@pytest.fixture(scope="session", autouse=True)
def object_store_runtime(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Start the object store's threads, which stay for good, before any test counts what it leaves behind."""
    obstore.put(LocalStore(tmp_path_factory.mktemp("object_store")), "started", b"")
