"""Logs: one line an event, nothing secret in it, nothing forged."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit import logs
from outrider.kit.tasks import Tasks

log = logs.get("outrider.test")

_ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=[]), max_size=50)
_ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANY_TEXT | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def restored_root() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def _text_lines(**fields: object) -> list[str]:
    stream = io.StringIO()
    logs.configure("DEBUG", format="text", stream=stream)
    log.info("event", **fields)
    return stream.getvalue().splitlines()


def _json(event: str = "event", **fields: object) -> dict[str, object]:
    stream = io.StringIO()
    logs.configure("DEBUG", format="json", stream=stream)
    log.info(event, **fields)
    line: dict[str, object] = json.loads(stream.getvalue())
    return line


def test_a_line_for_people() -> None:
    """A text line has time, level, logger, event and the fields, quoted where that is needed."""
    [line] = _text_lines(host="web-1", count=3, words="two words", nothing=None, yes=True, list=["a", 1])
    moment, rest = line.split(" ", 1)
    assert len(moment) == len("2024-01-01T00:00:00.000Z")
    assert rest == (
        'INFO    outrider.test: event host=web-1 count=3 words="two words" nothing=null yes=true list=["a",1]'
    )


def test_a_line_for_machines() -> None:
    """A JSON line has time, level, logger and event first, then the fields with their types."""
    line = _json(host="web-1", count=3, share=0.5, path=Path("/x"), error=OSError("gone"))
    assert list(line) == ["time", "level", "logger", "event", "host", "count", "share", "path", "error"]
    assert {name: value for name, value in line.items() if name != "time"} == {
        "level": "info",
        "logger": "outrider.test",
        "event": "event",
        "host": "web-1",
        "count": 3,
        "share": 0.5,
        "path": "/x",
        "error": "OSError: gone",
    }


@given(_ANY_TEXT, st.dictionaries(_ANY_TEXT.filter(bool), _ANY_VALUE, max_size=4))
def test_nothing_forges_a_line(event: str, fields: dict[str, object]) -> None:
    """Whatever is logged, each format gives one printable line, and the JSON one can be read."""
    record = logging.LogRecord("name", logging.INFO, "", 0, event, None, None)
    record.__dict__["outrider_fields"] = fields
    text = logs.TextFormatter().format(record)
    assert text.isprintable()
    line = logs.JsonFormatter().format(record)
    assert line.isprintable()
    assert line.isascii()
    assert json.loads(line)["event"] == event


@pytest.mark.parametrize("value", ["Bearer abc", ["abc"], {"inner": "abc"}, b"abc", OSError("abc")])
def test_secrets_are_blanked(value: object) -> None:
    """A field whose name stands for a secret shows nothing of its value, whatever its type."""
    assert _json(agent_key=value)["agent_key"] == "***"
    assert "abc" not in _text_lines(authorization=value)[0]


def test_secrets_are_blanked_inside_values() -> None:
    """Within nested values, too, what is named like a secret is blanked."""
    value = {"user": "a", "password": "abc", "headers": [{"X-Agent-Key": "abc"}]}
    assert _json(request=value)["request"] == {
        "user": "a",
        "password": "***",
        "headers": [{"X-Agent-Key": "***"}],
    }


def test_deep_values_are_cut_without_a_leak() -> None:
    """What is nested too deep is named by its type only, so that no secret slips through."""
    value: object = {"password": "abc"}
    for _ in range(20):
        value = [value]
    assert "abc" not in json.dumps(_json(value=value))


def test_long_values_are_cut() -> None:
    """A long text and a long list are cut, and the text says by how much."""
    line = _json(text="x" * 10_000, items=list(range(1000)))
    assert str(line["text"]).endswith("x... (1808 more)")
    assert line["items"] == list(range(100))


def test_a_field_never_replaces_the_line_s_own() -> None:
    """A field named like a part of the line itself is renamed, not mixed up with it."""
    line = _json(level="mine", time="mine", traceback="mine")
    assert (line["level"], line["level_"], line["time_"], line["traceback_"]) == (
        "info",
        "mine",
        "mine",
        "mine",
    )


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_stays_with_its_line(style: logs.Format) -> None:
    """A traceback is part of the JSON object; for people it follows indented, so it can't pass for a line."""
    stream = io.StringIO()
    logs.configure("INFO", format=style, stream=stream)
    try:
        int("bad\n2024-01-01T00:00:00.000Z INFO forged\x1b[2J")
    except ValueError as error:
        error.add_note("bad\n2024-01-01T00:00:00.000Z INFO forged\x1b[2J")
        log.exception("it failed", host="web-1")
    first, *rest = stream.getvalue().splitlines()
    if style == "json":
        assert rest == []
        assert json.loads(first)["traceback"].startswith("Traceback (most recent call last):")
    else:
        assert first.endswith("ERROR   outrider.test: it failed host=web-1")
        assert all(line.startswith("    ") and line.isprintable() for line in rest)
        assert "    2024-01-01T00:00:00.000Z INFO forged\\x1b[2J" in rest


def test_an_error_can_be_handed_over() -> None:
    """Warnings and errors take the exception whose traceback they show."""
    stream = io.StringIO()
    logs.configure("INFO", format="json", stream=stream)
    log.warning("it failed", exc_info=OSError("gone"))
    log.error("it failed", exc_info=OSError("gone"))
    assert [json.loads(line)["traceback"] for line in stream.getvalue().splitlines()] == ["OSError: gone"] * 2


def test_bound_fields_are_on_every_line() -> None:
    """Bound fields come before a line's own, which win; after the block they are gone."""
    with logs.bind(agent_id="a1", host="one"):
        with logs.bind(command_id="c1"):
            line = _json(host="two")
            assert list(line.items())[4:] == [("agent_id", "a1"), ("host", "two"), ("command_id", "c1")]
        assert "command_id" not in _json()
    assert "agent_id" not in _json()


def test_bound_secrets_are_blanked() -> None:
    """A bound field is no way around the blanking."""
    with logs.bind(agent_key="abc"):
        assert _json()["agent_key"] == "***"


async def test_bound_fields_go_with_the_task(tasks: Tasks) -> None:
    """What one task binds is on the lines of the tasks it starts and on nobody else's."""
    seen: dict[str, dict[str, object]] = {}

    async def child() -> None:
        seen["child"] = _json()

    async def parent() -> None:
        logs.bind(agent_id="a1")
        await tasks.start("child", child())

    await tasks.start("parent", parent())
    seen["outside"] = _json()
    assert seen["child"]["agent_id"] == "a1"
    assert "agent_id" not in seen["outside"]


def test_lines_of_other_libraries_are_formatted_too() -> None:
    """What a library logs the ordinary way gets the same shape and the bound fields."""
    stream = io.StringIO()
    logs.configure("INFO", format="json", stream=stream)
    with logs.bind(agent_id="a1"):
        logging.getLogger("library").warning("%s is %d", "x", 3)
    line = json.loads(stream.getvalue())
    assert (line["logger"], line["event"], line["agent_id"]) == ("library", "x is 3", "a1")


def test_the_level_decides() -> None:
    """Lines below the level are not written, by name or by number, and the caller's place is known."""
    stream = io.StringIO()
    logs.configure("warning", stream=stream)
    log.debug("no")
    log.info("no")
    log.warning("yes")
    logs.configure(logging.DEBUG, stream=stream)
    log.debug("yes")
    assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == ["yes", "yes"]


def test_a_record_names_the_line_that_logged() -> None:
    """The place a record carries is the caller's, not the log's own."""
    records: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logging.getLogger().addHandler(Keeper())
    log.warning("here")
    assert [Path(record.pathname) for record in records] == [Path(__file__)]


def test_an_unknown_level_is_refused() -> None:
    """A level that does not exist is an error, and leaves the logs as they were."""
    stream = io.StringIO()
    logs.configure("INFO", stream=stream)
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure("loud", stream=io.StringIO())
    log.info("still here")
    assert "still here" in stream.getvalue()


def test_configuring_again_replaces(tmp_path: Path) -> None:
    """A second call takes the place of the first; handlers that others installed stay."""
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    first, second = io.StringIO(), io.StringIO()
    logs.configure("INFO", stream=first, file=tmp_path / "log")
    logs.configure("INFO", stream=second)
    log.info("only once")
    assert first.getvalue() == (tmp_path / "log").read_text() == ""
    assert second.getvalue().count("only once") == 1
    assert foreign in logging.getLogger().handlers


def test_a_file_is_private_and_rotates(tmp_path: Path) -> None:
    """The log file and its older parts are the owner's only, bounded in size and number."""
    path = tmp_path / "outrider.log"
    logs.configure("INFO", format="json", file=path, max_bytes=2000, keep=2)
    for number in range(100):
        log.info("line", number=number, text="grün")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["outrider.log", "outrider.log.1", "outrider.log.2"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert all(file.stat().st_size <= 2000 for file in files)
    lines = [json.loads(line) for file in reversed(files) for line in file.read_text().splitlines()]
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(numbers[0], 100))


def test_stream_and_file_together(tmp_path: Path) -> None:
    """Naming both writes to both."""
    stream = io.StringIO()
    logs.configure("INFO", stream=stream, file=tmp_path / "log")
    log.info("everywhere")
    assert "everywhere" in stream.getvalue()
    assert "everywhere" in (tmp_path / "log").read_text()
