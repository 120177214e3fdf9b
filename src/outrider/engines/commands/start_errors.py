"""Why a command's process could not be started."""


class CannotStart(Exception):
    """The process was not started. `reason` says what stood in the way and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
