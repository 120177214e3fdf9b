"""The one error of `./dev`."""


class ChoreError(Exception):
    """A chore can't go on; the message tells the person what to do."""
