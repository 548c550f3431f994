"""What a SQL expression of a configuration may not say: it sees one row, or one customer's lines, and is repeatable.

No Spark here, so nothing is known of columns: the text is cut into tokens as Spark's lexer does, and what would reach
beyond the row or change from run to run is refused. A text may also be the exact name of a column, such as
`Customer reflect ID`, so only shapes that are dangerous are refused, and backticks settle a doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

__all__ = [
    "AGGREGATES",
    "CALLS",
    "PREFIXES",
    "identifiers",
    "why_refused",
    "why_refused_aggregate",
    "why_refused_foreign_query",
    "why_refused_query",
]

MAX_LENGTH = 5_000
MAX_DEPTH = 100

_REACHES_OUT = "it runs code or reads something outside of the row"

CALLS: dict[str, str] = {
    _REACHES_OUT: "reflect java_method try_reflect identifier python_udf secret try_secret list_secrets read_files "
    "cloud_files remote_query vector_search sleep",
    "it gives something else on every run, and runs are repeatable": "current_date curdate now current_timestamp "
    "localtimestamp current_time getdate rand random randn randstr uniform uuid shuffle",
    "it depends on who runs it, and where": "current_user session_user user current_catalog current_database "
    "current_schema current_metastore current_path current_timezone is_member is_account_group_member version",
    "it depends on how rows are spread over partitions": "monotonically_increasing_id spark_partition_id",
}
"""Why -> functions that are refused everywhere."""
PREFIXES = ("ai_", "http_")
"""Functions whose names start so are refused like reflect: they call services."""
AGGREGATES: dict[str, str] = {
    "it depends on the order of rows; use min_by or max_by": "first first_value any_value last last_value mode",
    "it depends on how rows are spread over partitions; use percentile": "percentile_approx approx_percentile",
}
"""Why -> functions that are refused in custom features besides."""
ONLY_WITHOUT_ARGUMENTS = ("unix_timestamp", "to_unix_timestamp")
BARE = ("current_date", "current_timestamp", "localtimestamp", "current_time", "current_user", "session_user")
"""Functions that Spark calls without brackets too, unless there is a column of that name."""
DATE_WORDS = ("date", "timestamp", "timestamp_ltz", "timestamp_ntz", "time")
DATE_CALLS = (*DATE_WORDS, "to_date", "to_timestamp", "to_timestamp_ltz", "to_timestamp_ntz", "to_time")
SPECIAL_DATES = ("now", "today", "tomorrow", "yesterday")
"""Literals that Spark takes for moments of the run when it makes dates of them."""

CHANGING = ("insert", "update", "delete", "merge")
"""Statements that may follow the WITH of a query."""
FILE_FORMATS = ("avro", "binaryfile", "csv", "delta", "json", "orc", "parquet", "text", "xml")
"""What Spark takes for a way to read files when a path follows: parquet.`/data/x`."""

_WHY_CALL = {name: why for why, names in CALLS.items() for name in names.split()}
_WHY_AGGREGATE = {name: why for why, names in AGGREGATES.items() for name in names.split()}
_BACKTICKS = "put the name of a column in backticks"


@dataclass(frozen=True)
class Token:
    """`text`: words and names in small letters and without backticks; literals without their quotes."""

    kind: str
    """word, quoted (in backticks), text (a literal), comment, open (a quote that is not closed), or sign."""
    text: str

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")


_END = Token("end", "")


def why_refused(text: str, *, may_be_name: bool = False) -> str | None:
    """Why this expression is refused, in words that hold no value of it; None when nothing speaks against it.

    `may_be_name`: the text may also be the exact name of a column, so that an open quote is fine: Customer's ID.
    """
    if not text.strip():
        return "it is empty"
    if len(text) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH:,} characters"
    if any(ord(character) < 32 and character not in "\t\r\n" for character in text):
        return "it holds control characters"
    # In r'...', and with spark.sql.parser.escapedStringLiterals, a backslash is only a backslash: what is a literal in
    # one reading may be code in the other, so both must pass.
    return next(filter(None, (_why(_tokens(text, escapes), may_be_name) for escapes in (True, False))), None)


def why_refused_aggregate(text: str) -> str | None:
    """Like `why_refused`, for an aggregate over the lines of a customer: nothing that depends on their order."""
    return why_refused(text) or _why_aggregate(_tokens(text, escapes=True))


def why_refused_query(text: str) -> str | None:
    """Why this query over tables of the catalog is refused: anything but one SELECT that gives the same on every run.

    Subqueries and WITH are fine; comments, files (parquet.`path`), scripts, samples and statements that write are not.
    """
    if "${" in text:
        return "it holds ${, which Spark would replace"
    return why_refused_foreign_query(text) or next(
        filter(None, (_why_in_query(_tokens(text, escapes)) for escapes in (True, False))), None
    )


def why_refused_foreign_query(text: str) -> str | None:
    """Why this query in a database's own SQL is refused; what its functions do is not known here."""
    if not text.strip():
        return "it is empty"
    if len(text) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH:,} characters"
    tokens = _tokens(text, escapes=False)
    first = next((token for token in tokens if token != Token("sign", "(")), _END)
    if first not in (Token("word", "select"), Token("word", "with")):
        return "it does not begin with SELECT or WITH"
    if any(token.kind == "comment" or token == Token("sign", ";") for token in tokens):
        return "it holds a comment or a semicolon; it must be one SELECT"
    before = _END
    for token in tokens:
        if token.kind == "word" and token.text in CHANGING and before != Token("sign", "."):
            return f"it holds {token.text.upper()}, and a source is only read; put the name of a column in quotes"
        before = token
    return None


def identifiers(text: str) -> frozenset[str]:
    """Names that an expression uses, in small letters: columns, and whatever else is a word in it."""
    return frozenset(token.text for token in _tokens(text, escapes=True) if token.is_name)


@cache
def _pattern(escapes: bool) -> re.Pattern[str]:
    backslash = r"\\." if escapes else r"\\"
    return re.compile(
        rf"""(?P<space>\s+)
          |(?P<comment>--|/\*)
          |(?P<text>'(?:[^'\\]|{backslash}|'')*'|"(?:[^"\\]|{backslash}|"")*")
          |(?P<quoted>`(?:[^`]|``)*`)
          |(?P<open>['"`].*)
          |(?P<word>\w+)
          |(?P<sign>.)""",
        re.VERBOSE | re.DOTALL,
    )


def _tokens(text: str, escapes: bool) -> list[Token]:
    """The tokens but for blanks. `escapes`: whether a backslash protects the character after it in a literal."""
    found = []
    for match in _pattern(escapes).finditer(text):
        kind, value = str(match.lastgroup), match.group()
        if kind == "quoted":
            value = value[1:-1].replace("``", "`").lower()
        elif kind == "text":
            value = value[1:-1]
        elif kind == "word":
            value = value.lower()
        if kind != "space":
            found.append(Token(kind, value))
    return [*found, _END]


def _why(tokens: list[Token], may_be_name: bool) -> str | None:
    depth = deepest = 0
    for token in tokens:
        if token.kind == "comment":
            return f"it holds a comment (-- or /*); {_BACKTICKS}"
        if token == Token("sign", ";"):
            return f"it holds a semicolon; {_BACKTICKS}"
        if token.kind == "open" and not may_be_name:
            return f"a quote ({token.text[0]}) is opened and not closed"
        depth += (token == Token("sign", "(")) - (token == Token("sign", ")"))
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return f"its brackets are nested deeper than {MAX_DEPTH}"
    return _why_query(tokens) or _why_call(tokens) or _why_date(tokens)


def _why_aggregate(tokens: list[Token]) -> str | None:
    for token, following in pairwise(tokens):
        if token.is_name and following == Token("sign", "(") and token.text in _WHY_AGGREGATE:
            return f"{token.text}() is refused: {_WHY_AGGREGATE[token.text]}"
    return None


def _why_in_query(tokens: list[Token]) -> str | None:
    if any(token.kind == "open" for token in tokens):
        return "a quote is opened and not closed"
    for position, (token, following) in enumerate(pairwise(tokens)):
        if token == Token("word", "using") and following.kind == "text":
            return f"it runs a script (USING): {_REACHES_OUT}"
        if token == Token("word", "tablesample"):
            return f"TABLESAMPLE is refused: {_WHY_CALL['rand']}"
        if token.is_name and token.text in FILE_FORMATS and following == Token("sign", "."):
            after = tokens[position + 2]
            if after.kind == "quoted" and set(after.text) & {"/", ":"}:
                return "it reads files by their path; use path and format, or a table of the catalog"
    return _why_call(tokens) or _why_aggregate(tokens) or _why_date(tokens)


def _why_query(tokens: list[Token]) -> str | None:
    """A query always stands in brackets; without any, `select` can only be part of a column's name."""
    in_brackets = False
    before = _END
    for token, following in pairwise(tokens):
        in_brackets = in_brackets or token == Token("sign", "(")
        if in_brackets and token == Token("word", "select"):
            return f"it holds a query (select); {_BACKTICKS}"
        if token == Token("word", "table") and before == Token("sign", "(") and following.is_name:
            return f"it holds a query (table); {_BACKTICKS}"
        before = token
    return None


def _why_call(tokens: list[Token]) -> str | None:
    before = _END
    for position, (token, following) in enumerate(pairwise(tokens)):
        name = token.text
        if token.is_name and following == Token("sign", "("):
            reason = _WHY_CALL.get(name) or (_REACHES_OUT if name.startswith(PREFIXES) else None)
            if name in ONLY_WITHOUT_ARGUMENTS and tokens[position + 2] == Token("sign", ")"):
                reason = _WHY_CALL["now"]
            if reason is not None:
                return f"{name if name in _WHY_CALL else 'this function'}() is refused: {reason}"
        elif token.kind == "word" and name in BARE and Token("sign", ".") not in (before, following):
            return f"{name} is refused: {_WHY_CALL[name]}; {_BACKTICKS}"
        before = token
    return None


def _why_date(tokens: list[Token]) -> str | None:
    """`date 'now'`, `cast('now' as date)`, `'now'::date` and `to_date('now')` change from run to run."""
    reason = f"date 'now' and the like are refused: {_WHY_CALL['now']}"
    plain = [token for token, following in pairwise(tokens) if not (token.text == "r" and following.kind == "text")]
    names = ["", "", *(token.text if token.kind != "text" else "" for token in plain), "", ""]
    for position, token in enumerate(plain):
        if token.kind != "text":
            continue
        value = token.text.replace("\\", "").strip().lower()
        before, at, after, then = names[position], names[position + 1], names[position + 3], names[position + 4]
        if at in DATE_WORDS and value[:1] not in "+-0123456789":
            return reason
        made_date = (at == "(" and before.removeprefix("try_") in DATE_CALLS) or (after == "as" and then in DATE_WORDS)
        if value in SPECIAL_DATES and (made_date or after == then == ":"):
            return reason
    return None
