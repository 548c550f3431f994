"""PySpark as tutorials write it: countDistinct, StandardScaler, and for each k a KMeans and a ClusteringEvaluator.

Settings are Spark's own but for the driver's memory, which would not do for large tables. The feature frame is cached,
as the better tutorials do: without it each k would compute the features several times over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import Imputer, StandardScaler, VectorAssembler
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.contestants.task import AS_OF, FEATURES, LAST_FROM, PREVIOUS_FROM, TIMEZONE, Task, task_from_arguments

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

DRIVER_MEMORY = "4g"


def features(lines: DataFrame) -> DataFrame:
    """One row a customer: customer_id and FEATURES. All lines of an order must have the same time."""
    at, amount, order = F.col("ordered_at"), F.col("amount"), F.col("order_id")
    day, as_of = F.to_date(at), F.to_date(F.lit(str(AS_OF)))
    is_last, is_previous = day >= F.lit(LAST_FROM), (day >= F.lit(PREVIOUS_FROM)) & (day < F.lit(LAST_FROM))
    customers = lines.groupBy("customer_id").agg(
        F.datediff(as_of, F.max(day)).alias("recency_days"),
        F.countDistinct(order).alias("frequency_orders"),
        F.sum(amount).alias("monetary_total"),
        F.sum("quantity").alias("quantity"),
        F.countDistinct(order, F.col("product")).alias("products"),
        F.datediff(as_of, F.min(day)).alias("tenure_days"),
        F.countDistinct(F.trunc(day, "month")).alias("active_months"),
        F.sum(F.when(is_last, amount).otherwise(0.0)).alias("last_amount"),
        F.sum(F.when(is_previous, amount).otherwise(0.0)).alias("previous_amount"),
        F.countDistinct(F.when(is_last, order)).alias("last_orders"),
        F.countDistinct(F.when(is_previous, order)).alias("previous_orders"),
    )
    by_day = Window.partitionBy("customer_id").orderBy("day")
    days = lines.select("customer_id", day.alias("day")).distinct()
    gaps = days.withColumn("gap", F.datediff("day", F.lag("day").over(by_day))).groupBy("customer_id")
    rhythm = gaps.agg(F.avg("gap").alias("gap_mean"), F.stddev("gap").alias("gap_deviation"))
    return customers.join(rhythm, on="customer_id", how="left").select("customer_id", *finished())


def finished() -> list[Column]:
    """FEATURES, of what was counted and summed for a customer."""
    orders = F.col("frequency_orders")
    columns = {
        "average_order_value": F.col("monetary_total") / orders,
        "items_per_order": F.col("quantity") / orders,
        "products_per_order": F.col("products") / orders,
        "days_between_orders_mean": F.col("gap_mean"),
        "days_between_orders_cv": F.col("gap_deviation") / F.col("gap_mean"),
        "monetary_trend_90d": _trend("last_amount", "previous_amount"),
        "orders_trend_90d": _trend("last_orders", "previous_orders"),
    }
    return [columns.get(name, F.col(name)).cast("double").alias(name) for name in FEATURES]


def _trend(last: str, previous: str) -> Column:
    now, before = F.greatest(F.col(last), F.lit(0)), F.greatest(F.col(previous), F.lit(0))
    return F.when(now + before > 0, (now - before) / (now + before)).otherwise(0.0)


def scaled(customers: DataFrame) -> DataFrame:
    """With a column `features`: missing values by the median, raw numbers scaled, no logarithm."""
    filled = [f"{name}_filled" for name in FEATURES]
    imputer = Imputer(inputCols=list(FEATURES), outputCols=filled, strategy="median").fit(customers)
    assembled = VectorAssembler(inputCols=filled, outputCol="raw").transform(imputer.transform(customers))
    scaler = StandardScaler(inputCol="raw", outputCol="features", withMean=True, withStd=True).fit(assembled)
    return scaler.transform(assembled)


def main(task: Task) -> None:
    with task.stage("session"):
        session = (
            SparkSession.builder.appName("Customer segmentation")
            .config("spark.driver.memory", DRIVER_MEMORY)
            .config("spark.sql.session.timeZone", TIMEZONE)
            .getOrCreate()
        )
    with task.stage("features"):
        customers = features(session.read.parquet(str(task.lines)))
        if task.features_only:
            customers.write.mode("overwrite").parquet(str(task.customers_file))
            return
        points = scaled(customers.cache()).cache()
        count = points.count()
    models, inertia, silhouette = {}, {}, {}
    with task.stage("sweep"):
        for k in task.ks:
            models[k] = KMeans(k=k, seed=1).fit(points)
            inertia[k] = models[k].summary.trainingCost
            silhouette[k] = ClusteringEvaluator().evaluate(models[k].transform(points))
    best = max(task.ks, key=lambda k: silhouette[k])
    with task.stage("write"):
        segmented = models[best].transform(points).withColumnRenamed("prediction", "segment")
        segmented.select("customer_id", *FEATURES, "segment").write.mode("overwrite").parquet(str(task.customers_file))
    sizes = dict(enumerate(models[best].summary.clusterSizes))
    task.finish(customers=count, k=best, inertia=inertia, silhouette=silhouette, sizes=sizes)
    session.stop()


if __name__ == "__main__":
    main(task_from_arguments(__doc__))
