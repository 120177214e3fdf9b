"""Reading and writing target expressions."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.connection_states import HostStatus
from outrider.domain.ids import AgentId
from outrider.domain.targets.errors import InvalidTarget
from outrider.domain.targets.expression import (
    And,
    Everyone,
    Expression,
    Id,
    InGroup,
    Name,
    NameGlob,
    Not,
    Or,
    Os,
    Standing,
    Tagged,
    TagPattern,
    asks_for_unapproved,
    terms,
    write,
)
from outrider.domain.targets.grammar import MAX_DEPTH, MAX_PARTS, MAX_TERMS
from outrider.domain.targets.parser import MAX_LENGTH, parse
from tests.fixtures.targets import expressions

_ID = AgentId("agent_0123456789abcdefghjk")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("all", Everyone()),
        ("ALL", Everyone()),
        (_ID, Id(_ID)),
        (f'"{_ID}"', Name(_ID)),
        ("web-1", Name("web-1")),
        ("10.0.0.7", Name("10.0.0.7")),
        ("agent_short", Name("agent_short")),
        ('"all"', Name("all")),
        ("'my \"host\"'", Name('my "host"')),
        (r'"a\"b\\c"', Name('a"b\\c')),
        ("web-*", NameGlob("web-*")),
        ("[!ab]?", NameGlob("[!ab]?")),
        ("tag:web", Tagged("web")),
        ("TAG:Web", Tagged("Web")),
        ("tag:site=x1", Tagged("SITE=x1")),
        ("tag:SITE=", Tagged("SITE=")),
        ('tag:SITE="x 1"', Tagged("SITE=x 1")),
        ('tag:SITE="^x$"', Tagged("SITE=^x$")),
        ('tag:"SITE=x 1"', Tagged("SITE=x 1")),
        ("tag:URL=http://h:1/p=q", Tagged("URL=http://h:1/p=q")),
        ("tag:SITE=^re$", TagPattern("SITE", "^re$")),
        ("(tag:SITE=^(a|b)[)$]+$)", TagPattern("SITE", "^(a|b)[)$]+$")),
        (r"tag:A=^\$\($ or all", Or((TagPattern("A", r"^\$\($"), Everyone()))),
        ("tag:A=^(a$|b)$,web", Or((TagPattern("A", "^(a$|b)$"), Name("web")))),
        ("group:blue", InGroup("blue")),
        ("group:'two words'", InGroup("two words")),
        ("os:debian", Os("debian")),
        ('os:"ubuntu 24.04"', Os("ubuntu 24.04")),
        ("status:Offline", Standing(HostStatus.OFFLINE)),
        ("tag:web and not tag:db", And((Tagged("web"), Not(Tagged("db"))))),
        ("a or b and not c", Or((Name("a"), And((Name("b"), Not(Name("c"))))))),
        ("(a or b) AND c", And((Or((Name("a"), Name("b"))), Name("c")))),
        ("a,b , c", Or((Name("a"), Name("b"), Name("c")))),
        ("tag:web and not a,b", And((Tagged("web"), Not(Or((Name("a"), Name("b"))))))),
        ("not not a", Not(Not(Name("a")))),
        ("not(a)", Not(Name("a"))),
        (" \n a\tor\nb ", Or((Name("a"), Name("b")))),
        ("a or (b or c)", Or((Name("a"), Or((Name("b"), Name("c")))))),
        ("notable or android", Or((Name("notable"), Name("android")))),
    ],
)
def test_what_an_expression_means(text: str, expression: Expression) -> None:
    """The grammar, case by case: precedence, lists, quotes, patterns."""
    assert parse(text) == expression


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", "", "The target is empty"),
        ("  ", "", "The target is empty"),
        ("tag:web and ", "", "missing"),
        ("tags:web", "tags:", "did you mean `tag:`?"),
        ("http://x", "http:", "in quotes"),
        ("SITE=x1", "SITE=x1", "tag:SITE=x1"),
        ("web-1 web-2", "web-2", "and"),
        ("web-1 && web-2", "&&", "`and`"),
        ("web-1 adn web-2", "adn", "`and`"),
        ("!web", "!", "`not`"),
        ("& web", "&", "`and`"),
        ("and web", "and", "quotes"),
        ("a or or b", "or", "quotes"),
        ("(a or b", "(", "never closed"),
        ("(a b)", "b", "and"),
        ("a)", ")", "closes nothing"),
        ("()", ")", "missing"),
        ("a,,b", ",", "missing"),
        ("a,", "", "missing"),
        ('"web', '"', "never closed"),
        ('""', '""', "missing"),
        ('"a"b', "b", "space"),
        ('a"b"', '"', "whole name in quotes"),
        ('tag:web"x"', '"', "whole name in quotes"),
        ("tag:", "", "missing"),
        ("tag:we*", "we*", "Wildcards"),
        ("tag:-x", "-x", "not a word"),
        ("tag:1A=x", "1A=x", "must be letters"),
        ("tag:AGENT_ID=x", "AGENT_ID=x", "reserved"),
        ("tag:SITE=^x", "^x", "from ^ to $"),
        ("tag:SITE=^x y$", "^x", "from ^ to $"),
        ("tag:SITE=x$", "x$", "pattern"),
        ("tag:SITE=x*", "x*", "Wildcards"),
        ("group:", "", "missing"),
        ("group:^a$", "^a$", "pattern"),
        ("os:deb*", "deb*", "Wildcards"),
        ("status:onlin", "onlin", "did you mean `online`?"),
        ("status:", "", "one of online"),
        ("web-[1", "[", "never closed"),
        ("web-[]", "[", "no characters"),
        ("web]", "]", "closes nothing"),
        ("web-[a-", "[", "never closed"),
        ("web-[9-1]", "9", "A range"),
        ("we;b", "we;b", "in quotes"),
        ("we;b*", "we;b*", "in quotes"),
        ("web\0", "\0", "can't be printed"),
        ('"a\nb"', '"a\nb"', "A line can't end"),
        ("x" * 256, "x" * 256, "255"),
    ],
)
def test_an_error_points_at_its_place(text: str, place: str, says: str) -> None:
    """Position and length frame the offending piece; the detail shows it and says what to do."""
    with pytest.raises(InvalidTarget) as caught:
        parse(text)
    fields = caught.value.fields
    position, length = fields["position"], fields["length"]
    assert isinstance(fields["expected"], list)
    if place:
        assert text[position : position + length].startswith(place[:1])
        assert text[position : position + length] in (place, place[:1])
    assert says in caught.value.detail
    reason, shown, carets = caught.value.detail.rsplit("\n", 2)
    assert reason
    assert carets.strip("^ ") == ""
    if len(text) < 60:
        assert carets.index("^") == position + 2
        assert len(shown) == len(text) + 2


def test_a_caret_points_into_a_long_expression() -> None:
    """Of a long text, what is around the place is shown."""
    with pytest.raises(InvalidTarget) as caught:
        parse("x or " * 1000 + "wrong:y" + " or z" * 1000)
    _, shown, carets = caught.value.detail.rsplit("\n", 2)
    assert len(shown) < 140
    assert shown[carets.index("^") :].startswith("wrong:")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(" * 10_000, "nested"),
        ("(" * 10_000 + "a" + ")" * 10_000, "nested"),
        ("not " * 10_000 + "a", "nested"),
        ("a," * MAX_LENGTH, "at most"),
        ("tag:a or " * (MAX_TERMS + 1) + "tag:a", "More than"),
        ("[" * 1000, "at most"),
        (" and ".join(["a"] * MAX_PARTS), "conditions"),
        (" or ".join(["not a"] * (MAX_PARTS // 2)), "conditions"),
        (" or ".join(["(a,b)"] * MAX_PARTS), "conditions"),
    ],
)
def test_large_input_is_refused(text: str, says: str) -> None:
    """Depth, length and terms are bounded, so that no text exhausts the center."""
    with pytest.raises(InvalidTarget, match=says):
        parse(text)


def test_the_bounds_themselves_are_taken() -> None:
    """As many terms and as deep as said, and two thousand ids."""
    assert len(terms(parse(" or ".join(f"tag:a{number}" for number in range(MAX_TERMS))))) == MAX_TERMS
    parse(" and ".join(["a"] * (MAX_PARTS - 1)))
    parse("not " + ",".join(["a"] * 10 * MAX_PARTS))
    parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)
    ids = [f"agent_{number:020}" for number in range(2000)]
    assert terms(parse(",".join(ids))) == [Id(AgentId(each)) for each in ids]


@given(expressions())
def test_what_is_written_reads_back(expression: Expression) -> None:
    """Writing and parsing give the same tree."""
    assert parse(write(expression)) == expression


@given(
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp", "Zs")) | st.just(" "), min_size=1, max_size=40)
)
def test_any_printable_name_can_be_written(name: str) -> None:
    """Every name has a form that means it, and only it."""
    for expression in (Name(name), InGroup(name), Os(name)):
        assert parse(write(expression)) == expression


_PIECES = [
    *"(), ^$*[]-'\\!aé\n",
    '"',
    "and",
    "or",
    "not",
    "all",
    "tag:",
    "A=",
    "os:",
    "group:",
    "status:",
    "online",
]


@given(st.text() | st.lists(st.sampled_from(_PIECES), max_size=30).map("".join))
@example("tag:A=^")
@example("tag:A=^\\")
@example('"\\')
@example("[!]")
@example("[a-")
def test_only_one_error_is_ever_raised(text: str) -> None:
    """Any text is an expression, which can be written again, or an error whose place is within the text."""
    try:
        expression = parse(text)
    except InvalidTarget as error:
        place = error.fields
    else:
        assert parse(write(expression)) == expression
        return
    assert 0 <= place["position"] <= len(text)
    assert place["length"] >= 1


def test_terms_are_listed_once_in_order() -> None:
    """What an error names is named once, from left to right."""
    assert terms(parse("b and (not a or b) and c")) == [Name("b"), Name("a"), Name("c")]


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("all", False),
        ("status:online", False),
        ("not status:pending", True),
        ("web or status:declined", True),
    ],
)
def test_only_a_status_asks_for_hosts_that_are_not_approved(text: str, asks: bool) -> None:  # noqa: FBT001 (a table)
    """Expressions are about approved hosts unless they name pending or declined ones."""
    assert asks_for_unapproved(parse(text)) is asks
