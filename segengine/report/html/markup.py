"""HTML that escapes by construction: text becomes markup only through `tag`, which escapes it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Child", "Markup", "join", "tag", "trusted"]


class Markup(str):
    """Text that is HTML already. Only this module makes it."""

    __slots__ = ()


Child: TypeAlias = str | int | Iterable["Child"] | None
"""What may be inside an element: text, a number, nothing, more elements, or many of them."""

VOID = frozenset({"br", "col", "hr", "input", "link", "meta"})


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. Text and attribute values are escaped; Markup goes in as it is; None and False leave out.

    In attribute names `_` stands for `-`, and one at the end is dropped: `class_`, `for_`, `aria_label`.
    """
    opened = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{opened}>")
    return Markup(f"<{opened}>{join(children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    shown = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {shown}"
    return f' {shown}="{html.escape(_safe(str(value)))}"'


def join(children: Child) -> Markup:
    """Children one after the other."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int)):
        return Markup(html.escape(_safe(str(children))))
    return Markup("".join(join(child) for child in children))


def _safe(text: str) -> str:
    """Text without the characters that HTML may not hold, nor the ones that turn the direction of what follows."""
    return text.translate(REPLACED)


UNSAFE = (*range(9), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
REPLACED = dict.fromkeys((*UNSAFE, *range(0xD800, 0xE000)), "\N{REPLACEMENT CHARACTER}")


def trusted(text: str) -> Markup:
    """Our own style sheet, script or escaped JSON, which elements hold as raw text; never text of a customer."""
    if "</" in text:
        raise ValueError("raw text would end its element")
    return Markup(text)
