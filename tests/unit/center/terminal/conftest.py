"""What tests of recordings need of the object store."""

import obstore
import pytest
from obstore.store import LocalStore


@pytest.fixture(scope="session", autouse=True)
def object_store_runtime(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Start the object store's threads, which stay for good, before any test counts what it leaves behind."""
    obstore.put(LocalStore(tmp_path_factory.mktemp("object_store")), "started", b"")
