"""Reading target expressions.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | list
    list        = primary { "," primary }
    primary     = "(" expression ")" | term
    term        = "all" | id | name | glob | "tag:" tag | "group:" name | "os:" text | "status:" word

A comma binds tightest: it joins a list that stands for one thing, so that `tag:web and not db1,db2` leaves
out both. Words of the language are taken in capitals too; quotes make any text a name.
"""

from typing import ClassVar, Final

from outrider.domain.connection_states import HostStatus
from outrider.domain.errors import Invalid
from outrider.domain.ids import AgentId, has_shape
from outrider.domain.tags import parse_tag
from outrider.domain.targets.errors import InvalidTarget, MisreadExpression
from outrider.domain.targets.expression import (
    Everyone,
    Expression,
    Id,
    InGroup,
    Name,
    NameGlob,
    Or,
    Os,
    Standing,
    Tagged,
    TagPattern,
    is_bare_name,
    quoted,
)
from outrider.domain.targets.globs import MalformedGlob, has_wildcard, parse_glob
from outrider.domain.targets.grammar import OPERATORS, Grammar, shown
from outrider.kit.nearest import nearest

MAX_LENGTH: Final = 65_536
"""Characters of an expression: two thousand ids fit."""

_PREFIXES: Final = ("tag", "group", "os", "status")
_TERM: Final = ("all", "a name", "tag:", "group:", "os:", "status:", "not", "(")


def parse(text: str) -> Expression:
    """Read an expression. Raises `InvalidTarget`, whatever the text; takes time in line with its length."""
    return _Parser(text).whole()


class _Parser(Grammar):
    fault: ClassVar[type[MisreadExpression]] = InvalidTarget
    max_length = MAX_LENGTH
    too_long = "A target has at most {:,} characters; put the hosts into a group or tag them."
    too_many = "More than {} terms that are not plain names; put the hosts into a group."
    too_much = "More than {} conditions; join names by commas (`not a,b,c`), or put the hosts into a group."
    between = "`and`, `or` or a comma"
    after: ClassVar[tuple[str, ...]] = ("and", "or", ",", "the end")

    def _operand(self) -> Expression:
        found = [self._primary()]
        self._skip_space()
        while self._text.startswith(",", self._at):
            self._at += 1
            found.append(self._primary())
            self._skip_space()
        return found[0] if len(found) == 1 else Or(tuple(found))

    # --- terms

    def _term(self) -> Expression:
        start = self._at
        if start == len(self._text):
            reason = (
                "A target is missing here; name hosts, tags or groups, or write `all`."
                if self._text.strip()
                else "The target is empty; name hosts, tags or groups, or write `all` for every host."
            )
            raise self._fault(reason, start, expected=_TERM)
        character = self._text[start]
        if character in "\"'":
            return Name(self._quoted("name"))
        if character in "),":
            before = "nothing stands before it"
            raise self._fault(f"A term is missing: {before}.", start, expected=_TERM)
        end = self._word_end(start)
        word = self._text[start:end]
        if ":" in word:
            return self._prefixed(word)
        self._at = end
        self._refuse_quote(end)
        return self._bare(word, start)

    def _bare(self, word: str, start: int) -> Expression:
        folded = word.casefold()
        if folded == "all":
            return Everyone()
        if folded in ("and", "or", "not"):
            reason = f"`{folded}` stands where a term should; a host of that name is written in quotes."
            raise self._fault(reason, start, len(word), expected=_TERM)
        if has_shape(word, "agent_"):
            return Id(AgentId(word))
        if has_wildcard(word):
            return self._glob(word, start)
        if not is_bare_name(word):
            raise self._not_a_name(word, start)
        self._check_length(word, start)
        return Name(word)

    def _glob(self, word: str, start: int) -> NameGlob:
        self._count(start)
        self._check_length(word, start)
        try:
            parse_glob(word)
        except MalformedGlob as error:
            raise self._fault(error.detail, start + error.offset) from None
        without = "".join(each for each in word if each not in "*?[]^!")
        if without and not is_bare_name(without) and not has_shape(without, "agent_"):
            raise self._not_a_name(word, start)
        return NameGlob(word)

    def _not_a_name(self, word: str, start: int) -> MisreadExpression:
        if word.startswith("!"):
            return self._fault("Write `not` instead of `!`.", start, expected=_TERM)
        if word in OPERATORS:
            reason = f"`{OPERATORS[word]}` is the word for {word}; and a term is missing before it."
            return self._fault(reason, start, len(word), expected=_TERM)
        if "=" in word:
            return self._fault(
                f"A tag is written with its prefix: tag:{word[:80]}", start, len(word), expected=("tag:",)
            )
        reason = f"A name with such characters is written in quotes: {quoted(word[:80])}"
        return self._fault(reason, start, len(word), expected=_TERM)

    def _prefixed(self, word: str) -> Expression:
        start = self._at
        prefix, _, rest = word.partition(":")
        known = prefix.casefold()
        if known not in _PREFIXES:
            meant = nearest(prefix, _PREFIXES)
            hint = (
                f"did you mean `{meant}:`?"
                if meant
                else "there are tag:, group:, os: and status:. "
                f"A name with a colon is written in quotes: {quoted(word[:80])}"
            )
            raise self._fault(
                f"There is no prefix {shown(prefix)}; {hint}",
                start,
                len(prefix) + 1,
                expected=tuple(f"{each}:" for each in _PREFIXES),
            )
        self._count(start)
        self._at = start + len(prefix) + 1
        match known:
            case "tag":
                return self._tag(rest)
            case "group":
                return InGroup(self._value("a group's name"))
            case "os":
                return Os(self._value("a system's name"))
            case _:
                return self._status(rest)

    def _tag(self, rest: str) -> Expression:
        start = self._at
        name, equals, value = rest.partition("=")
        if equals and value.startswith("^"):
            self._at += len(name) + 1
            pattern = self._pattern()
            stored = self._stored_tag(f"{name}=", start, len(name))
            return TagPattern(stored.removesuffix("="), pattern)
        if equals:
            self._at += len(name) + 1
            value = self._value("a tag's value", may_be_empty=True)
            return Tagged(self._stored_tag(f"{name}={value}", start, self._at - start))
        if not rest:
            quoted_tag = self._value("a tag")
            return Tagged(self._stored_tag(quoted_tag, start, self._at - start))
        self._at += len(rest)
        self._refuse_quote(self._at)
        if has_wildcard(rest):
            reason = "Wildcards are for names of hosts; a tag's value takes a pattern: tag:NAME=^web-.*$"
            raise self._fault(reason, start, len(rest), expected=("a tag",))
        return Tagged(self._stored_tag(rest, start, len(rest)))

    def _stored_tag(self, tag: str, position: int, length: int) -> str:
        try:
            return parse_tag(tag)
        except Invalid as error:
            raise self._fault(error.detail, position, length, expected=("a tag",)) from None

    def _status(self, rest: str) -> Standing:
        start = self._at
        words = [status.value for status in HostStatus]
        self._at += len(rest)
        try:
            return Standing(HostStatus(rest.casefold()))
        except ValueError:
            meant = nearest(rest, words)
            hint = f"did you mean `{meant}`?" if meant else f"it is one of {', '.join(words)}."
            reason = f"{shown(rest)} is not a status; {hint}"
            raise self._fault(reason, start, len(rest), expected=tuple(words)) from None

    # --- values

    def _value(self, what: str, *, may_be_empty: bool = False) -> str:
        start = self._at
        if self._text[start : start + 1] in ('"', "'"):
            return self._quoted(what, may_be_empty=may_be_empty)
        end = self._word_end(start)
        word = self._text[start:end]
        if not word and not may_be_empty:
            raise self._fault(f"Here {what} is missing, right after the colon.", start, expected=(what,))
        if word.startswith("^") or word.endswith("$"):
            reason = f"Only a tag's value takes a pattern, from ^ to $; else quote it: {quoted(word[:80])}"
            raise self._fault(reason, start, len(word), expected=(what,))
        if has_wildcard(word):
            reason = f"Wildcards are for names of hosts; to mean these characters, write {quoted(word[:80])}"
            raise self._fault(reason, start, len(word), expected=(what,))
        self._check_length(word, start)
        self._at = end
        self._refuse_quote(end)
        return word
