"""Parquet as it arrives: nanoseconds exact, files that differ or are damaged refused by name, rows counted."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from segengine.config import Config, TransactionsTable
from segengine.errors import InputError
from segengine.io import Source, check_rows_read, explain_read_failure, read_table

COLUMNS = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}


def read(spark, path, *, columns=COLUMNS, timezone="UTC", **more) -> Source:
    table = TransactionsTable(path=str(path), format="parquet", columns=columns, **more)
    config = Config(name="t", timezone=timezone, tables={"transactions": table}, output={"path": "/nowhere/out"})
    return read_table(spark, table, "transactions", config)


def write(path, *, rows=3, drop=(), extra=None, types=None, **options):
    columns = {
        "id": pa.array([f"c{i}" for i in range(rows)], pa.string()),
        "at": pa.array([dt.datetime(2024, 1, 1 + i) for i in range(rows)], pa.timestamp("us", "UTC")),
        "amount": pa.array([Decimal(i) for i in range(rows)], pa.decimal128(10, 2)),
        **(extra or {}),
    }
    columns |= {name: columns[name].cast(kind) for name, kind in (types or {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: c for name, c in columns.items() if name not in drop}), path, **options)
    return path


def micros(source, column="at"):
    return [row[0] for row in source.rows.orderBy("id").select(F.unix_micros(column)).collect()]


def test_columns_keep_their_types_and_footers_are_added_up(spark, tmp_path):
    write(tmp_path / "in" / "a.parquet")
    write(tmp_path / "in" / "b.parquet", rows=5)
    write(tmp_path / "in" / "_c.parquet", drop=["id"])
    source = read(spark, tmp_path / "in")
    assert source.columns == ("id", "at", "amount")
    assert dict(source.rows.dtypes)["amount"] == "decimal(10,2)"
    assert source.facts.rows_expected == source.rows.count() == 8
    assert (source.facts.files, source.facts.format, source.text_casts) == (2, "parquet", False)
    assert source.rows.select("_defect", "_defect_text").distinct().collect() == [(None, None)]
    names = {str(row[0]).rsplit("/", 1)[-1] for row in source.rows.select("_source_file").collect()}
    assert names == {"a.parquet", "b.parquet"}


def test_row_1_to_4_missing_empty_and_without_rows(spark, tmp_path):
    with pytest.raises(InputError, match="nothing at this path"):
        read(spark, tmp_path / "gone")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="0 files"):
        read(spark, tmp_path / "in")
    write(tmp_path / "in" / "a.parquet", rows=0)
    with pytest.raises(InputError, match="0 rows"):
        read(spark, tmp_path / "in")


def test_row_7_a_column_that_is_not_there_is_named(spark, tmp_path):
    with pytest.raises(InputError, match="column 'amount' not found"):
        read(spark, write(tmp_path / "a.parquet", drop=["amount"]))


def test_row_9_columns_that_differ_in_case_are_refused(spark, tmp_path):
    with pytest.raises(InputError, match="'id' and 'ID' differ only in case"):
        read(spark, write(tmp_path / "a.parquet", extra={"ID": pa.array(["a", "b", "c"])}))


def damage_truncated(content):
    return content[: len(content) // 2]


def damage_empty(content):
    return b""


def damage_text(content):
    return b"id,at,amount\n1,2,3\n"


def damage_footer(content):
    return content[:-60] + bytes(byte ^ 0xFF for byte in content[-60:-8]) + content[-8:]


def damage_length(content):
    return content[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"


def damage_magic_only(content):
    return b"PAR1PAR1"


@pytest.mark.parametrize(
    "damage", [damage_truncated, damage_empty, damage_text, damage_footer, damage_length, damage_magic_only]
)
def test_row_28_a_damaged_file_among_good_ones_is_named(spark, tmp_path, damage):
    write(tmp_path / "a.parquet")
    bad = write(tmp_path / "b.parquet")
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(InputError, match="cannot be read as Parquet") as caught:
        read(spark, tmp_path)
    assert caught.value.where.endswith("b.parquet")


def test_row_29_damaged_pages_are_explained_naming_the_file(spark, tmp_path):
    bad = write(tmp_path / "b.parquet", rows=20, compression="snappy", use_dictionary=False)
    content = bad.read_bytes()
    bad.write_bytes(content[:4] + b"\xff" * 300 + content[304:])
    with pytest.raises(Exception, match=r"b\.parquet") as caught:
        read(spark, tmp_path).rows.select("id", "at", "amount").collect()
    told = explain_read_failure(caught.value, "transactions")
    assert isinstance(told, InputError)
    assert told.where.endswith("b.parquet")


def test_row_29_rows_read_must_be_the_rows_that_the_footers_promise(spark, tmp_path):
    source = read(spark, write(tmp_path / "a.parquet"))
    check_rows_read(source, 3)
    for read_rows in (0, 2, 4):
        with pytest.raises(InputError, match=f"{read_rows} rows were read, the files promise 3"):
            check_rows_read(source, read_rows)


@pytest.mark.parametrize("drop", ["amount", "note"])
def test_row_31_a_column_that_one_file_lacks_is_refused_naming_both(spark, tmp_path, drop):
    note = {"note": pa.array(["x", "y", "z"])}
    write(tmp_path / "a.parquet", extra=note)
    write(tmp_path / "b.parquet", extra=note, drop=[drop])
    for order in ((tmp_path / "a.parquet", tmp_path / "b.parquet"), (tmp_path / "b.parquet", tmp_path / "a.parquet")):
        order[0].rename(tmp_path / "x")
        order[1].rename(tmp_path / "b.parquet")
        (tmp_path / "x").rename(tmp_path / "a.parquet")
        with pytest.raises(InputError, match=f"column '{drop}' is missing in [ab].parquet") as caught:
            read(spark, tmp_path)
        assert {"a.parquet", "b.parquet"} == {n for n in ("a.parquet", "b.parquet") if n in str(caught.value)}


def test_row_31_a_type_that_differs_is_refused_naming_both(spark, tmp_path):
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", types={"amount": pa.float64()})
    with pytest.raises(InputError, match=r"'amount' has different types in a\.parquet and b\.parquet") as caught:
        read(spark, tmp_path)
    assert "decimal(10,2) in a.parquet, DOUBLE in b.parquet" in caught.value.found


def test_writers_that_name_the_width_of_a_number_and_those_that_do_not_write_one_type(spark, tmp_path):
    extra = {"whole": pa.array([1, 2, None], pa.int32()), "big": pa.array([3, 4, 5], pa.int64())}
    write(tmp_path / "a.parquet", extra=extra)
    with duckdb.connect() as database:
        file = write(tmp_path / "c.parquet", extra=extra)
        database.execute(f"COPY (SELECT * FROM '{file}') TO '{tmp_path / 'b.parquet'}' (FORMAT parquet)")
        file.unlink()
    named = [str(pq.read_metadata(tmp_path / f"{name}.parquet").schema.column(3).logical_type) for name in "ab"]
    assert named == ["None", "Int(bitWidth=32, isSigned=true)"]
    assert read(spark, tmp_path).rows.where("whole = 2 AND big = 4").count() == 2


def test_columns_in_another_order_are_the_same_columns(spark, tmp_path):
    write(tmp_path / "a.parquet")
    table = pq.read_table(write(tmp_path / "b.parquet"))
    pq.write_table(table.select(["amount", "id", "at"]), tmp_path / "b.parquet")
    assert read(spark, tmp_path).rows.where("id = 'c2'").select("amount").collect() == [(Decimal("2.00"),)] * 2


INSTANT = 1711848600123456789  # 2024-03-31 01:30:00.123456789 UTC


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_timestamps_with_a_zone_are_instants_cut_to_microseconds(spark, tmp_path, unit):
    step = {"ns": 1, "us": 1000, "ms": 1_000_000}[unit]
    stamps = pa.array([INSTANT // step, -1_500 // step, None], pa.timestamp(unit, "Asia/Kolkata"))
    source = read(spark, write(tmp_path / "a.parquet", extra={"at": stamps}), timezone="Europe/London")
    assert dict(source.rows.dtypes)["at"] == "timestamp"
    cut = {"ns": 1, "us": 1, "ms": 1000}[unit]
    first = 1711848600123456 // cut * cut
    assert micros(source) == [first, (-1_500 // step) * step // 1000, None]


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
@pytest.mark.parametrize("session_zone", ["UTC", "America/New_York", "Europe/London"])
@pytest.mark.parametrize("many", [0, 1_000_000])
def test_timestamps_without_a_zone_are_wall_clock_in_the_configured_zone(
    spark, tmp_path, unit, session_zone, many, monkeypatch
):
    monkeypatch.setattr("segengine.io.read.MANY_ROWS", many)
    walls = [dt.datetime(2024, 7, 1, 10), dt.datetime(2024, 3, 10, 2, 30), dt.datetime(2024, 1, 1)]
    path = write(tmp_path / "a.parquet", extra={"at": pa.array(walls, pa.timestamp(unit))})
    spark.conf.set("spark.sql.session.timeZone", session_zone)
    try:
        utc = [1719828000000000, 1710037800000000, 1704067200000000]
        hour = 3_600_000_000
        assert micros(read(spark, path, timezone="Europe/London")) == [utc[0] - hour, utc[1], utc[2]]
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_the_zone_of_a_table_goes_before_the_zone_of_the_config(spark, tmp_path):
    at = pa.array([dt.datetime(2024, 7, 1, 10)], pa.timestamp("ns"))
    path = write(tmp_path / "a.parquet", rows=1, extra={"at": at})
    table = TransactionsTable(path=str(path), columns=COLUMNS, timezone="Asia/Kolkata")
    config = Config(name="t", timezone="UTC", tables={"transactions": table}, output={"path": "/nowhere/out"})
    assert micros(read_table(spark, table, "transactions", config)) == [1719828000000000 - 19_800_000_000]


def test_int96_timestamps_are_instants(spark, tmp_path):
    path = write(tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    assert micros(read(spark, path))[0] == 1704067200000000


def test_a_bigint_is_not_taken_for_nanoseconds(spark, tmp_path):
    source = read(spark, write(tmp_path / "a.parquet", extra={"n": pa.array([INSTANT] * 3)}))
    assert dict(source.rows.dtypes)["n"] == "bigint"


def test_names_with_dots_spaces_and_nested_parts_survive(spark, tmp_path):
    extra = {
        "order.at": pa.array([INSTANT] * 3, pa.timestamp("ns", "UTC")),
        "Customer ID": pa.array(["a", "b", "c"]),
        "address": pa.array([{"city": "Ulm", "at": None}] * 3, pa.struct([("city", pa.string()), ("at", pa.int64())])),
    }
    columns = {"customer_id": "Customer ID", "ordered_at": "order.at", "amount": "length(address.city)"}
    source = read(spark, write(tmp_path / "a.parquet", extra=extra), columns=columns)
    assert source.columns == ("id", "at", "amount", "order.at", "Customer ID", "address")
    assert micros(source, "`order.at`") == [1711848600123456] * 3


def test_partition_folders_are_text_columns(spark, tmp_path):
    write(tmp_path / "in" / "year=2023" / "month=01" / "a.parquet")
    write(tmp_path / "in" / "year=2024" / "month=02" / "a.parquet")
    source = read(spark, tmp_path / "in")
    assert source.columns == ("id", "at", "amount", "year", "month")
    assert source.rows.where("year = '2024' and month = '02'").count() == 3


def test_a_delta_table_is_not_read_as_parquet(spark, tmp_path):
    spark.range(3).selectExpr("cast(id as string) id").write.format("delta").save(str(tmp_path / "d"))
    with pytest.raises(InputError, match="this is a Delta table"):
        read(spark, tmp_path / "d")


def test_a_file_that_is_replaced_while_it_is_read_is_explained(spark, tmp_path):
    path = write(tmp_path / "a.parquet")
    source = read(spark, tmp_path)
    path.unlink()
    with pytest.raises(Exception, match=r"a\.parquet") as caught:
        source.rows.collect()
    told = explain_read_failure(caught.value, "transactions")
    assert told is not None
    assert "the file is gone" in str(told)


def test_hundreds_of_footers_are_read(spark, tmp_path):
    for number in range(300):
        write(tmp_path / f"{number}.parquet", rows=number % 3)
    source = read(spark, tmp_path)
    assert source.facts.rows_expected == source.rows.count() == 300
