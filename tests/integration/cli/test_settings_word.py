"""`outrider settings` against a real center."""

import json

from tests.integration.cli.program import Signed


async def test_an_administrator_reads_how_the_center_is_set(administrator: Signed) -> None:
    """All of it, what differs, what is named by key or variable; JSON for programs; a slip is answered."""
    own, outrider, _ = administrator
    listed = json.loads((await outrider.run("settings", "--json")).out)
    home = next(each for each in listed if each["name"] == "home")
    assert home["value"] == str(own.home)
    changed = await outrider.run("settings", "--changed")
    assert str(own.home) in changed.out.replace("\n", "")
    assert len(changed.out.splitlines()) < len(listed)
    named = json.loads((await outrider.run("settings", "home", "OUTRIDER_PUBLIC_URL", "--json")).out)
    assert [each["name"] for each in named] == ["home", "public_url"]
    slip = await outrider.run("settings", "hoem")
    assert slip.code != 0
    assert "did you mean home?" in slip.err
