"""The pages of the report: which visuals each has, and which are left out because the model lacks what they show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from segengine.report.powerbi import page_contents
from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.model import Model
from segengine.report.powerbi.page_contents import Builder, Drawn
from segengine.report.powerbi.page_quality import quality
from segengine.report.powerbi.visuals import Box, Ref, Visual

__all__ = ["HEIGHT", "WIDTH", "Page", "pages_of"]

WIDTH, HEIGHT = 1280, 720
MARGIN, GAP = 16, 12
TOP = 92
"""Where the contents of a page begin, below its title, its state and its slicers."""
PHONE = 324


@dataclass(frozen=True)
class Page:
    """A page; `drill` are the columns that lead to it from other pages."""

    id: str
    title: str
    visuals: tuple[Visual, ...]
    drill: tuple[Ref, ...] = ()


def pages_of(model: Model, options: Options, logo: str | None = None) -> tuple[tuple[Page, ...], list[tuple[str, str]]]:
    """The pages that the model supports, in order, and what was left out with the reason."""
    builder = Builder(model, [])
    draw: list[tuple[str, str, Callable[[Builder, Options], Drawn]]] = [
        ("overview", "Overview", page_contents.overview),
        ("profiles", "Segment profiles", page_contents.profiles),
        ("moves", "Moves", page_contents.moves),
        ("drivers", "Drivers", page_contents.drivers),
        ("quality", "Model and data quality", quality),
    ]
    made = []
    for id, title, rows_of in draw:
        rows = [[v for v in row if v is not None] for row in rows_of(builder, options)]
        rows = [row for row in rows if row]
        if not rows or (id == "moves" and model.table_of("moves") is None):
            builder.left_out.append((f"page {title}", "nothing of it can be shown"))
            continue
        made.append(Page(id, title, (*_head(builder, id, title, logo), *_laid_out(rows, id == "overview"))))
    customer = _customer_page(builder, logo)
    if customer is None:
        builder.left_out.append(("page Customer", "the model holds totals only"))
    else:
        made.append(customer)
    return tuple(made), builder.left_out


def _head(b: Builder, page: str, title: str, logo: str | None) -> list[Visual]:
    """Title, state and slicers, the same on every page."""
    left = MARGIN
    head = []
    if logo is not None:
        head.append(Visual("logo", "image", "Logo", "Logo", Box(left, 12, 64, 64), image=logo))
        left += 64 + GAP
    head.append(
        Visual("title", "textbox", title, f"Title of the page: {title}", Box(left, 12, 330 - left, 64), text=title)
    )
    state = b.visual(
        "state",
        "cardVisual",
        "Data as of",
        "The day the data looks back from, with a warning when it is stale",
        ("Data", (b.measure("Data as of"),)),
    )
    same = b.visual(
        "publication",
        "cardVisual",
        "Publication",
        "Whether all tables are of one publication",
        ("Data", (b.measure("Publication"),)),
    )
    head += [v.at(Box(x, 8, 268, 76)) for v, x in ((state, 342), (same, 622)) if v is not None]
    if page == "overview":
        head = [_on_phone(v) for v in head]
    slicers = [("segment", "Segment", "segments", "name"), ("group", "Group", "segments", "group_name")]
    x = 902
    for id, label, source, column in slicers:
        ref = b.column(source, column)
        if ref is None or page == "customer":
            continue
        width = 180 if b.column("segments", "group_name") is not None else 362
        head.append(
            Visual(
                f"slicer {id}",
                "slicer",
                label,
                f"Choose {label.lower()}s; the choice holds on all pages",
                Box(x, 8, width, 76),
                (("Values", (ref,)),),
                sync=f"{id}s",
            )
        )
        x += width + 2
    return head


def _on_phone(visual: Visual) -> Visual:
    places = {"title": Box(0, 0, PHONE, 48), "state": Box(0, 52, PHONE, 76), "publication": Box(0, 132, PHONE, 76)}
    return visual.at(visual.box, places[visual.id]) if visual.id in places else visual


def _laid_out(rows: list[list[Visual]], phone: bool) -> list[Visual]:
    """Rows of equal height (rows of cards are low), visuals of a row of equal width."""
    low, room = 104, HEIGHT - TOP - MARGIN
    cards = [all(v.kind == "cardVisual" for v in row) for row in rows]
    rest = room - GAP * (len(rows) - 1) - low * sum(cards)
    high = rest // max(1, len(rows) - sum(cards))
    made: list[Visual] = []
    y, below = TOP, 212
    for row, is_low in zip(rows, cards, strict=True):
        height = low if is_low else high
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) // len(row)
        for place, visual in enumerate(row):
            small = None
            if phone:
                small = Box(0, below, PHONE, 130 if is_low else 240)
                below += small.height + 4
            made.append(visual.at(Box(MARGIN + place * (width + GAP), y, width, height), small))
        y += height + GAP
    return made


def _customer_page(b: Builder, logo: str | None) -> Page | None:
    """The page that a customer or a segment drills through to."""
    id, segment = b.column("customers", "customer_id"), b.column("segments", "name")
    if id is None or segment is None:
        return None
    customers = b.model.named("Customers")
    shown = tuple(Ref("Customers", f.name, False) for f in customers.fields if not f.hidden)[:14]
    numbers = tuple(b.measure(n) for n in ("Revenue", "Orders", "Average Order Value", "Recency Days"))
    rows = [
        [
            b.visual(
                "numbers",
                "cardVisual",
                "The customers chosen",
                "The main numbers of the customers drilled into",
                ("Data", (b.measure("Customers"), *numbers)),
            )
        ],
        [
            b.visual(
                "customers",
                "tableEx",
                "Customers",
                "Table: the customers drilled into, one a row",
                (
                    "Values",
                    (
                        *shown,
                        segment,
                        b.column("assignments", "lane"),
                        b.column("assignments", "assigned_by"),
                        *numbers,
                    ),
                ),
            )
        ],
    ]
    kept = [[v for v in row if v is not None] for row in rows]
    visuals = (*_head(b, "customer", "Customer", logo), *_laid_out([row for row in kept if row], False))
    return Page("customer", "Customer", visuals, drill=(segment, id))
