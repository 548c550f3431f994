"""What a SQL expression of a configuration may not say: it sees one row (or one customer's lines) and gives the same every time.

No Spark here, so nothing is known of columns: the text is cut into tokens as Spark's lexer does, and what would reach
beyond the row or change from run to run is refused. A text that no quote or bracket protects may still be the exact name
of a column ("Customer reflect ID"), so only the shapes that are dangerous are refused; backticks settle a doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

__all__ = ["identifiers", "why_refused", "why_refused_aggregate"]

MAX_LENGTH = 5_000
MAX_DEPTH = 100

_REACHES_OUT = "it runs code or reads something outside of the row"
_CHANGES = "it gives something else on every run; runs must be repeatable"
_WHO_RUNS = "it depends on who runs it"
_LAYOUT = "it depends on how the rows are spread over files and partitions"
_ORDER = "it depends on the order of rows; "

REFUSED_CALLS: dict[str, str] = {
    **dict.fromkeys(
        (
            "reflect java_method try_reflect secret try_secret list_secrets read_files cloud_files remote_query "
            "vector_search python_udf sleep"
        ).split(),
        _REACHES_OUT,
    ),
    **dict.fromkeys(
        (
            "current_date curdate now current_timestamp localtimestamp current_time getdate rand random randn randstr "
            "uniform uuid shuffle"
        ).split(),
        _CHANGES,
    ),
    **dict.fromkeys(
        (
            "current_user session_user user current_catalog current_database current_schema current_metastore "
            "current_timezone is_member is_account_group_member"
        ).split(),
        _WHO_RUNS,
    ),
    **dict.fromkeys("monotonically_increasing_id spark_partition_id".split(), _LAYOUT),
}
REFUSED_PREFIXES = ("ai_", "http_")
BARE = ("current_date", "current_timestamp", "localtimestamp", "current_time", "current_user", "session_user")
"""Functions that Spark calls without brackets, unless there is a column of that name."""
ONLY_WITHOUT_ARGUMENTS = ("unix_timestamp", "to_unix_timestamp")
REFUSED_AGGREGATES: dict[str, str] = {
    **dict.fromkeys("first first_value any_value last last_value".split(), _ORDER + "use min_by or max_by"),
    **dict.fromkeys("percentile_approx approx_percentile".split(), _ORDER + "use percentile or median"),
    "mode": _ORDER + "use max_by",
}
DATE_WORDS = ("date", "timestamp", "timestamp_ltz", "timestamp_ntz")
SPECIAL_DATES = ("now", "today", "tomorrow", "yesterday")


@dataclass(frozen=True)
class Token:
    kind: str
    """word, quoted (in backticks), text (a literal), comment, open (a quote that is not closed), sign."""
    text: str
    """Words and quoted names in small letters and without backticks; literals without quotes."""


@cache
def _pattern(backslash: bool) -> re.Pattern[str]:
    escaped = r"\\." if backslash else r"\\"
    return re.compile(
        rf"""(?P<space>\s+)
          |(?P<comment>--|/\*)
          |(?P<text>'(?:[^'\\]|{escaped}|'')*'|"(?:[^"\\]|{escaped}|"")*")
          |(?P<quoted>`(?:[^`]|``)*`)
          |(?P<open>['"`].*)
          |(?P<word>\w+)
          |(?P<sign>.)""",
        re.VERBOSE | re.DOTALL,
    )


def _tokens(text: str, backslash: bool) -> list[Token]:
    found = []
    for match in _pattern(backslash).finditer(text):
        kind, value = str(match.lastgroup), match.group()
        if kind == "quoted":
            value = value[1:-1].replace("``", "`").lower()
        elif kind == "text":
            value = value[1:-1]
        elif kind == "word":
            value = value.lower()
        if kind != "space":
            found.append(Token(kind, value))
    return found


def why_refused(text: str, *, may_be_name: bool = False) -> str | None:
    """Why this expression is refused, in words; None when nothing speaks against it.

    `may_be_name`: the text may also be the exact name of a column, so that an open quote is fine ("Customer's ID").
    """
    if not text.strip():
        return "it is empty"
    if len(text) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH:,} characters"
    if any(ord(character) < 32 and character not in "\t\r\n" for character in text):
        return "it holds control characters"
    # In r'...' and with spark.sql.parser.escapedStringLiterals a backslash is only a backslash: what is a literal in one
    # reading may be code in the other, so both must pass.
    return next(filter(None, (_why(_tokens(text, backslash), may_be_name) for backslash in (True, False))), None)


def why_refused_aggregate(text: str) -> str | None:
    """Like `why_refused`, for an aggregate over the lines of a customer: nothing that depends on their order."""
    reason = why_refused(text)
    if reason is not None:
        return reason
    for token, following in _pairs(_tokens(text, backslash=True)):
        if token.kind in ("word", "quoted") and following == "(" and token.text in REFUSED_AGGREGATES:
            return f"{token.text}() is refused: {REFUSED_AGGREGATES[token.text]}"
    return None


def identifiers(text: str) -> frozenset[str]:
    """Names that an expression uses, in small letters: columns, and whatever else is a word in it."""
    return frozenset(token.text for token in _tokens(text, backslash=True) if token.kind in ("word", "quoted"))


def _pairs(tokens: list[Token]) -> list[tuple[Token, str]]:
    """Each token with the text of the sign after it, or an empty text."""
    signs = [token.text if token.kind == "sign" else "" for token in tokens[1:]] + [""]
    return list(zip(tokens, signs, strict=True))


def _why(tokens: list[Token], may_be_name: bool) -> str | None:
    for token in tokens:
        if token.kind == "comment":
            return "it holds a comment (-- or /*); put the name of a column in backticks"
        if token.text == ";" and token.kind == "sign":
            return "it holds a semicolon; put the name of a column in backticks"
        if token.kind == "open" and not may_be_name:
            return f"a quote ({token.text[0]}) is opened and not closed"
    depth = deepest = 0
    for token in tokens:
        depth += (token.kind == "sign") * ((token.text == "(") - (token.text == ")"))
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return f"its brackets are nested deeper than {MAX_DEPTH}"
    return _why_query(tokens) or _why_call(tokens) or _why_date(tokens)


def _why_query(tokens: list[Token]) -> str | None:
    """A query always stands in brackets; without any, `select` can only be part of a column's name."""
    in_brackets = False
    for position, token in enumerate(tokens):
        in_brackets = in_brackets or (token.kind == "sign" and token.text == "(")
        if in_brackets and token.kind == "word" and token.text == "select":
            return "queries (select) are refused; put the name of a column in backticks"
        opens_table = (
            token.kind == "word" and token.text == "table" and position > 0 and tokens[position - 1].text == "("
        )
        if opens_table and position + 1 < len(tokens) and tokens[position + 1].kind in ("word", "quoted"):
            return "queries (table) are refused; put the name of a column in backticks"
    return None


def _why_call(tokens: list[Token]) -> str | None:
    before = ""
    for position, (token, following) in enumerate(_pairs(tokens)):
        name = token.text
        if token.kind in ("word", "quoted") and following == "(":
            reason = REFUSED_CALLS.get(name) or (_REACHES_OUT if name.startswith(REFUSED_PREFIXES) else None)
            if name in ONLY_WITHOUT_ARGUMENTS and tokens[position + 2 : position + 3] == [Token("sign", ")")]:
                reason = _CHANGES
            if reason is not None:
                return f"{name}() is refused: {reason}"
        elif token.kind == "word" and name in BARE and before != "." and following != ".":
            return f"{name} is refused: {REFUSED_CALLS[name]}; put the name of a column in backticks"
        before = name if token.kind == "sign" else ""
    return None


def _why_date(tokens: list[Token]) -> str | None:
    for token, following in zip(tokens, tokens[1:], strict=False):
        if token.kind == "word" and token.text in DATE_WORDS and following.kind == "text":
            if following.text.strip().lower().startswith(SPECIAL_DATES):
                return f"{token.text} '{following.text.strip()[:20]}' is refused: {_CHANGES}"
    return None
