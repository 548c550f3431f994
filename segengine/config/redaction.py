"""What looks like a secret is taken out of texts, wherever it came from. Values of `${env:NAME}` are known anyway."""

from __future__ import annotations

import re

__all__ = ["REDACTED", "without_secrets"]

REDACTED = "(redacted)"

_VALUE = r"[^\s\"'&;,<>)}\]]+"
_NAMES = (
    r"account[._-]?key|shared[._-]?access[._-]?(?:key|signature)|access[._-]?key(?:[._-]?id)?|secret[._-]?(?:access[._-]?)?key|"
    r"secret|api[._-]?key|pass(?:word|wd)|pwd|client[._-]?secret|(?:access|auth|session|refresh|id)?[._-]?token|credential|sig"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A whole private key, however its lines are broken or written.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # scheme://user:password@host
    (re.compile(r"(?i)([a-z][a-z0-9+.-]{1,30}://[^\s/:@\"']+:)[^\s/@\"']+@"), rf"\1{REDACTED}@"),
    # name=value, in URLs, connection strings and settings; the name stays, so that a reader knows what was there.
    (
        re.compile(rf"(?i)(?<![a-z0-9])((?:[a-z0-9._-]{{0,80}}[._-])?(?:{_NAMES})=)(?!\(redacted\)|\$\{{env:){_VALUE}"),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{12,}"), rf"\1 {REDACTED}"),
    # Keys that are known by their beginning: AWS, GitHub, Slack, Databricks; and tokens of three parts (JWT).
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|xox[abprs]-[A-Za-z0-9-]{10,}|dapi[0-9a-f]{32})\b"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), REDACTED),
)


def without_secrets(text: str) -> str:
    """The text with everything in the shape of a secret replaced; what names it stays."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text
