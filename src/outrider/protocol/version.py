"""Agreement on a protocol version. Each side states the range it speaks; the highest common one wins.

Two releases back are spoken, so that a center and its agents are updated in any order.
"""

from typing import Final

import msgspec

from outrider.domain.errors import NoCommonVersion


class VersionRange(msgspec.Struct, frozen=True, array_like=True):
    """The protocol versions one side speaks, both ends included."""

    lowest: int
    highest: int


SPOKEN: Final = VersionRange(1, 1)


def agree(ours: VersionRange, theirs: VersionRange) -> int:
    """Return the highest version both ranges hold.

    Raises `NoCommonVersion`, saying which side has to be updated.
    """
    version = min(ours.highest, theirs.highest)
    if version >= max(ours.lowest, theirs.lowest):
        return version
    behind = "the other side" if theirs.highest < ours.lowest else "this side"
    raise NoCommonVersion(
        f"This side speaks protocol {ours.lowest} to {ours.highest}, "
        f"the other {theirs.lowest} to {theirs.highest}: update {behind}.",
        ours=[ours.lowest, ours.highest],
        theirs=[theirs.lowest, theirs.highest],
    )
