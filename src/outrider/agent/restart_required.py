"""What was changed and takes effect only with a restart of the agent."""


class RestartRequired:
    """Collects the reasons; a restart is a new process, which begins without any."""

    def __init__(self) -> None:
        self._reasons: dict[str, None] = {}

    def because(self, name: str) -> None:
        """Take in that what is called `name` waits for a restart."""
        self._reasons[name] = None

    def no_longer(self, name: str) -> None:
        """Take in that `name` is again what is in effect."""
        self._reasons.pop(name, None)

    @property
    def required(self) -> bool:
        """Whether anything waits for a restart."""
        return bool(self._reasons)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The names that wait, oldest first."""
        return tuple(self._reasons)
