"""A state machine as a table: which state may follow which."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)


class TransitionRefused(ValueError):
    """The table has no step from the first state to the second."""


class Transitions(Generic[S]):
    """The allowed steps of one machine. A state without a row is final."""

    def __init__(self, kind: type[S], allowed: Mapping[S, Iterable[S]]) -> None:
        """Take the table; every state that is left out of it is final."""
        self._allowed: dict[S, frozenset[S]] = {state: frozenset(allowed.get(state, ())) for state in kind}
        self.final: frozenset[S] = frozenset(state for state, after in self._allowed.items() if not after)

    def may(self, current: S, after: S) -> bool:
        """Tell whether `after` may follow `current`."""
        return after in self._allowed[current]

    def check(self, current: S, after: S) -> S:
        """Return `after`, or raise `TransitionRefused`."""
        if not self.may(current, after):
            message = f"{current.value} can't become {after.value}"
            raise TransitionRefused(message)
        return after

    def after(self, current: S) -> frozenset[S]:
        """List the states that may follow `current`."""
        return self._allowed[current]

    def before(self, after: S) -> frozenset[S]:
        """List the states that `after` may follow."""
        return frozenset(state for state, allowed in self._allowed.items() if after in allowed)
