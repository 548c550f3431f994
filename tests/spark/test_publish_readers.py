"""DuckDB, pandas, Spark SQL and delta-rs read what is published, and agree; Spark-built tables in both formats."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from segengine.config import Output
from segengine.errors import PublicationError
from segengine.io.hadoop_store import HadoopStore
from segengine.publish import parquet
from segengine.publish.build import Built, build_tables
from segengine.publish.publication import Publication, current, publish, read_current
from segengine.tables import TABLES, by_name
from tests.publications import AS_OF, FEW, SCORED, arguments, facts, only, scored_row, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STRANGE_IDS = ["00042", "42", "=1+1", "<script>", "ДЖОН", "𝔘𝔫𝔦", "a\tb\nc", "'; DROP TABLE x; --", "12345"]
NAMES = [table.name for table in TABLES]


def build(spark: SparkSession, publication_id: str, **changed: Any) -> Built:
    rows = [
        scored_row(i, n % 3 if n % 3 < 2 else None, distance=n / 7, revenue_e4=n * 9_999)
        for n, i in enumerate(STRANGE_IDS)
    ]
    told = facts(publication_id=publication_id, run_id=f"run of {publication_id}", **changed)
    built = build_tables(spark.createDataFrame(rows, SCORED), told)
    # Some tables are filled by a whole run only: a row of every kind of value is as good for readers.
    made = tables(publication_id, as_of=told.as_of)
    empty = [name for name, rows in built.tables.items() if isinstance(rows, pa.Table) and not rows.num_rows]
    return replace(built, tables={**built.tables, **{name: made[name] for name in empty}})


@pytest.fixture(scope="module", params=["parquet", "delta"])
def published(
    request: Any, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Output, list[Publication]]:
    """Two publications, the second as of a day later with one more feature."""
    output = Output(path=str(tmp_path_factory.mktemp(request.param)), format=request.param, keep_publications=5)
    later = AS_OF + dt.timedelta(days=1)
    first = build(spark, "p1")
    more = build(spark, "p2", as_of=later, features=facts().features[:1])
    made = [
        publish(first.tables, rows=first.rows, **arguments(output, "p1", spark=spark)),
        publish(more.tables, rows=more.rows, **arguments(output, "p2", spark=spark, as_of=later)),
    ]
    return output, made


def comparable(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Rows as text in order of the key; times as UTC microseconds."""
    frame = frame.sort_values(list(by_name(table).key)).reset_index(drop=True)
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            frame[name] = (
                frame[name]
                .dt.tz_convert("UTC")
                .astype("datetime64[us, UTC]")
                .astype("int64")
                .where(frame[name].notna(), -1)
            )
        elif pd.api.types.is_datetime64_dtype(frame[name]):
            frame[name] = frame[name].dt.date
    return (
        frame.astype(object)
        .where(frame.notna(), None)
        .map(lambda v: float(v) if isinstance(v, (int, float, Decimal)) else v)
        .astype(str)
    )


def spark_frame(frame: DataFrame) -> pd.DataFrame:
    micros = [F.unix_micros(n).alias(n) if t == "timestamp" else F.col(n) for n, t in frame.dtypes]
    rows = frame.select(*micros).toPandas()
    for name, kind in frame.dtypes:
        if kind == "timestamp":
            rows[name] = pd.to_datetime(rows[name], unit="us", utc=True)
    return rows


def readers(output: Output, publication: Publication, table: str) -> dict[str, Callable[[], pd.DataFrame]]:
    gold = Path(output.path) / "gold"
    if output.format == "parquet":
        folder = gold / str(publication.folder) / table
        return {
            "pandas": lambda: pd.read_parquet(folder),
            "duckdb": lambda: duckdb.connect().execute(f"set timezone='UTC'; from '{folder}/*.parquet'").df(),
        }
    delta = DeltaTable(str(gold / table), version=publication.table_versions.get(table))
    return {
        "delta-rs": lambda: pa.table(delta.to_pyarrow_table()).to_pandas(),
        "duckdb": lambda: duckdb.connect().execute(f"set timezone='UTC'; from read_parquet({delta.file_uris()})").df(),
    }


@pytest.mark.parametrize("table", NAMES)
def test_every_reader_sees_the_same_rows(
    spark: SparkSession, published: tuple[Output, list[Publication]], table: str
) -> None:
    output, made = published
    ours = comparable(spark_frame(read_current(spark, output, table)), table)
    assert len(ours) > 0
    for name, read in readers(output, made[-1], table).items():
        pd.testing.assert_frame_equal(comparable(read(), table), ours, obj=f"{table} by {name}")


def test_ids_come_back_byte_for_byte(spark: SparkSession, published: tuple[Output, list[Publication]]) -> None:
    rows = read_current(spark, published[0], "customers").select("customer_id").collect()
    assert sorted(row[0] for row in rows) == sorted(STRANGE_IDS)


def test_types_are_the_declared_ones_on_disk(spark: SparkSession, published: tuple[Output, list[Publication]]) -> None:
    output, _ = published
    kinds = {
        "string": "string",
        "int": "int",
        "long": "bigint",
        "double": "double",
        "boolean": "boolean",
        "date": "date",
        "timestamp": "timestamp",
        "money": "decimal(20,2)",
    }
    for table in TABLES:
        types = dict(read_current(spark, output, table.name).dtypes)
        assert {c.name: types[c.name] for c in table.columns} == {c.name: kinds[c.kind] for c in table.columns}


def test_cumulative_tables_hold_both_publications_the_others_only_the_last(
    spark: SparkSession, published: tuple[Output, list[Publication]]
) -> None:
    output, _ = published
    for table in TABLES:
        ids = {row[0] for row in read_current(spark, output, table.name).select("publication_id").distinct().collect()}
        stay = table.cumulative and not table.whole and table.replaced_by != ("model_version",)
        assert ids == ({"p1", "p2"} if stay else {"p2"}), table.name


def test_a_feature_that_is_gone_is_gone_from_the_columns(
    spark: SparkSession, published: tuple[Output, list[Publication]]
) -> None:
    output, made = published
    assert "country" not in read_current(spark, output, "assignments").columns
    if output.format == "delta":
        old = DeltaTable(f"{output.path}/gold/assignments", version=made[0].table_versions["assignments"])
        assert "country" in [field.name for field in old.schema().fields]


def test_what_is_current_is_found_without_spark(published: tuple[Output, list[Publication]]) -> None:
    output, made = published
    assert current(output) == made[-1]
    assert made[-1].publication_id == "p2"


def test_files_are_few_and_named_as_parts(published: tuple[Output, list[Publication]]) -> None:
    output, made = published
    if output.format == "parquet":
        folder = Path(output.path) / "gold" / str(made[-1].folder)
        files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
        assert len(files) == len(NAMES)
        assert all(p.name.startswith("part-") and p.suffix == ".parquet" for p in files)


def test_an_output_of_the_other_format_is_refused(
    spark: SparkSession, published: tuple[Output, list[Publication]]
) -> None:
    output, _ = published
    other = output.model_copy(update={"format": "delta" if output.format == "parquet" else "parquet"})
    built = build(spark, "p9")
    with pytest.raises(PublicationError, match="already holds publications"):
        publish(built.tables, rows=built.rows, **arguments(other, "p9", spark=spark))


def test_a_task_that_fails_while_writing_leaves_the_previous_publication(
    spark: SparkSession, published: tuple[Output, list[Publication]], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, _ = published
    before = spark_frame(read_current(spark, output, "assignments"))
    built = build(spark, "p8")
    failing = F.when(F.col("customer_id") == "42", F.raise_error(F.lit("this task fails"))).otherwise(
        F.col("customer_id")
    )
    broken = {name: built.tables[name] for name in FEW if name in built.tables}
    only(FEW, monkeypatch)
    broken["customers"] = broken["customers"].withColumn("customer_id", failing.cast("string"))
    with pytest.raises(PublicationError, match="previous publication is untouched") as refused:
        publish(broken, rows=built.rows, **arguments(output, "p8", spark=spark))
    assert "this task fails" in str(refused.value)
    found = current(output)
    assert found is not None
    assert found.publication_id == "p2"
    pd.testing.assert_frame_equal(spark_frame(read_current(spark, output, "assignments")), before)


def test_a_store_that_only_hadoop_reaches_is_published_to_and_checked(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "is_local", lambda root: False)
    output = Output(path=f"file://{tmp_path}", format="parquet", keep_publications=1)
    built = build(spark, "p1")
    made = publish(
        built.tables, rows=built.rows, **arguments(output, "p1", spark=spark, store=HadoopStore(output.path, spark))
    )
    assert current(output) == made
    assert read_current(spark, output, "customers").count() == len(STRANGE_IDS)
    lost = {**built.rows, "customers": 10}
    with pytest.raises(PublicationError, match="not what was written"):
        publish(
            {name: _renamed(rows, "p2") for name, rows in built.tables.items()},
            rows=lost,
            **arguments(output, "p2", spark=spark, store=HadoopStore(output.path, spark)),
        )
    assert current(output) == made
    assert [p.name for p in (tmp_path / "gold" / "publications").iterdir()] == ["p1"]


def _renamed(rows: Any, publication_id: str) -> Any:
    if isinstance(rows, pa.Table):
        place = rows.column_names.index("publication_id")
        return rows.set_column(place, rows.schema.field(place), pa.array([publication_id] * len(rows), pa.string()))
    return rows.withColumn("publication_id", F.lit(publication_id))
