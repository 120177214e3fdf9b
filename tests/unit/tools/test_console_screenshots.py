"""Pictures of the console: none of its pages is left out."""

import re
from pathlib import Path

from tools.console.screenshots import PAGES

_PLACES = Path(__file__).parents[3] / "console" / "src" / "rooms" / "places.ts"


def test_each_page_of_the_console_has_a_picture() -> None:
    """Each page that an address leads to, whatever the thing that it shows is called."""
    table = _PLACES.read_text().partition("const PAGES = {")[2].partition("}")[0]
    shown = {re.sub(r"{\w+}", ":id", path.partition("?")[0]) for path in PAGES.values()}
    pages = re.findall(r"(\w+): \[(.*)\]", table)
    assert len(pages) > 10
    assert [name for name, addresses in pages if not set(re.findall(r'"(.+?)"', addresses)) & shown] == []
