"""What every test gets: the guards, the order of the suites, and real servers on demand."""

pytest_plugins = (
    "pytester",
    "tests.fixtures.resources",
    "tests.fixtures.loop",
    "tests.fixtures.postgres",
    "tests.fixtures.journal",
    "tests.fixtures.selection",
)
