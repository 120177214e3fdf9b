"""When the center was last heard, and what it calls this host."""

from pathlib import Path

from outrider.agent.contact import Contact
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock


async def test_it_is_kept_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    """Nothing is known at first; what is heard is there after a restart, and the label stays."""
    clock, path = TurnedClock(), tmp_path / "contact.json"
    contact = Contact.load(path, clock)
    assert (contact.last_seen, contact.label) == (0, "")
    async with Tasks("test") as tasks:
        tasks.spawn("contact", contact.serve(lambda: None))
        contact.welcomed("web-01")
        await clock.advance(1.0)
        contact.heard()
        last = contact.last_seen
        assert last == int(clock.time())
    again = Contact.load(path, clock)
    assert (again.last_seen, again.label) == (last, "web-01")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_damaged_is_no_contact(tmp_path: Path) -> None:
    """An agent starts all the same."""
    path = tmp_path / "contact.json"
    path.write_text("{")
    assert Contact.load(path, TurnedClock()).last_seen == 0
