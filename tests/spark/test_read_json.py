"""JSON lines: values as the text that was written, one type a column, malformed lines told."""

from __future__ import annotations

import pytest

from segengine.config import Config, TransactionsTable
from segengine.errors import InputError
from segengine.io import Source, check_encoding, read_table

COLUMNS = {"customer_id": "id", "amount": "amount", "ordered_at": "day"}


def read(spark, path, *, columns=COLUMNS) -> Source:
    table = TransactionsTable(path=str(path), format="json", columns=columns)
    config = Config(name="t", tables={"transactions": table}, output={"path": "/nowhere/out"})
    return read_table(spark, table, "transactions", config)


def write(path, *lines, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


GOOD = '{"id": "00042", "amount": 1.50, "day": "2024-01-01"}'


def test_numbers_and_text_arrive_as_the_text_that_was_written(spark, tmp_path):
    lines = ['{"id": 7, "amount": "1,5", "day": null}', '{"id": true, "amount": 12345678.90, "extra": {"a": [1, "x"]}}']
    source = read(spark, write(tmp_path / "x.json", GOOD, *lines))
    assert source.text_casts
    assert source.rows.columns == [*source.columns, "_source_file", "_defect", "_defect_text"]
    rows = [tuple(row) for row in source.rows.select("id", "day").collect()]
    assert rows == [("00042", "2024-01-01"), ("7", None), ("true", None)]
    amounts = [row[0] for row in source.rows.select("amount").collect()]
    assert [float(a.replace(",", ".")) for a in amounts] == [1.5, 1.5, 12345678.9]
    assert amounts[1] == "1,5"
    assert source.rows.select("extra.a").collect()[2][0] == ["1", "x"]


def test_malformed_lines_are_told_and_their_neighbours_kept(spark, tmp_path):
    bad = ['{"id": "1", "amount":', "[1, 2]", '"text"', "17", "null", "id,amount", '{"id": "2"} x{']
    source = read(spark, write(tmp_path / "x.json", GOOD, *bad, "", "  ", GOOD))
    rows = [tuple(row) for row in source.rows.select("id", "_defect", "_defect_text").collect()]
    assert rows[0] == rows[-1] == ("00042", None, None)
    assert [row[2] for row in rows[1:-1] if row[1] == "malformed_row"][: len(bad) - 1] == bad[:-1]
    assert len(rows) == len(bad) + 2
    assert source.rows.select("_defect").where("_defect is not null").count() >= len(bad) - 1


def test_keys_may_differ_between_files(spark, tmp_path):
    write(tmp_path / "a.json", GOOD)
    write(tmp_path / "b.json", '{"amount": 2, "id": 8, "day": "2024-02-01", "channel": "web"}')
    source = read(spark, tmp_path)
    rows = sorted(tuple(row) for row in source.rows.select("id", "amount", "channel").collect())
    assert rows == [("00042", "1.5", None), ("8", "2", "web")]


def test_a_key_nobody_wrote_is_a_missing_column(spark, tmp_path):
    with pytest.raises(InputError, match="column 'amount' not found"):
        read(spark, write(tmp_path / "x.json", '{"id": 1, "day": "2024-01-01"}'))


def test_keys_that_differ_in_case_are_refused(spark, tmp_path):
    with pytest.raises(InputError):
        read(spark, write(tmp_path / "x.json", GOOD, '{"ID": 1}'))


def test_an_array_an_object_over_many_lines_and_nothing_are_refused(spark, tmp_path):
    with pytest.raises(InputError, match="one JSON array"):
        read(spark, write(tmp_path / "array.json", "[" + GOOD + "]"))
    with pytest.raises(InputError, match="no line is a JSON object"):
        read(spark, write(tmp_path / "pretty.json", "{", '"id": 1', "}"))
    with pytest.raises(InputError, match="0 rows"):
        read(spark, write(tmp_path / "blank.json", " ", ""))


def test_names_with_dots_and_spaces_and_partition_folders(spark, tmp_path):
    write(tmp_path / "in" / "year=2024" / "x.json", '{"customer.id": "1", "the day": "2024-01-01", "a": {"b": 2}}')
    columns = {"customer_id": "customer.id", "ordered_at": "the day", "amount": "a.b"}
    source = read(spark, tmp_path / "in", columns=columns)
    assert set(source.columns) == {"customer.id", "the day", "a", "year"}
    assert source.rows.select("`customer.id`", "`the day`", "a.b", "year").collect() == [
        ("1", "2024-01-01", "2", "2024")
    ]


def test_bad_bytes_name_file_and_offset(spark, tmp_path):
    path = write(tmp_path / "x.json", GOOD, '{"id": "Zürich", "amount": 1}', encoding="latin-1")
    source = read(spark, path)
    with pytest.raises(InputError, match="not utf-8") as caught:
        check_encoding(source, 1)
    assert caught.value.where.endswith(f"byte offset {path.read_bytes().index(0xFC)}")


def test_lines_are_counted_whatever_is_selected(spark, tmp_path):
    source = read(spark, write(tmp_path / "x.json", GOOD, "broken", GOOD))
    assert source.rows.count() == 3
    assert source.rows.select("_defect").where("_defect = 'malformed_row'").count() == 1
    assert source.rows.select("_defect_text").distinct().count() == 2
