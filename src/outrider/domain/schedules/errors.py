"""What can be wrong with a schedule."""

from outrider.domain.errors import Invalid


class InvalidSchedule(Invalid):
    """A schedule that can't be. `fields`: field (such as `when.cron`), reason."""

    code = "invalid_schedule"

    def __init__(self, reason: str, *, field: str) -> None:
        """Say what is wrong, what to do, and in which field."""
        super().__init__(reason, field=field, reason=reason)
