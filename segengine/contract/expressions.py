"""Read a SQL expression far enough to know which columns it uses as numbers, and to keep it from raising on a value.

Text tables hold text only, and Spark in ANSI mode stops the job at the first value that is not what an expression takes
it for. So a text column is handed to the expression as a number where it is used as one, cast strictly row by row:

    next to + - * / % or DIV, or inside a function of numbers       Quantity * UnitPrice, abs(price)
    compared with a number, or with a column used as a number       UnitPrice > 0, price BETWEEN 1 AND 9
    beside a number in coalesce, nullif, greatest, least, if        coalesce(discount, 0)
    as the result, where a number is wanted (amount, quantity)      CASE WHEN kind = 'R' THEN -price ELSE price END

and as a boolean where it is compared with TRUE or FALSE. A column is one thing in all of an expression. Everywhere else
it stays text. What cannot be cast is null. No value is looked at: an expression means the same on every table.

Besides, `cast` becomes `try_cast`, `to_timestamp` `try_to_timestamp`, and divisors of zero become null, in every table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Reading", "Use", "read", "rewrite"]

Use = Literal["text", "number", "boolean"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      |(?P<text>[rR]?'(?:[^'\\]|\\.|'')*'|[rR]?"(?:[^"\\]|\\.|"")*")
      |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:BD|[LSYDF])?(?![A-Za-z_]))
      |(?P<quoted>`(?:[^`]|``)*`)
      |(?P<word>[^\W\d]\w*)
      |(?P<sign><=>|<=|>=|<>|!=|==|\|\||::|->|.)""",
    re.VERBOSE | re.DOTALL,
)
_ARITHMETIC = {"+", "-", "*", "/", "%", "div"}
_DIVISION = {"/", "%", "div"}
_ORDERING = {"<", ">", "<=", ">="}
_COMPARISON = _ORDERING | {"=", "==", "<>", "!=", "<=>"}
_NUMERIC_FUNCTIONS = set(
    "abs bround ceil ceiling exp floor isnan ln log log10 log2 mod negative pmod positive pow power round sign signum "
    "sqrt try_add try_divide try_multiply try_subtract".split()
)
_MIXED_FUNCTIONS = {"coalesce", "nvl", "ifnull", "nullif", "greatest", "least", "if", "iff"}
_KEYWORDS = set(
    "and as between case div else end escape false ilike in interval is like not null or rlike then true when".split()
)
_CASTING = set("bigint boolean date decimal double float int smallint string timestamp tinyint".split())


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    @property
    def key(self) -> str:
        return self.text.casefold() if self.kind == "word" else self.text


@dataclass(frozen=True)
class _Reference:
    """A column in the expression: the token positions [start, end) and its name in small letters, dots included."""

    start: int
    end: int
    name: str


@dataclass(frozen=True)
class Reading:
    """`uses`: name in small letters -> how it is used. `unclear`: pairs of text columns whose order is asked for."""

    uses: Mapping[str, Use]
    unclear: tuple[tuple[str, str], ...]


def read(text: str, columns: Collection[str], *, numeric: Collection[str] = (), wants_number: bool = False) -> Reading:
    """How an expression uses the columns of a table.

    `columns`: their names; `numeric`: those that are numbers already; `wants_number`: the result is to be a number.
    """
    tokens = _significant(text)
    references = _references(tokens, columns)
    known = {name.casefold() for name in numeric}
    uses: dict[str, Use] = {r.name: "number" if r.name in known else "text" for r in references}
    links: set[tuple[str, str, bool]] = set()
    at = {r.start: r for r in references}
    ends = {r.end: r for r in references}
    for reference in references:
        use = _direct_use(tokens, reference, wants_number)
        if use != "text":
            uses[reference.name] = use
        left, right = _around(tokens, reference)
        if _key(tokens, right) in _COMPARISON and right + 1 in at:
            links.add((reference.name, at[right + 1].name, _key(tokens, right) in _ORDERING))
        if _key(tokens, left) in _COMPARISON and left in ends:
            links.add((ends[left].name, reference.name, _key(tokens, left) in _ORDERING))
    for _ in links:
        for one, other, _ordered in links:
            if uses[one] != uses[other] and "text" in (uses[one], uses[other]):
                uses[one] = uses[other] = uses[one] if uses[one] != "text" else uses[other]
    unclear = sorted({(a, b) for a, b, ordered in links if ordered and uses[a] == uses[b] == "text" and a != b})
    return Reading(uses, tuple(unclear))


def rewrite(text: str, replaced: Mapping[str, str]) -> str:
    """The expression with columns replaced (name in small letters -> SQL), casts that give null, no zero divisors."""
    tokens = _significant(text)
    words = [token.text for token in tokens]
    suffixes = [""] * len(tokens)
    for reference in _references(tokens, replaced):
        if reference.name in replaced:
            words[reference.start : reference.end] = [
                replaced[reference.name],
                *[""] * (reference.end - reference.start - 1),
            ]
    for position, token in enumerate(tokens):
        if token.key in _DIVISION:
            end = _primary_end(tokens, position + 1)
            if end is not None:
                words[position] += " nullif("
                suffixes[end - 1] = ", 0)" + suffixes[end - 1]
        elif (
            token.kind == "word" and _key(tokens, position + 1) == "(" and _key(tokens, position - 1) not in (".", "as")
        ):
            words[position], suffix = _safe_call(token.key, words[position])
            end = _matching(tokens, position + 1)
            if suffix and end is not None:
                suffixes[end] = suffix + suffixes[end]
    return " ".join(word + suffix for word, suffix in zip(words, suffixes, strict=True) if word or suffix)


def _safe_call(function: str, written: str) -> tuple[str, str]:
    """For a function that may raise, one that gives null instead, and what follows its closing bracket."""
    if function == "cast":
        return "try_cast", ""
    if function == "to_timestamp":
        return "try_to_timestamp", ""
    if function == "to_date":
        return "cast(try_to_timestamp", " as date)"
    if function in _CASTING:
        return "try_cast(", f" as {function})"
    return written, ""


def _significant(text: str) -> list[_Token]:
    found = ((match.lastgroup or "sign", match.group()) for match in _TOKEN.finditer(text))
    return [_Token(kind, value) for kind, value in found if kind != "space"]


def _references(tokens: list[_Token], columns: Collection[str]) -> list[_Reference]:
    """Columns by their first part; `address.city` is one reference when there is a column `address`."""
    known = {name.casefold() for name in columns} | {name.split(".")[0].strip("`").casefold() for name in columns}
    found = []
    position = 0
    while position < len(tokens):
        start, token = position, tokens[position]
        position += 1
        name = token.text[1:-1].replace("``", "`") if token.kind == "quoted" else token.text
        is_name = token.kind == "quoted" or (token.kind == "word" and token.key not in _KEYWORDS)
        if (
            not is_name
            or name.casefold() not in known
            or _key(tokens, start - 1) == "."
            or _key(tokens, position) == "("
        ):
            continue
        while (
            _key(tokens, position) == "."
            and position + 1 < len(tokens)
            and tokens[position + 1].kind in ("word", "quoted")
        ):
            position += 2
        written = "".join(one.text for one in tokens[start:position])
        found.append(_Reference(start, position, (name if position == start + 1 else written).casefold()))
    return found


def _direct_use(tokens: list[_Token], reference: _Reference, wants_number: bool) -> Use:
    left, right = _around(tokens, reference)
    before, after = _key(tokens, left), _key(tokens, right)
    if before in _ARITHMETIC or (after in _ARITHMETIC and _key(tokens, right + 1) != "interval"):
        return "number"
    for sign, operand, step in ((after, right + 1, 1), (before, left - 1, -1)):
        if sign in _COMPARISON:
            if _is_number(tokens, operand, step):
                return "number"
            if _key(tokens, operand) in ("true", "false"):
                return "boolean"
    if after == "not":
        right, after = right + 1, _key(tokens, right + 1)
    if after == "between" and _is_number(tokens, right + 1, 1):
        return "number"
    if after == "in" and _key(tokens, right + 1) == "(" and _is_number(tokens, right + 2, 1):
        return "number"
    if after == "is" and _key(tokens, right + 1 + (_key(tokens, right + 1) == "not")) in ("true", "false"):
        return "boolean"
    return "number" if _wanted_as_number(tokens, left, right, wants_number) else "text"


def _wanted_as_number(tokens: list[_Token], left: int, right: int, wants_number: bool) -> bool:
    """Whether the column stands alone where a number is wanted: an argument, a branch, or the whole expression."""
    before, after = _key(tokens, left), _key(tokens, right)
    if before in ("then", "else", "") and after in ("when", "else", "end", ""):
        return wants_number
    if before not in ("(", ",") or after not in (")", ","):
        return False
    opening = _opening(tokens, left + 1)
    function = _key(tokens, opening - 1)
    if function in _NUMERIC_FUNCTIONS:
        return True
    if function not in _MIXED_FUNCTIONS:
        return False
    return wants_number or any(
        _is_number(tokens, index, 1) and _key(tokens, index - 1) in ("(", ",") and _opening(tokens, index) == opening
        for index in range(opening + 1, _matching(tokens, opening) or len(tokens))
    )


def _around(tokens: list[_Token], reference: _Reference) -> tuple[int, int]:
    """Positions of the tokens beside a column, seen through brackets that hold nothing but the column."""
    left, right = reference.start - 1, reference.end
    while _key(tokens, left) == "(" and _key(tokens, right) == ")" and not _is_call(tokens, left):
        left, right = left - 1, right + 1
    return left, right


def _is_call(tokens: list[_Token], opening: int) -> bool:
    return opening > 0 and tokens[opening - 1].kind == "word" and tokens[opening - 1].key not in _KEYWORDS


def _is_number(tokens: list[_Token], position: int, step: int) -> bool:
    """A number, anything with a sign, or the start (end, when looking back) of a call that gives a number."""
    if step > 0:
        signed = _key(tokens, position) in ("+", "-")
        while _key(tokens, position) in ("+", "-", "("):
            position += 1
        if signed and position < len(tokens):
            return True
        if _key(tokens, position) in _NUMERIC_FUNCTIONS and _key(tokens, position + 1) == "(":
            return True
    elif _key(tokens, position) == ")":
        opening = _opening(tokens, position)
        return _key(tokens, opening - 1) in _NUMERIC_FUNCTIONS
    return 0 <= position < len(tokens) and tokens[position].kind == "number"


def _key(tokens: list[_Token], position: int) -> str:
    return tokens[position].key if 0 <= position < len(tokens) else ""


def _opening(tokens: list[_Token], position: int) -> int:
    """The bracket that is open at a position; -1 when none is."""
    depth = 0
    for index in range(position - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(tokens[index].text, 0)
        if depth < 0:
            return index
    return -1


def _matching(tokens: list[_Token], opening: int) -> int | None:
    depth = 0
    for index in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
    return None


def _primary_end(tokens: list[_Token], start: int) -> int | None:
    """Where the divisor that starts here ends; null for a number other than zero, and for what is not understood."""
    position = start
    while _key(tokens, position) in ("+", "-"):
        position += 1
    if position >= len(tokens):
        return None
    token = tokens[position]
    if token.kind == "number":
        return None
    if token.text == "(":
        closing = _matching(tokens, position)
        return None if closing is None else closing + 1
    if token.kind not in ("word", "quoted") or token.key in _KEYWORDS:
        return None
    position += 1
    while _key(tokens, position) == "." and position + 1 < len(tokens):
        position += 2
    if _key(tokens, position) == "(":
        closing = _matching(tokens, position)
        return None if closing is None else closing + 1
    return position
