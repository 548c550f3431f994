"""How well a column's name fits a role: names of any style and language become words, and are looked up."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from segengine.propose.lexicon import CURRENCIES, PERSONAL, PROTECTED, ROLES, Words

__all__ = ["currency_in", "denied", "is_personal", "name_score", "protected_as", "speaks_of", "words_of"]

SHORTEST_PART = 4
"""Letters a word needs before it counts as part of a longer one: `kunde` in `kundennr`, but not `no` in `note`."""


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in small letters and without accents: `InvoiceNo`, `invoice_no` and `Invoice No` are two."""
    spaced = re.sub(r"(?<=[a-z0-9à-ÿ])(?=[A-ZÀ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])", " ", unicodedata.normalize("NFKC", name))
    return tuple(word for word in re.split(r"[\W_]+", _plain(spaced)) if word)


def name_score(role: str, name: str) -> float:
    """0 to 1: how well the name fits a role of `lexicon.ROLES`; 0 when it says that it is something else."""
    words = words_of(name)
    lexicon = ROLES[role]
    if not words or denied(role, name):
        return 0.0
    if _is(lexicon.what, words) or _starts(lexicon.what, words) or _ends(lexicon.what, words):
        if not lexicon.form or _is(lexicon.form, words) or _starts(lexicon.form, words) or _closes(lexicon, words):
            return lexicon.formed
        return lexicon.alone
    return 0.5 if _is(lexicon.weak, words) else 0.0


def denied(role: str, name: str) -> bool:
    """Whether a name says that the column is something else: `birth_date` is no time of an order."""
    words = words_of(name)
    never = ROLES[role].never
    return _is(never, words) or _ends(never, words) or _starts(never, words, least=6)


def speaks_of(known: tuple[str, ...], text: str) -> bool:
    """Whether a value, such as a status, has one of the words in it."""
    words = words_of(text)
    return _is(known, words) or _starts(known, words)


def protected_as(name: str) -> str | None:
    """Which protected characteristic a column's name speaks of; None for none."""
    words = words_of(name)
    if "name" in words or (words and words[0] in ("product", "last", "first")):
        return None
    return next(
        (what for what, known in PROTECTED.items() if _is(known, words) or _starts(known, words, least=5)), None
    )


def is_personal(name: str) -> bool:
    """Whether a column's name says that it points at one person: a name, an address, a telephone number."""
    words = words_of(name)
    return _is(PERSONAL, words) or _starts(PERSONAL, words, least=5) or _ends(PERSONAL, words, least=5)


def currency_in(text: str) -> str | None:
    """The ISO 4217 code that a name or a value speaks of; None when there is none, or more than one."""
    found = {CURRENCIES[word] for word in words_of(text) if word in CURRENCIES}
    found |= {CURRENCIES[character] for character in text if character in CURRENCIES}
    return found.pop() if len(found) == 1 else None


def _closes(lexicon: Words, words: tuple[str, ...]) -> bool:
    """Whether one word is both, as in `kundennr`: what it is about at its start, the form at its end."""
    starts = [known for known in _plains(lexicon.what) if _may_be_part(known, SHORTEST_PART)]
    return any(
        word.startswith(start) and word[len(start) :].endswith(end)
        for word in words
        for start in starts
        for end in _plains(lexicon.form)
    )


def _is(known: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether a known word is one of the words, or two or three neighbours joined: `opt_out` is `optout`."""
    runs = {"".join(words[at : at + length]) for at in range(len(words)) for length in (1, 2, 3)}
    return any(each.replace(" ", "").replace("_", "") in runs for each in _plains(known))


def _starts(known: tuple[str, ...], words: tuple[str, ...], *, least: int = SHORTEST_PART) -> bool:
    """Whether a longer word starts with a known one."""
    return any(word.startswith(each) for each in _plains(known) if _may_be_part(each, least) for word in words)


def _ends(known: tuple[str, ...], words: tuple[str, ...], *, least: int = SHORTEST_PART) -> bool:
    """Whether a longer word ends with a known one."""
    return any(word.endswith(each) for each in _plains(known) if _may_be_part(each, least) for word in words)


def _may_be_part(known: str, least: int) -> bool:
    """Whether a word is long enough to be found inside of another; in other scripts one character says much."""
    return len(known) >= least or not known.isascii()


@cache
def _plains(known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_plain(word) for word in known)


def _plain(text: str) -> str:
    """Small letters without accents; German umlauts written out stay as they are."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in split if not unicodedata.combining(character))
