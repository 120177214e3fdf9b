"""What a job run is said to do: seed 000's words, and which of them counts when several apply."""

from collections.abc import Collection
from enum import Enum
from typing import Final


class JobKind(Enum):
    """What kind of job a run belongs to; the values are the seed's `type`."""

    SYNC = "folder"
    TRANSFER = "transfer"
    SCRIPT = "script"


class RunStatus(Enum):
    """One word of a run's `status`, to the letter."""

    EXPIRED = "expired"
    INVALID_STATE = "invalid state"
    ERROR = "error"
    LOADING = "loading"
    PAUSED = "paused"
    WAITING_FOR_SCRIPT = "waiting for scheduled script"
    PRE_INDEXING_SCRIPT = "executing pre-indexing script"
    POST_DOWNLOAD_SCRIPT = "executing post-download script"
    COMPLETE_SCRIPT = "executing complete script"
    ARCHIVING_SCRIPT_LOGS = "archiving script logs"
    SCRIPT = "executing script"
    WRITING_ACL = "writing acl"
    INDEXING = "indexing"
    PROCESSING_FILES = "processing files"
    LOW_PRIORITY = "low priority"
    WAITING_FOR_SOURCE = "waiting for files from source"
    NO_PEERS = "no peers"
    CLEANING_UP = "cleaning up destination folder"
    SYNCING = "syncing"
    DOWNLOADING = "downloading"
    SYNCED = "synced"
    SEEDING = "seeding"
    FINISHED = "successfully finished"


_S: Final = RunStatus
ORDER: Final = tuple(RunStatus)
"""The first that applies is said (contract 000); `expired` and `invalid state` are the job's own word."""

_OF_EVERY_KIND: Final = frozenset(
    {_S.ERROR, _S.LOADING, _S.PAUSED, _S.WRITING_ACL, _S.INDEXING, _S.PROCESSING_FILES, _S.LOW_PRIORITY}
)
ALLOWED: Final = {
    JobKind.SYNC: _OF_EVERY_KIND | {_S.NO_PEERS, _S.SYNCING, _S.SYNCED},
    JobKind.TRANSFER: _OF_EVERY_KIND
    | {
        _S.INVALID_STATE,
        _S.NO_PEERS,
        _S.WAITING_FOR_SOURCE,
        _S.DOWNLOADING,
        _S.SEEDING,
        _S.CLEANING_UP,
        _S.WAITING_FOR_SCRIPT,
        _S.PRE_INDEXING_SCRIPT,
        _S.POST_DOWNLOAD_SCRIPT,
        _S.COMPLETE_SCRIPT,
        _S.ARCHIVING_SCRIPT_LOGS,
        _S.FINISHED,
        _S.EXPIRED,
    },
    JobKind.SCRIPT: _OF_EVERY_KIND | {_S.EXPIRED, _S.FINISHED, _S.SCRIPT},
}
"""The words that a run of each kind may show. `mounting selective sync volume` never occurs on Linux."""


def status_of(kind: JobKind, applying: Collection[RunStatus]) -> RunStatus:
    """Return the word that is said when these apply. Raises ValueError when none of them is for this kind."""
    allowed = ALLOWED[kind]
    for status in ORDER:
        if status in applying and status in allowed:
            return status
    raise ValueError(f"a {kind.value} run is in none of the states {sorted(each.value for each in applying)}")
