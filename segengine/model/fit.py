"""The centres for everybody: a contest between the sweep's best centres and Spark's own k-means; the lowest cost
wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_sample import SAMPLE_LIMIT
from segengine.features.prepare_stages import FEATURES, TEMPORARY, point_sql, quoted
from segengine.kept import keep
from segengine.model import blocks
from segengine.model.groups import GROUP, Routing, route_stage
from segengine.model.lloyd import Converged, run
from segengine.model.sweep import carry

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Contestant", "Fit", "contest", "lay_out", "partitions_for", "segment_order", "settle", "steadier"]

Floats = NDArray[np.float64]

ROWS_PER_PARTITION = 50_000
MOST_PARTITIONS = 2_000
SPARK_ROWS = 20_000
"""Customers that Spark's k-means starts on, as many as the sweep's starts end on. Its seeding takes 20 s of two cores
for 866,000 customers, more than the whole sweep."""

SPARK_PASSES = 5
SPARK_TOLERANCE = 1e-4
HOPELESS = 0.01
"""A contestant that came to rest on the sample and is dearer by more than this part of the cost is carried no
further."""

STEADY = 0.003
"""Centres that were carried on from the champion's stay although others are cheaper by up to this part of the cost: as
much as the luck of starts makes on skewed customers. Segments would change for it, and be no better."""

ALREADY_THERE = 1e-6
"""The champion's centres that came to rest on the sample this near to the sweep's, prepared units, are no others."""

CLEARLY_BETTER = 1e-6
"""A later contestant must beat the first one's cost by more than this part of it: rounding must not decide."""


@dataclass(frozen=True)
class Contestant:
    """A set of centres that was carried to convergence on everybody."""

    name: str
    first_cost: float
    """Cost of the centres it started from: sum of squared distances, prepared units."""
    cost: float
    passes: int
    converged: bool
    smallest_share: float
    largest_share: float
    verdict: Literal["won", "lost", "refused"]
    reason: str


@dataclass(frozen=True)
class Fit:
    """The winning centres (k, d), not ordered yet, what each holds, and the record of the contest."""

    centres: Floats
    sizes: NDArray[np.int64]
    revenue: Floats
    cost: float
    contestants: tuple[Contestant, ...]


def partitions_for(customers: int) -> int:
    """How many partitions: a function of the number of customers only, so that no layout of the input can matter."""
    return min(MOST_PARTITIONS, math.ceil(customers / ROWS_PER_PARTITION))


def lay_out(
    rows: DataFrame, preparation: Preparation, customers: int, *, has_revenue: bool, routing: Routing | None = None
) -> DataFrame:
    """Prepared points x and revenue of every customer, in blocks and in a fixed layout; not persisted yet.

    `draw` splits them by a hash into parts of some 20,000. With a routing also group: the index of the customer's
    group.
    """
    from pyspark.sql import functions as F

    revenue = F.coalesce(F.col("revenue_e4").cast("double"), F.lit(0.0)) if has_revenue else F.lit(0.0)
    own = [F.col("customer_id").cast("string").alias("customer_id"), revenue.alias("revenue")]
    grouped = []
    if routing is not None:
        rows, grouped = route_stage(routing).transform(rows), ["group"]
        own.append(F.col(GROUP).cast("int").alias("group"))
    needed = rows.select(
        F.struct(*own).alias(TEMPORARY + "row"),
        *(F.col(quoted(item.name)) for item in preparation.inputs),
    )
    cleaned, point = point_sql(preparation)
    points = needed.selectExpr("*", *cleaned).selectExpr(f"{TEMPORARY}row.*", f"{point} AS x")
    # Up to the size of the sample customers are laid out by what they are, so that renaming them changes nothing
    # either; beyond it by who they are, because many alike would crowd one partition.
    parts, draws = partitions_for(customers), math.ceil(customers / SPARK_ROWS)
    order = ["x", "customer_id"] if customers <= SAMPLE_LIMIT else ["customer_id"]
    laid_out = points.repartition(parts, order[0]).sortWithinPartitions(*grouped, *order)
    draw = F.pmod(F.xxhash64(order[0]), F.lit(draws)).cast("int").alias("draw")
    return laid_out.select("x", "revenue", draw, *grouped).mapInArrow(blocks.packing(), blocks.SCHEMA)


def contest(
    points: DataFrame,
    sweep_centres: Floats,
    *,
    seed: int,
    min_share: float,
    max_share: float,
    sample: Floats | None = None,
    champion: Floats | None = None,
) -> Fit:
    """Carry the sweep's centres and those of one run of Spark's k-means to convergence on all points; keep the cheaper.

    The sweep's win unless the others are cheaper by more than 1e-6 of the cost and within the share limits. `sample`:
    prepared points (n, d) on which Spark's centres come to rest first, as the sweep's did; that saves passes.
    `champion`: centres to start from that are where its segments are now (k, d); they win unless others are cheaper by
    more than STEADY.
    """
    k = len(sweep_centres)
    starts = {"sweep": sweep_centres}
    if champion is not None:
        at_rest = champion if sample is None else carry(sample, champion, seed=seed)
        if _apart(at_rest, sweep_centres) > ALREADY_THERE:
            starts["champion"] = at_rest
    spark_centres = _spark_centres(points, k, seed)
    if len(spark_centres) == k:
        starts["spark"] = spark_centres if sample is None else carry(sample, spark_centres, seed=seed)
    names = list(starts)
    results = run(points, list(starts.values()), hopeless=math.inf if sample is None else HOPELESS)
    winner = 0
    verdicts: dict[int, tuple[Literal["won", "lost", "refused"], str]] = {}
    for i in range(1, len(results)):
        spared = STEADY * ((names[i] == "champion") - (names[winner] == "champion"))
        verdicts[i] = _against(results[winner], names[winner], results[i], min_share, max_share, spared)
        if verdicts[i][0] == "won":
            better = 1 - results[i].last.cost / results[winner].last.cost
            kept = f"{names[i]}'s segments stay, at {-better:.2%} more" if better <= 0 else ""
            verdicts[winner] = ("lost", kept or f"{names[i]} is {better:.2%} cheaper")
            winner = i
    verdicts.setdefault(winner, ("won", "no other set of centres is cheaper"))
    contestants = [_contestant(names[i], results[i], *verdicts[i]) for i in range(len(results))]
    if len(spark_centres) != k:
        reason = f"came back with {len(spark_centres)} centres instead of {k}"
        contestants.append(Contestant("spark", math.inf, math.inf, 0, False, 0.0, 0.0, "refused", reason))
    return _fit(results[winner], contestants)


def settle(points: DataFrame, starts: Sequence[Floats], names: Sequence[str] | None = None) -> list[Fit]:
    """Carry the centres of every group to convergence on the customers of that group, all in the same passes.

    `names`: where those of each group come from; the sweep by default. Spark's k-means takes no part: it would have to
    be fitted once for each group.
    """
    results = run(points, starts, groups=range(len(starts)))
    reason = "the only contestant: Spark fits one group at a time"
    named = names or ["sweep"] * len(starts)
    return [
        _fit(result, (_contestant(name, result, "won", reason),)) for name, result in zip(named, results, strict=True)
    ]


def steadier(
    sample: Floats, sweep_centres: Floats, champion: Floats | None, *, seed: int, min_share: float, max_share: float
) -> tuple[str, Floats]:
    """Centres for a group: the champion's at rest on the group's sample and their name, or the sweep's.

    The sweep's when they are cheaper by more than STEADY, or the champion's do not keep the share limits.
    """
    if champion is None:
        return "sweep", sweep_centres
    at_rest = carry(sample, champion, seed=seed)
    cost, shares = _cost_and_shares(sample, at_rest)
    fits = shares.min() >= min_share and shares.max() <= max_share
    if fits and cost <= _cost_and_shares(sample, sweep_centres)[0] * (1 + STEADY):
        return "champion", at_rest
    return "sweep", sweep_centres


def _cost_and_shares(points: Floats, centres: Floats) -> tuple[float, Floats]:
    squares = np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres])
    return float(squares.min(axis=0).sum()), np.bincount(squares.argmin(axis=0), minlength=len(centres)) / len(points)


def _apart(one: Floats, other: Floats) -> float:
    """The largest distance from a centre to the nearest one of the other set."""
    return float(np.linalg.norm(one[:, None, :] - other[None, :, :], axis=2).min(axis=1).max())


def _fit(best: Converged, contestants: Sequence[Contestant]) -> Fit:
    return Fit(best.centres, best.last.sizes, best.last.revenue, best.last.cost, tuple(contestants))


def _against(
    best: Converged, best_name: str, other: Converged, min_share: float, max_share: float, spared: float
) -> tuple[Literal["won", "lost", "refused"], str]:
    """Whether another contestant takes the place of the best; `spared`: the part of the cost it may be dearer."""
    if other.last.cost >= best.last.cost * (1 + spared - CLEARLY_BETTER):
        above = other.last.cost / best.last.cost - 1 if best.last.cost else 0.0
        if above < -CLEARLY_BETTER:
            return "lost", f"{-above:.2%} cheaper than {best_name}, which is too little to change segments for"
        return "lost", f"as good as {best_name}" if above <= CLEARLY_BETTER else f"{above:.2%} dearer than {best_name}"
    shares = other.last.sizes / other.last.sizes.sum()
    if shares.min() < min_share or shares.max() > max_share:
        return "refused", f"better than {best_name}, but with shares from {shares.min():.3f} to {shares.max():.3f}"
    return (
        "won",
        f"cheaper than {best_name}" if not spared > 0 else f"about as good as {best_name}, and the same segments",
    )


def _contestant(name: str, result: Converged, verdict: Literal["won", "lost", "refused"], reason: str) -> Contestant:
    shares = result.last.sizes / result.last.sizes.sum()
    return Contestant(
        name,
        result.first_cost,
        result.last.cost,
        result.passes,
        result.converged,
        float(shares.min()),
        float(shares.max()),
        verdict,
        reason,
    )


def _spark_centres(points: DataFrame, k: int, seed: int) -> Floats:
    """The centres of Spark's k-means on one draw of the points: it has no restarts and takes no centres to start
    from."""
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    estimator = KMeans(featuresCol=FEATURES, k=k, maxIter=SPARK_PASSES, tol=SPARK_TOLERANCE, seed=seed, solver="block")
    drawn = points.mapInArrow(blocks.unpacking(0), blocks.POINTS).repartition(1).sortWithinPartitions("x")
    part = keep(drawn.select(array_to_vector(F.col("x")).alias(FEATURES)))
    try:
        if part.rows.isEmpty():
            return np.zeros((0, 0))  # the customers are so much alike that none has this hash
        model = estimator.fit(part.rows)
    finally:
        part.release()
    return np.array([list(centre) for centre in model.clusterCenters()], dtype=np.float64)


def segment_order(fit: Fit, *, by: Literal["revenue", "customers"]) -> list[int]:
    """Positions of the centres in the order of the segments: most revenue (or customers) first; ties by size, then
    place."""
    places: Sequence[tuple[float, ...]] = [tuple(centre) for centre in fit.centres.tolist()]
    measure = fit.revenue if by == "revenue" else fit.sizes
    return sorted(range(len(places)), key=lambda i: (-float(measure[i]), -int(fit.sizes[i]), places[i]))
