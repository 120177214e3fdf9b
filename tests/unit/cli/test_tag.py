"""Changes to an agent's tags."""

import pytest

from outrider.cli.tag import changed_tags
from outrider.domain.errors import Invalid


@pytest.mark.parametrize(
    ("tags", "changes", "after"),
    [
        ([], ["+web"], ("web",)),
        (["web"], ["+web"], ("web",)),
        (["web", "db"], ["-db"], ("web",)),
        (["web"], ["-db"], ("web",)),
        ([], ["site=x1"], ("SITE=x1",)),
        (["SITE=x1"], ["SITE=x2"], ("SITE=x2",)),
        (["SITE=x1"], ["+SITE=a=b"], ("SITE=a=b",)),
        (["SITE=x1", "web"], ["-site"], ("web",)),
        (["SITE=x1"], ["-SITE=x1"], ()),
        (["SITE=x1"], ["-SITE=x2"], ("SITE=x1",)),
        (["a"], ["-a", "+b", "-b", "+c"], ("c",)),
    ],
)
def test_changes_are_applied_in_their_order(
    tags: list[str], changes: list[str], after: tuple[str, ...]
) -> None:
    """+ adds, - removes a word or a name, = sets."""
    assert changed_tags(tags, changes) == after


def test_a_bare_word_is_asked_about() -> None:
    """Neither adding nor removing is guessed."""
    with pytest.raises(Invalid, match=r"\+web adds"):
        changed_tags([], ["web"])
