"""Sorting rules: how they are read, where they are wrong, whom they fit."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.groups.claims import Claim, winner
from outrider.domain.groups.errors import InvalidSortingRule
from outrider.domain.groups.rules import MAX_LENGTH, compiled, parse
from outrider.domain.ids import AgentId
from outrider.domain.targets.expression import And, Expression, Not, Or, Tagged, TagPattern
from outrider.domain.targets.matching import Host, matches

_ID = AgentId("agent_0123456789abcdefghjk")


def _matcher(pattern: str) -> Callable[[str], bool]:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(error.msg) from None
    return lambda text: found.fullmatch(text) is not None


def _fits(text: str, **values: str) -> bool:
    return compiled(text, parse(text), _matcher)(values)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("SITE=x1", Tagged("SITE=x1")),
        ("site=x1", Tagged("SITE=x1")),
        ("SITE=", Tagged("SITE=")),
        ('SITE=""', Tagged("SITE=")),
        ("SITE='a b, (c)'", Tagged("SITE=a b, (c)")),
        ("(SITE=)", Tagged("SITE=")),
        ("SITE=^web-(a|b)$", TagPattern("SITE", "^web-(a|b)$")),
        ("(SITE=^a(b)$)", TagPattern("SITE", "^a(b)$")),
        ('SITE="^x$"', Tagged("SITE=^x$")),
        ("A=1 AND B=2 OR NOT C=3", Or((And((Tagged("A=1"), Tagged("B=2"))), Not(Tagged("C=3"))))),
        ("A=1 and (B=2 or C=3)", And((Tagged("A=1"), Or((Tagged("B=2"), Tagged("C=3")))))),
        ("NOT NOT A=", Not(Not(Tagged("A=")))),
        ("A=b=c", Tagged("A=b=c")),
        ("AGENT_NAME=^web.*$", TagPattern("AGENT_NAME", "^web.*$")),
        ("agent_id=x", Tagged("AGENT_ID=x")),
        ("\n A=1\n", Tagged("A=1")),
    ],
)
def test_what_is_read(text: str, expression: Expression) -> None:
    """AND binds before OR, NOT before both; names in any case, quotes around what would end a value."""
    assert parse(text) == expression


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "empty"),
        ("  ", 2, "empty"),
        ("SITE", 0, "NAME=value"),
        ("A=1 B=2", 4, "AND or OR"),
        ("A=1 AND", 7, "missing"),
        ("AND A=1", 0, "missing before"),
        ("A=1 && B=2", 4, "`and`"),
        ("A=1, B=2", 3, "AND or OR"),
        ("A = 1", 0, "without a space"),
        ("(A=1", 0, "never closed"),
        ("A=1)", 3, "closes nothing"),
        ("()", 1, "missing"),
        ("A=^x", 2, "pattern goes from"),
        ("A=x$", 2, "pattern goes from"),
        ('A="x', 2, "never closed"),
        ("1A=x", 0, "letter first"),
        ("=x", 0, "letter first"),
        ("A=x\x00", 3, "printed"),
        ("A=" + "x" * 256, 2, "at most 255"),
        ("NOT " * 33 + "A=", 127, "nested"),
        ("A=" + " " * MAX_LENGTH, MAX_LENGTH, "at most 4,096"),
        ("(" + " OR ".join(["A=1"] * 129) + ")", 1 + 128 * 7, "128 terms"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, position: int, says: str) -> None:
    """The sentence says what to do, the position where."""
    with pytest.raises(InvalidSortingRule, match=says) as caught:
        parse(text)
    assert caught.value.fields["position"] == position


def test_a_pattern_that_is_none_is_told_with_its_place() -> None:
    """It is found when the rule is saved."""
    with pytest.raises(InvalidSortingRule, match="not a regular expression") as caught:
        compiled("A=1 OR B=^*$", parse("A=1 OR B=^*$"), _matcher)
    assert (caught.value.fields["position"], caught.value.fields["length"]) == (9, 3)


def test_present_and_empty() -> None:
    """`TAG=` fits the empty tag alone; without the tag, or with a value, `NOT TAG=` does."""
    assert _fits("A=", A="")
    assert not _fits("A=")
    assert not _fits("A=", A="1")
    assert _fits("NOT A=")
    assert _fits("NOT A=", A="1")
    assert _fits("A=^.*$", A="")
    assert not _fits("A=^.*$")


def test_a_pattern_fits_whole_values() -> None:
    """Part of a value is not enough."""
    assert _fits("A=^x[0-9]$", A="x1")
    assert not _fits("A=^x[0-9]$", A="x12")


_NAMES = ["A", "B", "AGENT_NAME"]
_VALUES = ["", "x", "y z", "x1", "^x$", 'q"']
_TERMS = st.one_of(
    st.builds(
        lambda name, value: Tagged(f"{name}={value}"), st.sampled_from(_NAMES), st.sampled_from(_VALUES)
    ),
    st.builds(TagPattern, st.sampled_from(_NAMES), st.sampled_from(["^x.*$", "^(x|y z)$", "^$", "^.+$"])),
)
_EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    _TERMS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


def _written(expression: Expression) -> str:
    match expression:
        case Not(operand):
            return f"NOT ({_written(operand)})"
        case And(operands):
            return " AND ".join(f"({_written(each)})" for each in operands)
        case Or(operands):
            return " OR ".join(f"({_written(each)})" for each in operands)
        case Tagged(tag):
            name, _, value = tag.partition("=")
            escaped = value.replace('"', '\\"')
            return f'{name}="{escaped}"'
        case TagPattern(name, pattern):
            return f"{name}={pattern.replace(' ', chr(92) + 's')}"
        case other:
            raise TypeError(other)


@given(_EXPRESSIONS, st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_VALUES)))
def test_a_rule_means_what_the_reference_says(expression: Expression, values: dict[str, str]) -> None:
    """Written, read and compiled, a rule fits whom the targets' own reference means."""
    host = Host(id=_ID, tags=frozenset(f"{name}={value}" for name, value in values.items()))
    wanted = matches(expression, host, lambda pattern, value: _matcher(pattern)(value))
    text = _written(expression)
    assert compiled(text, parse(text), _matcher)(values) is wanted


@given(st.text("AB=^$()\"' \\ANDORT,1x[]", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but a refusal with a place in the text comes of it."""
    position = 0
    try:
        rule = compiled(text, parse(text), _matcher)
        assert rule({}) in (True, False)
    except InvalidSortingRule as error:
        position = error.fields["position"]
    assert 0 <= position <= len(text)


_CLAIMS = st.lists(
    st.builds(Claim, st.integers(-3, 3), st.sampled_from("abcdef"), st.sampled_from("xyz")), max_size=6
)


@given(_CLAIMS)
def test_one_claim_wins_whatever_the_order(claims: list[Claim]) -> None:
    """Nobody has a greater priority, nor the same and an older group."""
    found = winner(claims)
    assert (found is None) is (not claims)
    if found is not None:
        assert all((-found.priority, found.group_id) <= (-each.priority, each.group_id) for each in claims)
