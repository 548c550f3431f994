"""PySpark with its settings corrected, the honest Spark rival: one exchange of the lines, a sweep on a sample, Arrow.

No countDistinct; as many shuffle partitions as two cores deserve; a narrow feature frame that is kept; KMeans with the
block solver, RESTARTS seeds for each k on a sample; silhouettes by scikit-learn on a smaller one; one fit on everybody,
with the seed that was best (Spark's KMeans takes no centres to start from, so a fit starts anew).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F
from sklearn.metrics import silhouette_score

from benchmarks.contestants.task import (
    AS_OF,
    COLUMNS,
    FEATURES,
    LAST_FROM,
    LOGGED,
    PREVIOUS_FROM,
    SAMPLE,
    SEED,
    SILHOUETTE_SAMPLE,
    TIMEZONE,
    Task,
    task_from_arguments,
)
from benchmarks.contestants.tutorial_spark import finished

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RESTARTS = 3
"""Of every k, in place of the ten of the others: a fit is a dozen Spark jobs, and ten would triple the sweep."""
SETTINGS = {
    "spark.driver.memory": "6g",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.session.timeZone": TIMEZONE,
    "spark.ui.enabled": "false",
}


def features(lines: DataFrame) -> DataFrame:
    """One row a customer: customer_id and FEATURES."""
    at, amount = F.col("ordered_at"), F.col("amount")
    last, previous = F.lit(LAST_FROM).cast("timestamp"), F.lit(PREVIOUS_FROM).cast("timestamp")
    products = lines.select(*COLUMNS).repartition("customer_id").groupBy("customer_id", "order_id", "product")
    orders = products.agg(
        F.min(at).alias("first_at"),
        F.max(at).alias("last_at"),
        F.sum(amount).alias("amount"),
        F.sum("quantity").alias("quantity"),
        F.sum(F.when(at >= last, amount).otherwise(0.0)).alias("last_amount"),
        F.sum(F.when((at >= previous) & (at < last), amount).otherwise(0.0)).alias("previous_amount"),
    )
    names = ("amount", "quantity", "last_amount", "previous_amount")
    orders = orders.groupBy("customer_id", "order_id").agg(
        F.min("first_at").alias("first_at"),
        F.max("last_at").alias("last_at"),
        F.count("product").alias("products"),
        *(F.sum(name).alias(name) for name in names),
    )
    return _customers(orders)


def _customers(orders: DataFrame) -> DataFrame:
    first = F.col("first_at")
    last, previous = F.lit(LAST_FROM).cast("timestamp"), F.lit(PREVIOUS_FROM).cast("timestamp")
    before = Window.partitionBy("customer_id").orderBy("first_at")
    day, month = F.to_date(first), F.trunc(F.to_date(first), "month")
    gap = F.datediff(day, F.to_date(F.lag(first).over(before)))
    new_month = ~month.eqNullSafe(F.trunc(F.to_date(F.lag(first).over(before)), "month"))
    dated = orders.withColumn("gap", gap).withColumn("new_month", new_month)
    real_gap = F.when(F.col("gap") > 0, F.col("gap"))
    as_of = F.lit(AS_OF)
    customers = dated.groupBy("customer_id").agg(
        F.datediff(as_of, F.to_date(F.max("last_at"))).alias("recency_days"),
        F.count(F.lit(1)).alias("frequency_orders"),
        F.sum("amount").alias("monetary_total"),
        *(F.sum(name).alias(name) for name in ("quantity", "products", "last_amount", "previous_amount")),
        F.datediff(as_of, F.to_date(F.min("first_at"))).alias("tenure_days"),
        F.count_if("new_month").alias("active_months"),
        F.avg(real_gap).alias("gap_mean"),
        F.stddev(real_gap).alias("gap_deviation"),
        F.count_if(first >= last).alias("last_orders"),
        F.count_if((first >= previous) & (first < last)).alias("previous_orders"),
    )
    return customers.select("customer_id", *finished())


def prepared(customers: DataFrame) -> DataFrame:
    """customer_id, FEATURES and `points`: median for missing, log(1 + x) of LOGGED, scaled. Customers are kept."""
    medians = customers.agg(*(F.percentile_approx(name, 0.5).alias(name) for name in FEATURES)).first()
    assert medians is not None
    filled = {name: F.coalesce(F.col(name), F.lit(medians[name] or 0.0)) for name in FEATURES}
    values = [
        (F.log1p(F.greatest(filled[name], F.lit(0.0))) if name in LOGGED else filled[name]).alias(f"{name}_point")
        for name in FEATURES
    ]
    wide = customers.select("*", *values)
    assembled = VectorAssembler(inputCols=[f"{name}_point" for name in FEATURES], outputCol="raw").transform(wide)
    scaler = StandardScaler(inputCol="raw", outputCol="points", withMean=True).fit(assembled)
    return scaler.transform(assembled).select("customer_id", *FEATURES, "points")


def sweep(points: DataFrame, count: int, ks: tuple[int, ...]) -> tuple[dict[int, Any], dict[int, int]]:
    """For every k (inertia, silhouette) of its best model on the sample, and the seed of that model."""
    fraction = min(1.0, SAMPLE / count)
    few = points.select("points").sample(fraction=fraction, seed=SEED) if fraction < 1 else points.select("points")
    few = few.persist()
    shown_fraction = min(1.0, SILHOUETTE_SAMPLE / min(SAMPLE, count))
    shown = few.sample(fraction=shown_fraction, seed=SEED).persist()
    values = np.array(shown.select(vector_to_array(F.col("points")).alias("p")).toPandas()["p"].tolist())
    measures, seeds = {}, {}
    for k in ks:
        fits = [
            (KMeans(k=k, seed=seed, featuresCol="points", solver="block").fit(few), seed)
            for seed in range(1, RESTARTS + 1)
        ]
        model, seeds[k] = min(fits, key=lambda fit: float(fit[0].summary.trainingCost))
        labels = model.transform(shown).select("prediction").toPandas()["prediction"].to_numpy()
        measures[k] = (float(model.summary.trainingCost), float(silhouette_score(values, labels)))
    few.unpersist()
    return measures, seeds


def main(task: Task) -> None:
    with task.stage("session"):
        builder = SparkSession.builder.appName("Customer segmentation, corrected").master("local[*]")
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    with task.stage("features"):
        customers = features(session.read.parquet(str(task.lines)))
        if task.features_only:
            customers.write.mode("overwrite").parquet(str(task.customers_file))
            return
        points = prepared(customers.persist()).persist()
        count = points.count()
    with task.stage("sweep"):
        measures, seeds = sweep(points, count, task.ks)
    best = max(task.ks, key=lambda k: measures[k][1])
    with task.stage("fit"):
        kmeans = KMeans(k=best, seed=seeds[best], featuresCol="points", predictionCol="segment", solver="block")
        model = kmeans.fit(points)
    with task.stage("write"):
        segmented = model.transform(points).select("customer_id", *FEATURES, "segment")
        segmented.write.mode("overwrite").parquet(str(task.customers_file))
    task.finish(
        customers=count,
        k=best,
        inertia={k: inertia for k, (inertia, _) in measures.items()},
        silhouette={k: silhouette for k, (_, silhouette) in measures.items()},
        sizes=dict(enumerate(model.summary.clusterSizes)),
    )
    session.stop()


if __name__ == "__main__":
    main(task_from_arguments(__doc__))
