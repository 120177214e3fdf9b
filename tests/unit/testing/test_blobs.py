"""Blobs in memory behave like the real stores."""

import pytest

from outrider.center.blobs.contract import Blobs
from outrider.testing.blobs import MemoryBlobs
from outrider.testing.suites.blobs import BlobsSuite


class TestMemoryBlobs(BlobsSuite):
    """The suite, over memory."""

    @pytest.fixture
    def blobs(self) -> Blobs:
        """An empty store."""
        return MemoryBlobs()
