"""Text cast strictly: what is not exactly an amount or a time is null, in every zone and without an error."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from segengine.io import wall_clock as walls
from segengine.io.casts import amount_from_text, timestamp_from_nanoseconds, timestamp_from_text
from segengine.io.wall_clock import by_cast, in_session_zone, offsets, wall_clock


@pytest.fixture(params=["UTC", "America/New_York"])
def session_zone(spark, request):
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", request.param)
    yield request.param
    spark.conf.set("spark.sql.session.timeZone", before)


def cast_all(spark, texts, cast):
    rows = spark.createDataFrame([(i, t) for i, t in enumerate(texts)], "i int, t string")
    return [row[0] for row in rows.orderBy("i").select(cast(F.col("t"))).collect()]


def amounts(spark, texts, decimal="."):
    return cast_all(spark, texts, lambda t: amount_from_text(t, decimal))


def instants(spark, texts, pattern=None, zone="UTC"):
    found = cast_all(spark, texts, lambda text: F.unix_micros(timestamp_from_text(text, pattern, zone)))
    epoch = dt.datetime(1970, 1, 1)
    return [None if m is None else str(epoch + dt.timedelta(microseconds=m)) for m in found]


def test_amounts_with_a_point(spark):
    texts = ["1", "-1234.50", "+0.5", ".5", "5.", " 7 ", "\u00a07\t", "007", "0.00000000005", "9" * 27 + "." + "9" * 30]
    assert amounts(spark, texts) == [
        *map(Decimal, ("1", "-1234.5", "0.5", "0.5", "5", "7", "7", "7", "0.0000000001", "1" + "0" * 27))
    ]


def test_rows_13_to_16_what_is_no_amount_is_null(spark):
    texts = [
        "abc",
        "1234,50",
        "1,234.50",
        "1 234",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e5",
        "12E3",
        "0x10",
        "$5",
        "5 EUR",
    ]
    texts += ["", " ", "-", ".", "1.2.3", "--1", "(5)", "1\n2", "٣", "9" * 28, "1_000", "5d", "5f", "1.", "true", None]
    expected: list[Decimal | None] = [None] * len(texts)
    expected[texts.index("1.")] = Decimal(1)
    assert amounts(spark, texts) == expected


def test_amounts_with_a_comma_refuse_the_point(spark):
    assert amounts(spark, ["1234,50", "-,5", "1234.50", "1.234,50", "12"], ",") == [
        Decimal("1234.5"),
        Decimal("-0.5"),
        None,
        None,
        Decimal(12),
    ]


def test_zeros_in_front_do_not_count_as_digits(spark):
    assert amounts(spark, ["0" * 60 + "1.5"]) == [Decimal("1.5")]


def test_large_doubles_as_java_writes_them_are_amounts(spark):
    assert amounts(spark, ["1.23456789E7", "-1.0E10", "1.5E-5"]) == [
        Decimal("12345678.9"),
        Decimal("-10000000000"),
        Decimal("0.000015"),
    ]


def test_iso_times_with_and_without_an_offset(spark, session_zone):
    texts = ["2024-07-01", "2024-07-01 10:00", "2024-07-01T10:00:00", " 2024-07-01T10:00:00.1234567 "]
    assert instants(spark, texts, zone="Europe/London") == [
        "2024-06-30 23:00:00",
        "2024-07-01 09:00:00",
        "2024-07-01 09:00:00",
        "2024-07-01 09:00:00.123456",
    ]
    offsets = ["Z", " UTC", "+00", "+0000", "+00:00", " -00:00"]
    assert instants(spark, [f"2024-07-01T10:00:00{o}" for o in offsets], zone="Asia/Kolkata") == [
        "2024-07-01 10:00:00"
    ] * len(offsets)
    assert instants(spark, ["2024-07-01T10:00+0530", "2024-07-01 10:00:00,5 -03"]) == [
        "2024-07-01 04:30:00",
        "2024-07-01 13:00:00.500000",
    ]


def test_row_17_what_is_no_time_is_null(spark, session_zone):
    texts = ["2024-02-30", "03/04/2024", "2024", "2024-03", "10:00", "2024-1-1", "2024-01-01T25:00", "20240101"]
    texts += ["now", "epoch", "2024-01-01 10:00 Mars/Phobos", "+2024-01-01", "2024-01-01x", "", None, "2024-13-01"]
    texts += ["2024-01-01T10:00+99:00", "1704067200"]
    assert instants(spark, texts) == [None] * len(texts)


def test_row_18_far_years_do_not_break(spark, session_zone):
    assert instants(spark, ["0001-01-01", "9999-12-31 23:59:59"]) == ["0001-01-01 00:00:00", "9999-12-31 23:59:59"]


def test_row_19_the_hour_that_is_skipped_moves_on_and_the_one_that_is_repeated_is_the_first(spark, session_zone):
    # London 2024: skipped 01:00 to 02:00 on 31 March, repeated 01:00 to 02:00 on 27 October
    for pattern in (None, "yyyy-MM-dd HH:mm"):
        assert instants(spark, ["2024-03-31 01:30", "2024-10-27 01:30"], pattern, "Europe/London") == [
            "2024-03-31 01:30:00",
            "2024-10-27 00:30:00",
        ]


def test_a_pattern_is_followed_strictly(spark, session_zone):
    pattern = "dd/MM/yyyy HH:mm"
    texts = ["03/04/2024 10:00", "30/02/2024 10:00", "3/4/2024 10:00", "2024-04-03 10:00", "03/04/2024 10:00 x", None]
    assert instants(spark, texts, pattern, "Asia/Kolkata") == ["2024-04-03 04:30:00"] + [None] * 5


def test_a_pattern_of_a_date_alone_is_its_midnight_in_the_zone(spark, session_zone):
    assert instants(spark, ["03.04.2024"], "dd.MM.yyyy", "Asia/Kolkata") == ["2024-04-02 18:30:00"]


def test_a_pattern_with_an_offset_needs_no_zone(spark, session_zone):
    assert instants(spark, ["03/04/2024 10:00 +02:00"], "dd/MM/yyyy HH:mm XXX", "Asia/Kolkata") == [
        "2024-04-03 08:00:00"
    ]


def test_zoneless_timestamps_are_wall_clock_in_their_zone(spark, session_zone):
    texts = ["2024-03-31 01:30:00.123456", "2024-10-27 01:30:00", "1900-01-01 00:00:00", "2024-03-10 02:30:00"]
    rows = spark.createDataFrame([(i, t) for i, t in enumerate(texts)], "i int, t string")
    ntz = F.expr("cast(t as timestamp_ntz)")
    found = rows.select("i", F.unix_micros(wall_clock(ntz, "Europe/London")).alias("m")).orderBy("i").collect()
    expected = [1711848600123456, 1729989000000000, -2208988800000000, 1710037800000000]
    assert [row.m for row in found] == expected
    spark.conf.set("spark.sql.session.timeZone", "Europe/London")
    cheap = in_session_zone(spark, "Europe/London")(rows.select("i", ntz.alias("at")), ["at"])
    found = cheap.select(F.unix_micros("at").alias("m")).orderBy("i").collect()
    assert [row.m for row in found] == expected


ZONES = (
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Tokyo",
    "UTC",
)


@pytest.mark.parametrize("zone", ZONES)
def test_comparing_with_changes_of_the_offset_is_what_spark_casts_to_at_any_time(spark, session_zone, zone):
    spark.conf.set("spark.sql.session.timeZone", zone)
    in_session_zone.cache_clear()
    convert = in_session_zone(spark, zone)
    assert convert is not by_cast
    # A wall clock every 13 hours and some minutes for two hundred years, and every half hour of a year of late.
    long = -2_500_000_000_000_000 + 47_123_456_789 * np.arange(140_000)
    close = 1_640_995_200_000_000 + 1_800_000_000 * np.arange(17_520)
    texts = np.concatenate([long, close]).astype("datetime64[us]").astype(str).tolist()
    moments = spark.createDataFrame(pd.DataFrame({"text": [*texts, None]}), "text string")
    at = F.col("text").cast("timestamp_ntz")
    rows = moments.select(at.alias("at"), at.cast("timestamp").alias("cast"))
    other = convert(rows, ["at"]).where("NOT at <=> cast")
    assert other.count() == 0


@pytest.mark.parametrize("wrong", [(0, 3_600_000_000), (1, 1)])
def test_where_python_and_java_differ_about_a_zone_spark_casts_every_row(spark, session_zone, monkeypatch, wrong):
    place, by = wrong
    known = offsets("Europe/Berlin", 2015, 2027)
    known[5] = tuple(value + by * (place == i) for i, value in enumerate(known[5]))
    monkeypatch.setattr(walls, "offsets", lambda *asked: known)
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    in_session_zone.cache_clear()
    assert in_session_zone(spark, "Europe/Berlin") is by_cast
    in_session_zone.cache_clear()


def test_changes_of_the_offset_are_known_to_the_second():
    at = {
        start // 1_000_000 - 1_704_067_200: offset // 3_600_000_000
        for start, offset in offsets("Europe/London", 2024, 2024)
    }
    days = 86_400
    assert at == {0: 0, 90 * days + 2 * 3_600: 1, 300 * days + 2 * 3_600: 0, 366 * days: 0}


def test_nanoseconds_are_floored_not_rounded(spark, session_zone):
    nanoseconds = [1711848600123456789, -1, -1000, -1001, None]
    rows = spark.createDataFrame([(i, n) for i, n in enumerate(nanoseconds)], "i int, n bigint")
    for zone, shift in ((None, 0), ("Asia/Kolkata", -19_800_000_000)):
        found = rows.select("i", F.unix_micros(timestamp_from_nanoseconds(F.col("n"), zone)).alias("m"))
        expected = [1711848600123456, -1, -1, -2]
        assert [row.m for row in found.orderBy("i").collect()] == [*(e + shift for e in expected), None]
