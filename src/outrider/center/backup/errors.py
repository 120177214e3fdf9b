"""Why a backup can't be taken, read or restored."""

from outrider.domain.errors import Conflict, Invalid


class BackupRefused(Conflict):
    """A backup can't be written or restored there: something is in the way. The detail says what to do."""

    code = "backup_refused"


class BackupDamaged(Invalid):
    """A file is no backup, was cut off or changed, or does not open with this passphrase."""

    code = "backup_damaged"
