"""What the languages of this program share: AND, OR, NOT and parentheses around terms, quotes, patterns.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | operand
    primary     = "(" expression ")" | term

What an operand and a term are is each language's own. Words are taken in capitals too. Reading takes time in
line with the text's length, whatever the text.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

from outrider.domain.targets.errors import MisreadExpression
from outrider.domain.targets.expression import ENDS_A_WORD, And, Expression, Id, Name, Not, Or
from outrider.kit.nearest import nearest

MAX_DEPTH: Final = 32
"""How deeply `not` and parentheses may be nested."""
MAX_TERMS: Final = 128
"""How many terms that are not plain ids or names."""
MAX_PARTS: Final = 256
"""How many conditions: operators and terms; the ids and names of one list are one lookup."""
MAX_NAME: Final = 255
OPERATORS: Final = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "+": "or"}
"""What other languages write, and the word for it."""


class Grammar(ABC):
    """Reads one text; a language says what its terms are. The sentences have a place for a number."""

    fault: ClassVar[type[MisreadExpression]]
    max_length: ClassVar[int]
    too_long: ClassVar[str]
    too_many: ClassVar[str]
    too_much: ClassVar[str]
    between: ClassVar[str] = "`and` or `or`"
    after: ClassVar[tuple[str, ...]] = ("and", "or", "the end")

    def __init__(self, text: str) -> None:
        """Begin at the text's first character."""
        self._text = text
        self._at = 0
        self._depth = 0
        self._terms = 0

    def whole(self) -> Expression:
        """Read all of it. Raises `fault`."""
        if len(self._text) > self.max_length:
            reason = self.too_long.format(self.max_length)
            raise self._fault(reason, self.max_length, expected=("the end",))
        for position, character in enumerate(self._text):
            if not character.isprintable() and character not in "\t\r\n":
                raise self._fault("This character can't be printed.", position)
        expression = self._expression()
        if self._at < len(self._text):
            raise self._unexpected()
        if _conditions(expression) > MAX_PARTS:
            raise self._fault(self.too_much.format(MAX_PARTS), 0, len(self._text))
        return expression

    # --- what a language adds

    def _operand(self) -> Expression:
        return self._primary()

    @abstractmethod
    def _term(self) -> Expression:
        """Read one term; the text may be at its end here."""

    # --- the grammar, loosest first

    def _expression(self) -> Expression:
        operands = self._joined("or", lambda: self._joined("and", self._negation, And), Or)
        self._skip_space()
        return operands

    def _joined(self, word: str, operand: Callable[[], Expression], kind: type[And | Or]) -> Expression:
        found = [operand()]
        while self._keyword(word):
            found.append(operand())
        return found[0] if len(found) == 1 else kind(tuple(found))

    def _negation(self) -> Expression:
        start = self._at
        if not self._keyword("not"):
            return self._operand()
        self._enter(start)
        operand = self._negation()
        self._depth -= 1
        return Not(operand)

    def _primary(self) -> Expression:
        self._skip_space()
        start = self._at
        if not self._text.startswith("(", start):
            return self._term()
        self._enter(start)
        self._at += 1
        inside = self._expression()
        if not self._text.startswith(")", self._at):
            if self._at < len(self._text):
                raise self._unexpected(")")
            raise self._fault("This ( is never closed; add a ).", start, expected=(")",))
        self._at += 1
        self._depth -= 1
        return inside

    def _enter(self, position: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            reason = f"Parentheses and `not` are nested more than {MAX_DEPTH} deep; write it simpler."
            raise self._fault(reason, position)

    # --- words

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _word_end(self, start: int) -> int:
        end = start
        while end < len(self._text) and self._text[end] not in ENDS_A_WORD and not self._text[end].isspace():
            end += 1
        return end

    def _keyword(self, word: str) -> bool:
        self._skip_space()
        end = self._word_end(self._at)
        if self._text[self._at : end].casefold() != word:
            return False
        self._at = end
        return True

    def _unexpected(self, *expected: str) -> MisreadExpression:
        """Make the error for what stands where an expression could only go on or end."""
        end = self._word_end(self._at)
        found = self._text[self._at : end] or self._text[self._at]
        if found == ")":
            return self._fault("This ) closes nothing; remove it.", self._at, expected=self.after)
        meant = OPERATORS.get(found) or nearest(found, ("and", "or"))
        reason = (
            f"{shown(found)} is not an operator; did you mean `{meant}`?"
            if meant
            else f"Two terms follow each other; put {self.between} before {shown(found)}."
        )
        return self._fault(reason, self._at, len(found), expected=(*expected, *self.after))

    def _fault(
        self, reason: str, position: int, length: int = 1, expected: tuple[str, ...] = ()
    ) -> MisreadExpression:
        return self.fault(reason, self._text, position=position, length=length, expected=expected)

    def _count(self, position: int) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._fault(self.too_many.format(MAX_TERMS), position)

    # --- values

    def _quoted(self, what: str, *, may_be_empty: bool = False) -> str:
        start = self._at
        mark = self._text[start]
        content: list[str] = []
        at = start + 1
        while at < len(self._text) and self._text[at] != mark:
            at += self._text[at] == "\\"
            content.append(self._text[at : at + 1])
            at += 1
        if at >= len(self._text):
            raise self._fault(f"This {mark} is never closed.", start, expected=(mark,))
        text = "".join(content)
        if not text.isprintable():
            raise self._fault("A line can't end within quotes.", start, at + 1 - start)
        if not text and not may_be_empty:
            raise self._fault(f"Between these quotes, {what} is missing.", start, 2, expected=(what,))
        self._check_length(text, start)
        self._at = at + 1
        end = self._word_end(self._at)
        if end > self._at:
            raise self._fault(
                "A space is missing after the closing quote.", self._at, end - self._at, expected=self.after
            )
        return text

    def _pattern(self) -> str:
        """Read from ^ to the $ that ends a word outside of brackets; the center judges what is between."""
        start = self._at
        depth, at, in_set = 0, start, False
        while at < len(self._text) and not self._text[at].isspace():
            character = self._text[at]
            at += 1
            match character:
                case "\\":
                    at += 1
                case "[":
                    in_set = True
                case "]":
                    in_set = False
                case "(" if not in_set:
                    depth += 1
                case ")" if not in_set:
                    depth -= 1
                case "$" if not in_set and depth <= 0 and self._ends_here(at):
                    pattern = self._text[start:at]
                    self._check_length(pattern, start)
                    self._at = at
                    return pattern
                case _:
                    pass
        reason = (
            r"A pattern goes from ^ to $ without a space (write \s); to mean the ^ itself, quote the value."
        )
        raise self._fault(reason, start, min(at, len(self._text)) - start, expected=("$",))

    def _ends_here(self, at: int) -> bool:
        return at == len(self._text) or self._text[at] in ")," or self._text[at].isspace()

    def _refuse_quote(self, at: int) -> None:
        if at < len(self._text) and self._text[at] in "\"'":
            raise self._fault(
                "A quote in the middle of a word; put the whole name in quotes.", at, expected=self.after
            )

    def _check_length(self, text: str, position: int) -> None:
        if len(text) > MAX_NAME:
            raise self._fault(f"A name has at most {MAX_NAME} characters.", position, len(text))


def _conditions(expression: Expression) -> int:
    """Count what a database has to ask of each host. Nesting is bounded, and so is this."""
    match expression:
        case Not(operand):
            return 1 + _conditions(operand)
        case And(operands):
            return 1 + sum(map(_conditions, operands))
        case Or(operands):
            return 1 + sum(_conditions(each) for each in operands if not isinstance(each, Id | Name))
        case _:
            return 1


def shown(word: str) -> str:
    """Show a word of the text within a sentence."""
    return f"`{word[:80]}`"
