"""Sections about the model: how k was chosen, stability, does it predict, model card."""

from __future__ import annotations

from collections.abc import Sequence

from segengine.report.bundle import ModelFacts
from segengine.report.html import words
from segengine.report.html.charts import Interval, Point, bar, candidates, intervals, left, nice_top, right, table
from segengine.report.html.markup import Child, Markup, tag
from segengine.report.html.section import Section, colour, named, note
from segengine.report.published import Candidate, Facts, Predicted

__all__ = ["card", "chosen", "predicts", "stability"]

VERDICTS = {
    "passed": "passed",
    "warned": "warning",
    "refused": "refused",
    "not_judged": "not judged",
    "chosen": "chosen",
}
METHODS = {"segments": "Segments", "rfm_grid": "RFM grid", "raw_rfm_kmeans": "k-means, raw RFM"}


def chosen(facts: Facts, model: ModelFacts | None) -> Section | None:
    """Every number of segments that was tried, and why it was taken or not."""
    sentence = note(facts.model.decision)
    tried = facts.candidates or _from_bundle(model)
    groups = (model.grouping or {}).get("groups", []) if model else []
    if groups:
        return Section("k", "How many segments", (sentence, _by_group(groups, model)))
    if not tried:
        return None
    points = [Point(c.k, c.macro_silhouette, c.verdict) for c in tried if c.macro_silhouette is not None]
    parts: list[Markup] = [sentence]
    if points:
        label = "Macro silhouette by number of segments; " + "; ".join(f"k {p.x}: {p.y:.3f}" for p in points)
        legend = "Macro silhouette by number of segments. Large: chosen; filled: passed; hollow: refused."
        parts.append(tag("figure", tag("figcaption", legend), candidates(label, points), class_="narrow"))
    parts.append(_tried(tried))
    return Section("k", "How many segments", tuple(parts))


def _from_bundle(model: ModelFacts | None) -> tuple[Candidate, ...]:
    """The record of a model whose publication has no table of it."""
    listed = model.decision.get("candidates", []) if model else []
    return tuple(
        Candidate(c["k"], c["macro_silhouette"], c["davies_bouldin"], None, None, None, c["smallest_share"],
                  c["largest_share"], c["verdict"], c["reason"])
        for c in listed
    )  # fmt: skip


def _tried(tried: Sequence[Candidate]) -> Markup:
    more = [
        (name, values)
        for name, values in (
            ("Davies-Bouldin", [c.davies_bouldin for c in tried]),
            ("Gap", [c.gap for c in tried]),
            ("Prediction strength", [c.prediction_strength for c in tried]),
            ("Lowest Jaccard", [c.jaccard_min for c in tried]),
        )
        if any(value is not None for value in values)
    ]
    columns = [*left("k", "Verdict"), *right("Macro silhouette", "Smallest", "Largest", *(n for n, _ in more))]
    rows: list[list[Child]] = [
        [
            c.k,
            _verdict(c.verdict),
            _three(c.macro_silhouette),
            words.percent(c.smallest_share),
            words.percent(c.largest_share),
            *(_three(values[place]) for _, values in more),
            c.reason,
        ]
        for place, c in enumerate(tried)
    ]
    return table("Every k that was tried", [*columns, *left("Why")], rows)


def _by_group(groups: Sequence[dict[str, object]], model: ModelFacts | None) -> Markup:
    decisions = {item["name"]: item for item in (model.decision.get("groups", []) if model else [])}
    rows: list[list[Child]] = [
        [str(g["name"]), str(g["k"]), str(decisions.get(g["name"], {}).get("sentence", ""))] for g in groups
    ]
    return table("Segments of each group", [*left("Group"), *right("Segments"), *left("Why")], rows)


def _three(value: float | None) -> str:
    return words.ABSENT if value is None else f"{value:.3f}"


def _verdict(verdict: str) -> Markup:
    return tag("span", VERDICTS.get(verdict, verdict.replace("_", " ")), class_=f"verdict {verdict.split('_')[0]}")


def stability(facts: Facts) -> Section | None:
    """How often each segment is found again, and every limit that the model was held against."""
    known = [segment for segment in facts.segments if segment.stability is not None]
    parts: list[Markup] = []
    if known:
        lead = (
            "The model was fitted again and again on customers drawn anew. Here is how much of each segment was found "
            "again (Jaccard, 0 to 1; Hennig 2007): below 0.75 take it with care, below 0.5 it is not a segment."
        )
        rows: list[list[Child]] = [
            [
                named(s),
                tag("span", bar(s.stability, colour(s)), _three(s.stability), class_="with-bar"),
                _steady(s.stability),
            ]
            for s in known
        ]
        parts += [note(lead), table("Stability by segment", left("Segment", "Stability", "Reading"), rows)]
    if facts.gates:
        gates: list[list[Child]] = [
            [
                words.feature_label(gate.gate),
                _verdict(gate.verdict),
                _limit(gate.value),
                _limit(gate.warn_limit),
                _limit(gate.refuse_limit),
                gate.text,
            ]
            for gate in facts.gates
        ]
        columns = [*left("Gate", "Verdict"), *right("Value", "Warns at", "Refuses at"), *left("What it means")]
        parts.append(table("Gates of the model", columns, gates))
    return Section("stability", "Stability", tuple(parts)) if parts else None


def _steady(value: float | None) -> str:
    if value is None:
        return "not known"
    return "stable" if value >= 0.75 else "with care" if value >= 0.5 else "not stable"


def _limit(value: float | None) -> str:
    if value is None:
        return words.ABSENT
    return _three(value) if abs(value) < 10 else words.number(value)


def predicts(facts: Facts) -> Section | None:
    """How much of what customers did next the segments explain, beside simpler ways of grouping."""
    known = [p for p in facts.predictions if p.eta_squared is not None]
    if not known:
        return None
    lead = note(
        "Segments made from the past, held against what the same customers did next: the share of the variance "
        "between customers that the grouping explains (eta squared, 0 to 1) with its interval. Simpler ways of "
        "grouping stand beside it: where they do as well, the segments add description, not prediction."
    )
    charts, top = [], nice_top(max(p.high or p.eta_squared or 0.0 for p in known))
    for behaviour in dict.fromkeys(p.behaviour for p in known):
        own = [p for p in known if p.behaviour == behaviour]
        dots = [Interval(_method(p), p.eta_squared or 0.0, p.low, p.high, p.method == "segments") for p in own]
        told = "; ".join(f"{dot.name} {dot.value:.3f}" for dot in dots)
        title = words.feature_label(behaviour)
        charts.append(tag("figure", tag("figcaption", title), intervals(f"{title}: {told}", dots, top)))
    rows: list[list[Child]] = [
        [
            words.feature_label(p.behaviour),
            _method(p),
            _three(p.eta_squared),
            _three(p.low),
            _three(p.high),
            words.count(p.customers),
        ]
        for p in known
    ]
    columns = [*left("Behaviour", "Grouping"), *right("Explained", "Low", "High", "Customers")]
    body = (lead, tag("div", charts, class_="charts"), table("Variance explained", columns, rows))
    return Section("predicts", "Does it predict?", body)


def _method(predicted: Predicted) -> str:
    return METHODS.get(predicted.method, predicted.method.replace("_", " "))


def card(facts: Facts, model: ModelFacts | None) -> Section:
    """What the model is, what it was made of and by, and what it must not be used for."""
    version, run = facts.model, facts.run
    method = (
        f"k-means (pyspark.ml.clustering.KMeans), {version.k} segments, {words.count(version.customers)} customers; "
        "features are imputed, capped, logged where skewed, scaled and weighted by family"
    )
    trained, looking = (words.day(moment, facts.timezone) for moment in (version.created_at, version.as_of))
    smallest, largest = words.percent(version.smallest_share), words.percent(version.largest_share)
    entries: list[tuple[str, str]] = [
        ("Model", f"{version.model_version}, {version.status}"),
        ("Trained", f"{trained}, as of {looking}"),
        ("Method", method),
        ("Sum of squares", words.number(version.inertia)),
        ("Macro silhouette", _three(version.macro_silhouette)),
        ("Micro silhouette", _three(version.micro_silhouette)),
        ("Calinski-Harabasz", words.number(version.calinski_harabasz)),
        ("Davies-Bouldin", _three(version.davies_bouldin)),
        ("Smallest, largest segment", f"{smallest}, {largest}"),
        ("Published by", f"{run.command} {run.run_id}, segengine {run.segengine_version}, Spark {run.spark_version}"),
        ("Publication", facts.publication_id),
        ("Configuration", f"SHA-256 {run.config_sha256}"),
        ("Meant for", "addressing groups of customers differently; reporting on them over time"),
        ("Not meant for", "decisions about single people, such as credit or prices; it says nothing of causes"),
    ]
    listed = tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in entries], class_="facts")
    parts: list[Markup] = [listed]
    if facts.events:
        rows: list[list[Child]] = [
            [e.segment_id, e.event, _other(facts, e.other_segment_key), words.percent(e.overlap, 0)]
            for e in facts.events
        ]
        columns = [*left("Segment", "What became of it", "Other segment"), *right("Overlap")]
        parts.append(table("Segments against the model before", columns, rows))
    if model is not None:
        parts.append(_features(facts, model))
    return Section("card", "Model card", tuple(parts))


def _other(facts: Facts, key: int | None) -> str:
    segment = facts.segment(key)
    return words.ABSENT if key is None else segment.segment_id if segment else f"S-{key:03d}"


def _features(facts: Facts, model: ModelFacts) -> Markup:
    treated = {item.name: item for item in model.preparation.inputs}
    weights: dict[str, float] = {}
    for column in model.preparation.vector:
        weights[column.input] = weights.get(column.input, 0.0) + column.weight**2
    rows: list[list[Child]] = []
    for feature in model.features:
        name = str(feature["name"])
        how = []
        item = treated.get(name)
        if item is not None and item.kind == "numeric":
            if item.cap is not None:
                how.append(f"capped to {words.number(item.cap[0])} to {words.number(item.cap[1])}")
            how += ["logged"] if item.log_scale is not None else []
        elif item is not None:
            how.append(f"{len(item.levels)} levels")
        weight = words.ABSENT if name not in weights else f"{weights[name]:.3f}"
        rows.append([words.feature_label(name), str(feature["family"]).replace("_", " "), "; ".join(how), weight,
                     str(feature["text"])])  # fmt: skip
    columns = [*left("Feature", "Family", "Treated"), *right("Weight"), *left("What it is")]
    return table("Features", columns, rows)
