"""What the agent knows of its enrolment, in `enrolment.json` (0600)."""

from pathlib import Path
from typing import Final

import msgspec

from outrider.domain.errors import OutriderError
from outrider.domain.ids import AgentId
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically

_MAX_FILE: Final = 64 * 1024


class EnrolmentBroken(OutriderError):
    """The record of the enrolment can't be read; nothing was changed."""

    code = "enrolment_broken"


class EnrolmentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an agent stands with its enrolment.

    First the key is made and kept (`agent_id` empty): an enrolment whose answer was lost is then asked for
    again with the same key. Then the center has answered (`agent_id` set). `removed` says why it is
    no agent any more: the center has deleted it, or its host has left. `used_key` is the id of the enrolment
    key that must not enrol it again, `left_key` of the one in the settings that must not bring back a host
    that has left (its short form, where that is in the settings). `short_form` is what that key was typed as,
    empty for the key itself, and `exchanged_key` the key that the center gave for it, until it has enrolled.
    """

    center_url: str
    agent_key: str = ""
    agent_id: AgentId | None = None
    label: str = ""
    used_key: str = ""
    removed: str = ""
    left_key: str = ""
    short_form: str = ""
    exchanged_key: str = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"EnrolmentRecord(center_url={self.center_url!r}, agent_id={self.agent_id!r})"

    @property
    def is_enrolled(self) -> bool:
        """Whether the center knows this agent."""
        return self.agent_id is not None and bool(self.agent_key) and not self.removed


def read_record(path: Path) -> EnrolmentRecord | None:
    """Return the record, None when there is none. Blocks. Raises EnrolmentBroken."""
    try:
        return msgspec.json.decode(read_bounded(path, _MAX_FILE), type=EnrolmentRecord)
    except FileNotFoundError:
        return None
    except (OSError, FileTooLarge, ValueError) as error:
        raise EnrolmentBroken(
            f"{path} can't be read ({error}). Put it back from a backup, or remove it to enrol anew.",
        ) from error


def write_record(path: Path, record: EnrolmentRecord) -> None:
    """Keep the record, durably and for its owner alone. Blocks. Raises OSError."""
    write_atomically(path, msgspec.json.encode(record), mode=0o600)
