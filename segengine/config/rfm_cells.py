"""Named cells of an RFM grid: how they are written, and the proof that every code has exactly one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from segengine.config.part import Wrong

__all__ = ["DEFAULT_CELLS", "Code", "codes_of", "level_scores", "wrong_cells"]

Code = tuple[int, int, int]
"""Scores of recency, frequency and money, each from 1 (worst) to the number of bins (best)."""

DEFAULT_CELLS: Mapping[str, str] = {
    "Champions": "r=high f=high m=high",
    "Loyal": "r=high f=high m=low/mid, r=mid f=high",
    "Promising": "r=high f=mid",
    "New or occasional": "r=high f=low",
    "Need attention": "r=mid f=mid",
    "About to sleep": "r=mid f=low",
    "Cannot lose": "r=low f=high m=high",
    "At risk": "r=low f=high m=low/mid, r=low f=mid",
    "Lost": "r=low f=low",
}
"""Names in common use, over levels, so that they hold for any number of bins."""

SHOWN = 12
PART = re.compile(r"([rfm])=(\S+)")
RANGE = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?")
HOW = "Write for example r=4-5 f=high m=low/mid, several with commas between them, or codes such as 445 454."


def level_scores(bins: int) -> dict[str, range]:
    """The scores that low, mid and high stand for: two fifths at either end, and what is left between them."""
    end = max(1, bins * 2 // 5)
    return {
        "low": range(1, end + 1),
        "mid": range(end + 1, bins - end + 1),
        "high": range(bins - end + 1, bins + 1),
        "any": range(1, bins + 1),
    }


def codes_of(text: str, bins: int) -> frozenset[Code]:
    """The codes that a cell covers. ValueError, whose text goes on after the cell's name, for what is no cell."""
    codes: set[Code] = set()
    for choice in text.split(","):
        words = choice.split()
        if words and all(re.fullmatch(r"[1-9]{3}", word) for word in words):
            codes |= {_code(word, bins) for word in words}
        else:
            codes |= set(itertools.product(*_parts(words, bins)))
    return frozenset(codes)


def _code(word: str, bins: int) -> Code:
    recency, frequency, money = (int(digit) for digit in word)
    if max(recency, frequency, money) > bins:
        raise ValueError(f"has a score above {bins}, the number of bins")
    return recency, frequency, money


def _parts(words: list[str], bins: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for word in words:
        match = PART.fullmatch(word)
        if match is None or match[1] in found:
            raise ValueError("is not written as r=..., f=... and m=..., each at most once")
        found[match[1]] = tuple(sorted(_scores(match[2], bins)))
    if not found:
        raise ValueError("has a part that is empty")
    every = tuple(range(1, bins + 1))
    return found.get("r", every), found.get("f", every), found.get("m", every)


def _scores(text: str, bins: int) -> set[int]:
    levels, scores = level_scores(bins), set[int]()
    for choice in text.split("/"):
        match = RANGE.fullmatch(choice)
        if choice in levels:
            scores |= set(levels[choice])
        elif match is None:
            raise ValueError("has scores that are neither numbers such as 4-5 nor low, mid, high or any")
        else:
            first, last = int(match[1]), int(match[2] or match[1])
            if not 1 <= first <= last <= bins:
                raise ValueError(f"has scores that are not from 1 to {bins}, the smaller first")
            scores |= set(range(first, last + 1))
    return scores


def wrong_cells(cells: Mapping[str, str], bins: int) -> Iterator[Wrong]:
    """What is wrong with the cells of a grid: each code has to be in one of them, and in no other."""
    scores = range(1, bins + 1)
    owners: dict[Code, list[str]] = {code: [] for code in itertools.product(scores, scores, scores)}
    readable = True
    for name, text in cells.items():
        try:
            for code in codes_of(text, bins):
                owners[code].append(name)
        except ValueError as error:
            readable = False
            yield Wrong(("cells", name), str(error), HOW)
    if not readable:
        return
    without = [code for code, names in owners.items() if not names]
    if without:
        what = f"leave {len(without)} of {bins**3} codes without a name: {_listed(without, bins)}"
        yield Wrong(("cells",), what, "A customer may have any code: name them all; there is no rest that takes them.")
    twice = {code: names for code, names in owners.items() if len(names) > 1}
    if twice:
        code, names = next(iter(twice.items()))
        what = f"name {len(twice)} of {bins**3} codes more than once: {_listed(list(twice), bins)}"
        yield Wrong(("cells",), what, f"{_text(code, bins)} is in {' and in '.join(names)}, say: keep one.")


def _listed(codes: list[Code], bins: int) -> str:
    shown = ", ".join(_text(code, bins) for code in codes[:SHOWN])
    return shown if len(codes) <= SHOWN else f"{shown} and {len(codes) - SHOWN} more"


def _text(code: Code, bins: int) -> str:
    return ("" if bins <= 9 else "-").join(map(str, code))
