"""What every test gets: the guards, the order of the suites, and real servers on demand."""

import gc

pytest_plugins = (
    "pytester",
    "tests.fixtures.resources",
    "tests.fixtures.loop",
    "tests.fixtures.postgres",
    "tests.fixtures.journal",
    "tests.fixtures.bare_host",
    "tests.fixtures.selection",
)


def pytest_collection_finish() -> None:
    """Let garbage collections pass over what collecting four thousand tests has made.

    It stays to the end, and a look at all of it on a busy machine is long enough to count as a blocked loop.
    """
    gc.collect()
    gc.freeze()
