"""Text that a spreadsheet could take for a formula, made harmless for CSV; what is harmless stays as it is.

A cell that starts with = + - @ (their wide forms too), with or without blanks before it, or with a tab or a line break,
gets an apostrophe in front, as OWASP says (CSV Injection). So does what follows a separator or a line break inside the
text: a spreadsheet of another language splits cells there. Plain numbers, such as -5 or +49 171 555, have no operator
but their sign, and stay.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["neutral", "neutral_text"]

# Patterns of RE2, which knows no look-ahead.
_TRIGGER = r"[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_BEFORE = r"[\x00-\x08\x0B\x0C\x0E-\x20\x{00A0}\x{200B}-\x{200F}\x{FEFF}\"]*"
"""What a spreadsheet may swallow before it looks at a cell; tabs and line breaks are separators."""
_AT_START = f"^({_BEFORE}{_TRIGGER}|[\\t\\r\\n])"
_INSIDE = f"([,;|\\t\\r\\n])({_BEFORE}{_TRIGGER})"
_NUMBER = r"^[+-]?[0-9]+([. \x{00A0}][0-9]+)*$"


def neutral(texts: pa.Array) -> pa.Array:
    """An array of strings in which nothing is a formula; nulls stay."""
    safe = pc.replace_substring_regex(texts, pattern=_INSIDE, replacement=r"\1'\2")
    safe = pc.replace_substring_regex(safe, pattern=_AT_START, replacement=r"'\1")
    return pc.if_else(pc.match_substring_regex(texts, pattern=_NUMBER), texts, safe)


def neutral_text(text: str) -> str:
    """The same of one text."""
    return str(neutral(pa.array([text], pa.string()))[0].as_py())
