"""Sections about the segments as they are: what to do now, profile, sizes and revenue."""

from __future__ import annotations

from collections.abc import Sequence

from segengine.report.html import words
from segengine.report.html.charts import bar, left, right, table
from segengine.report.html.markup import Child, Markup, tag
from segengine.report.html.section import Section, chip, colour, named, note
from segengine.report.published import Facts, Profile, Segment

__all__ = ["act", "grouped", "profile", "sizes"]

TELLING = 3
"""Differences that a segment's card tells of."""
FAMILIES = ("rfm", "basket", "tenure", "rhythm", "trend")
"""In the order of the heat map; others follow."""
MOST_AT_ONCE = 12
"""Segments in one heat map; more are shown group by group, folded."""


def grouped(facts: Facts) -> list[tuple[str | None, list[Segment]]]:
    """The segments by group, in order; one group without a name where there are none."""
    groups: dict[str | None, list[Segment]] = {}
    for segment in facts.segments:
        groups.setdefault(segment.group_name, []).append(segment)
    return list(groups.items())


def _by_group(facts: Facts, draw: Sequence[tuple[str | None, Markup]]) -> tuple[Markup, ...]:
    """One drawing for each group: as it is where there is one, else folded but for the first."""
    if len(draw) == 1:
        return (draw[0][1],)
    return tuple(
        tag("details", tag("summary", f"{name} ({len(segments)} segments)"), inside, open=place == 0)
        for place, ((name, inside), (_, segments)) in enumerate(zip(draw, grouped(facts), strict=True))
    )


def act(facts: Facts) -> Section:
    """What to do now: a card for each segment."""
    cards = [(name, tag("div", [_card(facts, s) for s in own], class_="cards")) for name, own in grouped(facts)]
    lead = "Each customer is in one segment. What sets a segment apart is told against the average of all customers."
    return Section("act", "What to do now", (note(lead), *_by_group(facts, cards)))


def _card(facts: Facts, segment: Segment) -> Markup:
    facts_line = [f"{words.count(segment.customers)} customers, {words.percent(segment.share)}"]
    if segment.revenue is not None:
        facts_line.append(f"{words.money(segment.revenue, facts)}, {words.percent(segment.revenue_share)} of revenue")
    title = tag("h3", chip(segment), tag("span", segment.name), tag("span", segment.segment_id, class_="id"))
    parts: list[Child] = [title, tag("p", tag("strong", facts_line[0]), [f"; {more}" for more in facts_line[1:]])]
    if segment.warning:
        parts.append(tag("p", segment.warning, class_="warning"))
    if segment.action:
        parts.append(tag("p", tag("strong", "Do now: "), segment.action, class_="action"))
    if segment.description:
        parts.append(tag("p", segment.description))
    differences = _telling(facts, segment)
    if differences:
        parts.append(tag("ul", [tag("li", words.spoken(profile, facts)) for profile in differences]))
    elif not segment.description:
        parts.append(tag("p", "Nothing sets its averages clearly apart."))
    if segment.rule:
        parts.append(tag("p", "Rule: ", tag("code", segment.rule), _how_sure(segment), class_="rule"))
    return tag("article", parts, class_=f"card {colour(segment)}")


def _how_sure(segment: Segment) -> str:
    if segment.rule_precision is None or segment.rule_coverage is None:
        return ""
    sure, covers = words.percent(segment.rule_precision, 0), words.percent(segment.rule_coverage, 0)
    return f": right for {sure} of those it picks, finds {covers} of the segment"


def _telling(facts: Facts, segment: Segment) -> list[Profile]:
    own = [p for p in facts.profiles if p.segment_key == segment.segment_key and p.z is not None and words.level(p.z)]
    return sorted(own, key=lambda p: (-abs(p.z or 0.0), p.feature))[:TELLING]


def profile(facts: Facts) -> Section | None:
    """The heat map of medians in original units, with words and signs beside the colour."""
    if not any(p.median is not None for p in facts.profiles):
        return None
    maps = [(name, _heat_map(facts, own)) for name, own in grouped(facts)]
    lead = (
        "The median of each segment in the feature's own unit. Colour, sign and word say how far the segment's mean is "
        "from the mean of all customers: somewhat from a quarter of a standard deviation on, much from three quarters, "
        "far from one and a half."
    )
    return Section("profile", "Profile", (note(lead), *_by_group(facts, maps)))


def _heat_map(facts: Facts, segments: Sequence[Segment]) -> Markup:
    cells = {(p.segment_key, p.feature): p for p in facts.profiles}
    known = {(p.feature, p.family, p.unit) for p in facts.profiles if p.median is not None}
    features = sorted(known, key=lambda f: (FAMILIES.index(f[1]) if f[1] in FAMILIES else len(FAMILIES), f[1], f[0]))
    shown = segments[:MOST_AT_ONCE] if len(grouped(facts)) == 1 else segments
    head = tag("tr", tag("th", "Feature", scope="col"), [tag("th", named(s), scope="col") for s in shown])
    body, family_before = [], ""
    for feature, family, unit in features:
        if family != family_before:
            label = family.replace("_", " ")
            body.append(tag("tr", tag("th", label, scope="rowgroup", colspan=len(shown) + 1, class_="family")))
            family_before = family
        row = [_heat_cell(cells.get((segment.segment_key, feature)), unit) for segment in shown]
        body.append(tag("tr", tag("th", words.feature_label(feature), _unit(unit, facts), scope="row"), row))
    caption = "Median by segment and feature"
    inside = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body), class_="heat")
    return tag("div", inside, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _unit(unit: str, facts: Facts) -> Markup | None:
    shown = words.shown_unit(unit, facts)
    return tag("small", shown) if shown else None


def _heat_cell(found: Profile | None, unit: str) -> Markup:
    if found is None or found.median is None:
        return tag("td", words.ABSENT)
    level = words.level(found.z)
    kind = f"{'up' if level > 0 else 'down'}{abs(level)}" if level else "even"
    word = tag("small", tag("span", words.sign(found.z), aria_hidden="true"), f" {words.reading(found.z)}")
    return tag("td", words.bare(found.median, unit), word, class_=kind)


def sizes(facts: Facts) -> Section:
    """How many customers and how much money each segment has."""
    columns = [*left("Segment"), *right("Customers"), *left("Share")]
    if facts.has_money:
        columns += [*right(f"Revenue, {facts.currency}"), *left("Revenue share"), *right("Per customer", "Per order")]
    columns += right("Outliers")
    latest = {kpi.segment_key: kpi for kpi in facts.kpis if kpi.as_of == facts.as_of}
    rows: list[list[Child]] = []
    for segment in facts.segments:
        row: list[Child] = [named(segment), words.count(segment.customers), _share(segment.share, segment)]
        if facts.has_money:
            kpi = latest.get(segment.segment_key)
            row += [
                words.money_number(segment.revenue, facts),
                _share(segment.revenue_share, segment),
                words.money_number(kpi.revenue_per_customer if kpi else None, facts),
                words.money_number(segment.average_order_value, facts),
            ]
        rows.append([*row, words.count(segment.outliers)])
    stacks = [_stack("Customers", [(s, s.share) for s in facts.segments])]
    if facts.has_money:
        stacks.append(_stack("Revenue", [(s, s.revenue_share or 0.0) for s in facts.segments]))
    body = (tag("div", stacks, class_="stacks"), table("Sizes and revenue", columns, rows))
    title = "Sizes and revenue" if facts.has_money else "Sizes"
    return Section("sizes", title, body)


def _share(share: float | None, segment: Segment) -> Markup:
    return tag("span", bar(share, colour(segment)), words.percent(share), class_="with-bar")


def _stack(title: str, shares: Sequence[tuple[Segment, float]]) -> Markup:
    told = ", ".join(f"{segment.name} {words.percent(share)}" for segment, share in shares[:MOST_AT_ONCE])
    pieces = [
        tag("i", class_=colour(segment), style=f"flex:{max(share, 0.0):.4f}", title=f"{segment.name}: {share:.1%}")
        for segment, share in shares
    ]
    label = tag("span", title, class_="stack-name")
    return tag("div", label, tag("div", pieces, class_="stack", role="img", aria_label=f"{title}: {told}"))
