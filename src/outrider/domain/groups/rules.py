"""Sorting rules: what a group asks of an agent's tags (contract 000).

    rule = expression of domain.targets.grammar, whose terms are
    term = NAME "=" value | NAME "=" "^" regular expression "$"

A value with a space, a comma or a parenthesis stands in quotes. `NAME=` fits a tag that is there and empty,
`NOT NAME=` one that is not there or has a value. AGENT_NAME and AGENT_ID are the agent's label and id. Names
are taken in any case, values as they are.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from outrider.domain.errors import Invalid
from outrider.domain.groups.errors import InvalidSortingRule
from outrider.domain.tags import RESERVED, parse_pair
from outrider.domain.targets.errors import MisreadExpression
from outrider.domain.targets.expression import And, Expression, Not, Or, Tagged, TagPattern, terms
from outrider.domain.targets.grammar import OPERATORS, Grammar, shown

MAX_LENGTH: Final = 4_096
"""Characters of a rule."""

Fits = Callable[[str], bool]
"""Tells whether a regular expression fits the whole of a value."""
Values = Mapping[str, str]
"""An agent's NAME=value tags, with AGENT_NAME and AGENT_ID."""
Rule = Callable[[Values], bool]
"""Tells whether a group takes an agent with these values."""

_TERM: Final = ("NAME=value", "NOT", "(")


def parse(text: str) -> Expression:
    """Read a rule. Raises `InvalidSortingRule`, whatever the text; takes time in line with its length."""
    return _Parser(text).whole()


def compiled(text: str, expression: Expression, matcher: Callable[[str], Fits]) -> Rule:
    """Make what tells whether the rule, parsed from `text`, fits.

    `matcher` reads a regular expression and raises ValueError for one that it can't take. Raises
    `InvalidSortingRule`.
    """
    patterns: dict[str, Fits] = {}
    for term in terms(expression):
        if isinstance(term, TagPattern) and term.pattern not in patterns:
            patterns[term.pattern] = _matcher(text, term.pattern, matcher)
    return _rule(expression, patterns)


def _matcher(text: str, pattern: str, matcher: Callable[[str], Fits]) -> Fits:
    try:
        return matcher(pattern)
    except ValueError as error:
        raise InvalidSortingRule(
            f"The pattern is not a regular expression: {error}.",
            text,
            position=max(text.find(pattern), 0),
            length=len(pattern),
            expected=("a pattern",),
        ) from None


def _rule(expression: Expression, patterns: Mapping[str, Fits]) -> Rule:
    match expression:
        case Not(operand):
            inner = _rule(operand, patterns)
            return lambda values: not inner(values)
        case And(operands):
            parts = [_rule(each, patterns) for each in operands]
            return lambda values: all(part(values) for part in parts)
        case Or(operands):
            parts = [_rule(each, patterns) for each in operands]
            return lambda values: any(part(values) for part in parts)
        case Tagged(tag):
            name, _, wanted = tag.partition("=")
            return lambda values: values.get(name) == wanted
        case TagPattern(name, pattern):
            return _fitting(name, patterns[pattern])
        case other:
            raise TypeError(f"a sorting rule has no {type(other).__name__}")


def _fitting(name: str, fits: Fits) -> Rule:
    def rule(values: Values) -> bool:
        value = values.get(name)
        return value is not None and fits(value)

    return rule


class _Parser(Grammar):
    fault: ClassVar[type[MisreadExpression]] = InvalidSortingRule
    max_length = MAX_LENGTH
    too_long = "A sorting rule has at most {:,} characters; a pattern (NAME=^a|b$) says much in little."
    too_many = "More than {} terms; a pattern (NAME=^a|b$) stands for many."
    too_much = "More than {} conditions; a pattern (NAME=^a|b$) stands for many."
    between = "AND or OR"
    after: ClassVar[tuple[str, ...]] = ("AND", "OR", "the end")

    def _term(self) -> Expression:
        start = self._at
        end = self._word_end(start)
        word = self._text[start:end]
        name, equals, value = word.partition("=")
        if not equals:
            raise self._no_term(start, word)
        self._count(start)
        self._at = start + len(name) + 1
        if value.startswith("^"):
            pattern = self._pattern()
            return TagPattern(self._stored(name, "", start)[0], pattern)
        value = self._value()
        return Tagged("=".join(self._stored(name, value, start)))

    def _value(self) -> str:
        start = self._at
        if self._text[start : start + 1] in ('"', "'"):
            return self._quoted("a value", may_be_empty=True)
        end = self._word_end(start)
        word = self._text[start:end]
        if word.endswith("$"):
            reason = "A pattern goes from ^ to $; to mean the $ itself, quote the value."
            raise self._fault(reason, start, len(word), expected=("a value",))
        self._check_length(word, start)
        self._at = end
        self._refuse_quote(end)
        return word

    def _stored(self, name: str, value: str, start: int) -> tuple[str, str]:
        if name.upper() in RESERVED:
            return name.upper(), value
        try:
            return parse_pair(name, value)
        except Invalid as error:
            raise self._fault(error.detail, start, self._at - start, expected=_TERM) from None

    def _no_term(self, start: int, word: str) -> MisreadExpression:
        if start == len(self._text):
            reason = (
                "A term is missing here; write NAME=value." if self._text.strip() else "The rule is empty."
            )
        elif not word:
            reason = "A term is missing here; write NAME=value."
        elif word.casefold() in ("and", "or", "not"):
            reason = f"A term is missing before {shown(word)}; write NAME=value."
        elif word in OPERATORS:
            reason = f"`{OPERATORS[word]}` is the word for {word}; and a term is missing before it."
        else:
            reason = f"{shown(word)} asks for nothing; write NAME=value, without a space around the =."
        return self._fault(reason, start, len(word), expected=_TERM)
