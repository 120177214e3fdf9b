"""What the program ends with."""

from typing import Any

import pytest

from outrider.cli import exit_codes
from outrider.client import CenterAway, Command, StrangeAnswer, WrongCertificate
from outrider.domain import errors
from outrider.domain.ids import CommandId


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"status": "succeeded", "exit_code": 0}, 0),
        ({"status": "failed", "exit_code": 3}, 3),
        ({"status": "failed", "exit_code": 255}, 255),
        ({"status": "failed", "signal": 9}, 137),
        ({"status": "failed", "reason": "no such user"}, 125),
        ({"status": "timed_out", "signal": 15}, 124),
        ({"status": "cancelled", "signal": 15}, 130),
        ({"status": "expired"}, 125),
        ({"status": "interrupted"}, 125),
        ({"status": "a word of tomorrow"}, 125),
    ],
)
def test_exec_ends_as_the_command_did(facts: dict[str, Any], code: int) -> None:
    """Each way a command can end has its code."""
    assert exit_codes.of_command(Command(id=CommandId("cmd_1"), type="shell", **facts)) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Invalid("x"), 2),
        (errors.BadParams("x"), 2),
        (errors.Unauthenticated("x"), 3),
        (errors.Forbidden("x"), 4),
        (errors.NotFound("x"), 5),
        (errors.Conflict("x"), 6),
        (errors.Throttled("x"), 7),
        (CenterAway("x"), 7),
        (WrongCertificate("x"), 8),
        (StrangeAnswer("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_code(error: errors.OutriderError, code: int) -> None:
    """Scripts can tell errors apart; those of exec can't be taken for the remote command's."""
    assert exit_codes.of_error(error, "agents") == code
    assert exit_codes.of_error(error, "exec") == 125
