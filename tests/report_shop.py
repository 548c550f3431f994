"""A publication and a model made without Spark, with every table that the report draws, and with hostile names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segengine.features.prepare_numbers import CategoricalInput, NumericInput, Preparation, VectorColumn, prepare
from segengine.publish.shape import conform_rows
from segengine.report.bundle import ModelFacts
from segengine.report.published import Facts, published_facts
from segengine.tables import by_name

__all__ = ["FORMULA", "SCRIPT", "customers", "facts", "model", "nearest", "table", "tables"]

AS_OF = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
BEFORE = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
SCRIPT = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>"
FORMULA = '=HYPERLINK("http://example.invalid","click")'
NAMES = (SCRIPT, FORMULA, "Seldom, little", "New\u202ereversed & <b>bold</b>")
LEVELS = ("FR", SCRIPT, "DE")

PREPARATION = Preparation(
    inputs=(
        NumericInput("recency_days", "rfm", 30.0, (0.0, 300.0), 20.0, 0, 2.0),
        NumericInput("monetary_total", "rfm", 100.0, (-50.0, 9000.0), 100.0, 3, 3.0),
        NumericInput("weekend_share", "custom", 0.3, None, None, 0, 0.1),
        CategoricalInput("country", "attributes", LEVELS, 5),
    ),
    vector=(
        VectorColumn("recency_days", "value", None, 1.1, 0.7, 0.6),
        VectorColumn("monetary_total", "value", None, 1.6, 0.9, 0.6),
        VectorColumn("monetary_total", "missing", None, 0.01, 0.1, 0.05),
        VectorColumn("weekend_share", "value", None, 0.3, 0.2, 0.3),
        VectorColumn("country", "level", "FR", 0.4, 0.5, 0.2),
        VectorColumn("country", "level", SCRIPT, 0.2, 0.4, 0.2),
        VectorColumn("country", "missing", None, 0.05, 0.2, 0.2),
        VectorColumn("country", "other", None, 0.05, 0.2, 0.2),
    ),
    dropped=(),
)
UNITS = {"recency_days": "days", "monetary_total": "currency", "weekend_share": "own", "country": ""}


def customers(n: int = 600, seed: int = 3) -> dict[str, NDArray[Any]]:
    """Raw columns of n customers; some values are missing, infinite or beyond the caps."""
    rng = np.random.default_rng(seed)
    money = np.round(rng.lognormal(4.5, 1.4, n), 2)
    money[rng.random(n) < 0.05] = np.nan
    return {
        "recency_days": np.round(rng.exponential(40, n)),
        "monetary_total": money,
        "weekend_share": rng.random(n),
        "country": np.array(rng.choice([*LEVELS, "ES", None], n), dtype=object),
    }


def model() -> ModelFacts:
    """Four segments; the lasting keys are not the places of the centres."""
    rng = np.random.default_rng(1)
    points = prepare(PREPARATION, customers(4000, 9))
    centres = points[rng.choice(len(points), 4, replace=False)]
    for _ in range(10):
        own = nearest(points, centres)
        centres = np.stack([points[own == i].mean(axis=0) for i in range(4)])
    listed = tuple(
        {"name": item.name, "family": item.family, "unit": UNITS[item.name], "kind": item.kind, "text": "What it is."}
        for item in PREPARATION.inputs
    )
    return ModelFacts("v0002", listed, PREPARATION, centres, np.full(4, 2.0), (2, 1, 5, 4), {}, None, {})


def nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of each point's centre; the lowest of equals."""
    squares: NDArray[np.float64] = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    places: NDArray[np.int64] = squares.argmin(axis=1)
    return places


def tables(*, only: Sequence[str] | None = None) -> dict[str, pa.Table]:
    """Every table that the report reads, or `only` some of them."""
    keys, ident = (1, 2, 4, 5), "p2"
    money = {1: "5000.10", 2: "3000.05", 4: "0.00", 5: "200.00"}
    sizes = {1: 200, 2: 250, 4: 50, 5: 100}
    total = Decimal("8200.15")
    segments: list[dict[str, Any]] = []
    kpis: list[dict[str, Any]] = []
    for rank, (key, name) in enumerate(zip((1, 2, 5, 4), NAMES, strict=True), 1):
        revenue = Decimal(money[key])
        shared = {
            "segment_key": key,
            "customers": sizes[key],
            "share": sizes[key] / 600,
            "revenue": revenue,
            "revenue_share": float(revenue / total),
            "average_order_value": Decimal("12.34"),
        }
        segments.append(
            {**shared, "segment_id": f"S-{key:03d}", "name": name, "rank": rank, "outliers": 3, "rule": f"{SCRIPT} > 1",
             "stability": 0.9 - 0.15 * rank, "colour": ["#332288", "#88ccee", "red;}", "#117733"][rank - 1],
             "mean_distance": 0.5, "name_is_true": True, "warning": SCRIPT, "action": FORMULA,
             "description": SCRIPT}
        )  # fmt: skip
        for moment, factor in ((BEFORE, 0.9), (AS_OF, 1)):
            kpis.append(
                {**shared, "as_of": moment, "model_version": "v0002", "customers": int(sizes[key] * factor),
                 "orders": 700, "revenue_per_customer": Decimal("33.10"), "active_90_days": 40, "mean_distance": 0.5}
            )  # fmt: skip
    rows: dict[str, list[dict[str, Any]]] = {"segments": segments, "segment_kpis": kpis, **_more(keys, total)}
    made = {name: table(name, found, ident) for name, found in rows.items()}
    return made if only is None else {name: made[name] for name in only}


def _more(keys: Sequence[int], total: Decimal) -> dict[str, list[dict[str, Any]]]:
    profiles = [
        {"segment_key": key, "feature": item.name, "family": item.family, "unit": UNITS[item.name],
         "mean": 10.0 * key, "median": 9.0 * key, "p10": 1.0, "p90": 90.0, "z": (key - 2) * 0.7,
         "overall_mean": 25.0, "missing_share": 0.0}
        for item in PREPARATION.inputs if item.kind == "numeric" for key in keys
    ]  # fmt: skip
    steps = [("source", True, "8300.20"), ("in quarantine", False, "-50.05"), ("lane too_new", False, "-50.00"),
             ("segments", True, str(total))]  # fmt: skip
    model_row = {
        "model_version": "v0002", "created_at": AS_OF, "as_of": AS_OF, "status": "champion", "k": 4, "groups": None,
        "features": "", "customers": 600, "inertia": 900.0, "macro_silhouette": 0.21, "smallest_share": 0.08,
        "largest_share": 0.42, "decision": f"4 segments {SCRIPT}", "config_sha256": "ab" * 32,
    }  # fmt: skip
    run = {
        "run_id": "r2", "command": "run", "started_at": AS_OF, "finished_at": AS_OF, "as_of": AS_OF,
        "model_version": "v0002", "rows_read": 5000, "rows_used": 4950, "rows_rejected": 50, "rows_ignored": 0,
        "customers": 607, "customers_assigned": 600, "customers_in_lanes": 7, "amount_read": Decimal("8300.20"),
        "amount_assigned": total, "inputs": "[]", "config_sha256": "ab" * 32, "segengine_version": "0.1.0",
        "spark_version": "4.2.0",
    }  # fmt: skip
    quality = [("used", "used", 4950, "8250.15"), ("price_positive", "rejected", 50, "50.05")]
    tried = [(3, 0.19, "passed"), (4, 0.21, "chosen"), (5, None, "refused")]
    places = [(1, None), (2, None), (4, None), (5, None), (None, "too_new")]
    return {
        "segment_profiles": profiles,
        "models": [model_row],
        "runs": [run],
        "quality": [
            {"run_id": "r2", "as_of": AS_OF, "table": "transactions", "rule": rule, "outcome": outcome, "rows": n,
             "amount": Decimal(amount), "text": SCRIPT}
            for rule, outcome, n, amount in quality
        ],
        "lanes": [{"as_of": AS_OF, "lane": "too_new", "customers": 7, "revenue": Decimal("50.00"), "orders": 7}],
        "bridge": [
            {"as_of": AS_OF, "step": place, "name": name, "is_balance": balance, "rows": None, "customers": None,
             "amount": Decimal(amount)}
            for place, (name, balance, amount) in enumerate(steps, 1)
        ],
        "k_candidates": [
            {"model_version": "v0002", "k": k, "macro_silhouette": s, "smallest_share": 0.1, "largest_share": 0.5,
             "verdict": verdict, "reason": "because"}
            for k, s, verdict in tried
        ],
        "gates": [
            {"model_version": "v0002", "gate": f"stability_{verdict}", "value": 0.8, "warn_limit": 0.75,
             "refuse_limit": 0.6,
             "verdict": verdict, "text": "how often it is found again"}
            for verdict in ("passed", "warned", "refused", "not_judged")
        ],
        "prediction": [
            {"model_version": "v0002", "behaviour": "spend_next", "method": method, "eta_squared": eta,
             "low": eta - 0.02, "high": eta + 0.02, "customers": 500}
            for method, eta in (("segments", 0.2), ("rfm_grid", 0.17))
        ],
        "moves": [
            {"as_of": AS_OF, "move": 1 + i * len(places) + j, "previous_as_of": BEFORE,
             "from_segment_key": a[0], "from_lane": a[1],
             "to_segment_key": b[0], "to_lane": b[1], "cause": "new" if a == (None, "too_new") else "customer_changed",
             "customers": 3 + i * j, "revenue": Decimal("10.00")}
            for i, a in enumerate(places) for j, b in enumerate(places)
        ],
        "segment_events": [
            {"model_version": "v0002", "as_of": AS_OF, "segment_key": 5, "segment_id": "S-005", "event": "split",
             "other_segment_key": 2, "overlap": 0.6}
        ],
        "protected_mix": [
            {"segment_key": key, "attribute": "gender", "value": value, "customers": 20, "share": share,
             "overall_share": 0.5, "cramers_v": 0.1}
            for key in keys for value, share in ((SCRIPT, 0.6), ("f", None))
        ],
        "drift": [
            {"as_of": AS_OF, "measure": "psi", "subject": subject, "compared_with": "training", "value": value,
             "watch_limit": 0.25, "alarm_limit": 0.5, "verdict": verdict, "text": SCRIPT, "model_version": "v0002",
             "customers": 90}
            for subject, value, verdict in (("recency_days", 0.61, "alarm"), ("tenure_days", 0.01, "ok"))
        ],
    }  # fmt: skip


def table(name: str, rows: list[dict[str, Any]], publication_id: str) -> pa.Table:
    """A declared table in its declared shape; one that is not declared as it is."""
    try:
        declared = by_name(name)
    except KeyError:
        return pa.Table.from_pylist([{**row, "publication_id": publication_id} for row in rows])
    filled = [{c.name: row.get(c.name) for c in declared.columns if c.name != "publication_id"} for row in rows]
    return conform_rows(filled, declared, 2, publication_id)


def facts(*, only: Sequence[str] | None = None) -> Facts:
    return published_facts(tables(only=only), name=f"Shop {SCRIPT}", currency="GBP", minor_unit=2, timezone="UTC")
