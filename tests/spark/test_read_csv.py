"""CSV as it arrives: read by name, every line counted, nothing guessed, errors that name the file."""

from __future__ import annotations

import bz2
import gzip

import pytest
from pyspark.sql import functions as F

from segengine.config import Config, CsvOptions, TransactionsTable
from segengine.errors import ConfigError, InputError
from segengine.io import Source, check_encoding, explain_read_failure, read_table

COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "amount"}


def read(spark, path, *, columns=COLUMNS, timezone="UTC", **options) -> Source:
    table = TransactionsTable(path=str(path), format="csv", columns=columns, csv=CsvOptions(**options))
    config = Config(name="t", timezone=timezone, tables={"transactions": table}, output={"path": "/nowhere/out"})
    return read_table(spark, table, "transactions", config)


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def values(source, *names):
    return sorted(tuple(row) for row in source.rows.select(*names).collect())


PLAIN = "id,day,amount\n00042,2024-01-01,1.50\n7,2024-01-02,2\n"
ROWS = [("00042", "2024-01-01", "1.50"), ("7", "2024-01-02", "2")]


def test_every_value_is_the_text_that_was_in_the_file(spark, tmp_path):
    line = '" 00042 ", x ,NaN,null,NULL,\\N,"",,"a ""b"", c",5" disc,-\n'
    path = write(tmp_path / "x.csv", "id,b,c,d,e,f,day,amount,i,j,k\n" + line)
    source = read(spark, path)
    (row,) = source.rows.drop("_source_file").collect()
    expected = (" 00042 ", " x ", "NaN", "null", "NULL", "\\N", None, None, 'a "b", c', '5" disc', "-", None, None)
    assert tuple(row) == expected
    assert source.text_casts
    assert source.columns == ("id", "b", "c", "d", "e", "f", "day", "amount", "i", "j", "k")
    assert source.rows.columns == [*source.columns, "_source_file", "_defect", "_defect_text"]


def test_facts_say_what_was_read(spark, tmp_path):
    write(tmp_path / "in" / "a.csv", PLAIN)
    write(tmp_path / "in" / "b.csv", PLAIN)
    facts = read(spark, tmp_path / "in").facts
    assert (facts.name, facts.format, facts.location) == ("transactions", "csv", str(tmp_path / "in"))
    assert (facts.files, facts.size_bytes, facts.rows_expected) == (2, 2 * len(PLAIN), None)
    assert len(facts.fingerprint) == 64
    assert facts.warnings == ()


# Rows 1 to 9: what is refused before a row is read


def test_row_1_a_missing_path_is_named(spark, tmp_path):
    with pytest.raises(InputError, match="nothing at this path") as caught:
        read(spark, tmp_path / "gone.csv")
    assert str(tmp_path / "gone.csv") in str(caught.value)


@pytest.mark.parametrize("name", [None, "_x.csv", ".x.csv", "_old/x.csv"])
def test_row_2_a_folder_without_visible_files_has_0_files(spark, tmp_path, name):
    (tmp_path / "in").mkdir()
    if name:
        write(tmp_path / "in" / name, PLAIN)
    with pytest.raises(InputError, match="0 files"):
        read(spark, tmp_path / "in")


def test_row_2_a_hidden_file_is_not_read_even_by_name(spark, tmp_path):
    with pytest.raises(InputError, match="0 files"):
        read(spark, write(tmp_path / "_x.csv", PLAIN))


@pytest.mark.parametrize("content", ["", "\n \r\n", "\ufeff"])
def test_row_3_an_empty_file_is_named_also_among_good_ones(spark, tmp_path, content):
    write(tmp_path / "a.csv", PLAIN)
    write(tmp_path / "b.csv", content)
    with pytest.raises(InputError, match="empty") as caught:
        read(spark, tmp_path)
    assert "b.csv" in caught.value.where


def test_row_4_a_header_and_nothing_else_is_0_rows(spark, tmp_path):
    with pytest.raises(InputError, match="0 rows"):
        read(spark, write(tmp_path / "x.csv", "id,day,amount\n\n"))


def test_row_4_a_file_without_rows_among_others_is_fine(spark, tmp_path):
    write(tmp_path / "a.csv", "id,day,amount\n")
    write(tmp_path / "b.csv", PLAIN)
    assert values(read(spark, tmp_path), "id", "day", "amount") == ROWS


def test_row_5_a_missing_header_is_seen_and_no_value_of_a_customer_is_shown(spark, tmp_path):
    with pytest.raises(InputError, match="column 'id' not found") as caught:
        read(spark, write(tmp_path / "x.csv", "secret-00042,2024-01-01,1.50\n7,2024-01-02,2\n"))
    assert "header line seems to be missing" in caught.value.found
    assert "secret" not in str(caught.value)


def test_row_6_swapped_columns_of_one_type_are_read_by_name(spark, tmp_path):
    write(tmp_path / "a.csv", PLAIN)
    write(tmp_path / "b.csv", "amount,id,DAY\n9.99,8,2024-03-01\n")
    source = read(spark, tmp_path)
    assert values(source, "id", "day", "amount") == sorted([*ROWS, ("8", "2024-03-01", "9.99")])
    assert source.columns == ("id", "day", "amount")


def test_row_7_a_missing_column_is_named_with_what_there_is(spark, tmp_path):
    with pytest.raises(InputError, match="column 'amount' not found") as caught:
        read(spark, write(tmp_path / "x.csv", "id,day,Amounts\n1,2,3\n"))
    assert caught.value.where == "tables.transactions.columns.amount"
    assert caught.value.found == "columns: id, day, Amounts"
    assert "Did you mean 'Amounts'?" in caught.value.todo


def test_row_7_a_column_missing_in_an_expression_is_named(spark, tmp_path):
    columns = COLUMNS | {"amount": "quantity * price"}
    with pytest.raises(InputError, match="column 'price' not found") as caught:
        read(spark, write(tmp_path / "x.csv", "id,day,quantity\n1,2,3\n"), columns=columns)
    assert caught.value.where == "tables.transactions.columns.amount"


def test_row_7_a_column_that_one_file_lacks_names_both_files(spark, tmp_path):
    write(tmp_path / "a.csv", PLAIN)
    write(tmp_path / "b.csv", "id,day\n8,2024-03-01\n")
    with pytest.raises(InputError, match=r"'amount' is missing in b\.csv") as caught:
        read(spark, tmp_path)
    assert "a.csv" in caught.value.found


def test_row_8_an_extra_column_nobody_asked_for_is_ignored_with_a_warning(spark, tmp_path):
    write(tmp_path / "a.csv", PLAIN)
    write(tmp_path / "b.csv", "id,note,day,amount\n8,hello,2024-03-01,9.99\n")
    source = read(spark, tmp_path)
    assert values(source, "id", "day", "amount") == sorted([*ROWS, ("8", "2024-03-01", "9.99")])
    assert source.columns == ("id", "day", "amount")
    assert source.facts.warnings == (
        "transactions: column 'note' is only in 1 of 2 files, such as b.csv; it is ignored.",
    )


@pytest.mark.parametrize("header", ["id,day,amount,id", "id,day,amount,ID"])
def test_row_9_two_columns_of_one_name_are_refused(spark, tmp_path, header):
    with pytest.raises(InputError, match=r"occurs twice|differ only in case") as caught:
        read(spark, write(tmp_path / "x.csv", f"{header}\n1,2,3,4\n"))
    assert "x.csv" in caught.value.where


def test_a_column_with_one_of_our_names_is_refused(spark, tmp_path):
    with pytest.raises(InputError, match="_source_file"):
        read(spark, write(tmp_path / "x.csv", "id,day,amount,_source_file\n1,2,3,4\n"))


def test_another_delimiter_is_suggested(spark, tmp_path):
    with pytest.raises(InputError) as caught:
        read(spark, write(tmp_path / "x.csv", "id;day;amount\n1;2;3\n"))
    assert "';'" in caught.value.todo


# Rows 10 to 12: defective lines, each told apart, none lost


def test_rows_10_to_12_defective_lines_are_told_apart_and_their_neighbours_kept(spark, tmp_path):
    lines = ["1,a,b", "2,a", "3,a,b,c", '4,"a,b', "5,a,b", '6,"a"x,b', '7,"a,""b""",c', '8,"a', 'b",c', "9,a,b"]
    path = write(tmp_path / "x.csv", "line,day,amount\n" + "\n".join(lines) + "\n")
    source = read(spark, path, columns={"customer_id": "line", "ordered_at": "day", "amount": "amount"})
    found = source.rows.select("line", "day", "amount", "_defect", "_defect_text").collect()
    assert [tuple(row) for row in found] == [
        ("1", "a", "b", None, None),
        (None, None, None, "short_row", "2,a"),
        (None, None, None, "long_row", "3,a,b,c"),
        (None, None, None, "unclosed_quote", '4,"a,b'),
        ("5", "a", "b", None, None),
        (None, None, None, "malformed_row", '6,"a"x,b'),
        ("7", 'a,"b"', "c", None, None),
        (
            None,
            None,
            None,
            "unclosed_quote",
            '8,"a',
        ),  # a quoted line break: both halves are told, and nothing after them
        (None, None, None, "short_row", 'b",c'),
        ("9", "a", "b", None, None),
    ]


def test_counting_and_filtering_agree_with_collecting(spark, tmp_path):
    source = read(spark, write(tmp_path / "x.csv", 'id,day,amount\n1,a,b\n2,a\n3,"a,b\n4,a,b\n'))
    assert source.rows.count() == 4
    assert source.rows.where("_defect is not null").count() == 2
    assert source.rows.select("_defect").collect() == source.rows.select("_defect").collect()
    assert source.rows.groupBy("_defect").count().count() == 3
    assert source.rows.where("id = '4'").select("amount").collect()[0][0] == "b"


def test_a_line_of_many_thousand_fields_is_one_long_row(spark, tmp_path):
    source = read(
        spark, write(tmp_path / "x.csv", "id,day,amount\n" + "," * 50_000 + "\n" + '"' * 50_001 + "\n1,2,3\n")
    )
    assert source.rows.groupBy("_defect").count().orderBy("_defect").collect() == [
        (None, 1),
        ("long_row", 1),
        ("unclosed_quote", 1),
    ]


def test_quotes_can_be_switched_off(spark, tmp_path):
    source = read(spark, write(tmp_path / "x.csv", 'id|day|amount\n1|"a|"\n'), quote="", delimiter="|")
    assert values(source, "id", "day", "amount") == [("1", '"a', '"')]


def test_a_tab_and_a_delimiter_of_two_characters(spark, tmp_path):
    for delimiter, name in (("\t", "t"), ("||", "p"), ("\\t", "e")):
        shown = "\t" if delimiter == "\\t" else delimiter
        path = write(tmp_path / f"{name}.csv", PLAIN.replace(",", shown) + f'8{shown}"a{shown}b"{shown}c\n')
        source = read(spark, path, delimiter=delimiter)
        assert values(source, "id", "day", "amount") == sorted([*ROWS, ("8", f"a{shown}b", "c")])


def test_column_names_with_dots_spaces_and_backticks_survive(spark, tmp_path):
    path = write(tmp_path / "x.csv", "Customer ID, order.day ,a`b,\n1,2,3,4\n")
    source = read(spark, path, columns={"customer_id": "Customer ID", "ordered_at": "order.day", "amount": "a`b"})
    assert source.columns == ("Customer ID", "order.day", "a`b", "_c3")
    assert tuple(source.rows.collect()[0])[:4] == ("1", "2", "3", "4")


# Rows 25 to 27: encodings and compression


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").rstrip().encode(),
        b"\n\n" + PLAIN.encode(),
    ],
    ids=["bom", "crlf", "cr only", "bom, crlf, no last break", "blank lines first"],
)
def test_row_25_marks_and_line_breaks_make_no_difference(spark, tmp_path, content):
    source = read(spark, write(tmp_path / "x.csv", content))
    assert values(source, "id", "day", "amount") == ROWS
    assert source.rows.where("_defect is not null").count() == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_row_26_utf_16_is_refused_naming_the_file_unless_configured(spark, tmp_path, encoding):
    path = write(tmp_path / "x.csv", PLAIN, encoding)
    with pytest.raises(InputError, match="UTF-16") as caught:
        read(spark, path)
    assert "x.csv, byte offset" in caught.value.where
    assert values(read(spark, path, encoding=encoding), "id", "day", "amount") == ROWS


def test_row_26_utf_16_rows_keep_their_defects(spark, tmp_path):
    path = write(tmp_path / "x.csv", 'id,day,amount\r\n1,"ü\r\n2,a\r\n3,ø,"b,c"\r\n', "utf-16")
    source = read(spark, path, encoding="utf-16")
    assert [row[0] for row in source.rows.select("_defect").collect()] == ["unclosed_quote", "short_row", None]
    assert source.rows.where("id = '3'").select("day", "amount").collect() == [("ø", "b,c")]


def test_row_26_latin_1_is_refused_naming_file_and_byte(spark, tmp_path):
    write(tmp_path / "a.csv", PLAIN)
    content = PLAIN.encode() + "8,Zürich,3\n".encode("latin-1")
    write(tmp_path / "b c.csv", content)
    source = read(spark, tmp_path)
    replaced = source.rows.where(F.col("day").contains("\ufffd")).count()
    assert replaced == 1
    with pytest.raises(InputError, match="not utf-8") as caught:
        check_encoding(source, replaced)
    assert caught.value.where.endswith(f"b c.csv, byte offset {content.index(0xFC)}")
    assert caught.value.found == "byte 0xfc"


def test_row_26_a_latin_1_header_is_refused_at_once(spark, tmp_path):
    with pytest.raises(InputError, match="not utf-8") as caught:
        read(spark, write(tmp_path / "x.csv", "id,day,amount,größe\n1,2,3,4\n", "latin-1"))
    assert "byte offset 16" in caught.value.where


def test_a_replacement_character_that_the_file_holds_itself_is_fine(spark, tmp_path):
    source = read(spark, write(tmp_path / "x.csv", PLAIN + "8,\ufffd,3\n"))
    check_encoding(source, 1)
    assert ("8", "\ufffd", "3") in values(source, "id", "day", "amount")


def test_a_bad_byte_behind_megabytes_and_in_gzip_is_found(spark, tmp_path):
    content = PLAIN.encode() + "7,ü,1\n".encode() * 700_001 + b"8,\xff,3\n"
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(content[:3_000_000]) + gzip.compress(content[3_000_000:]))
    source = read(spark, path)
    with pytest.raises(InputError) as caught:
        check_encoding(source, 1)
    assert caught.value.where.endswith(f"byte offset {content.index(0xFF)} of the unpacked text")


@pytest.mark.parametrize("encoding", ["cp1252", "iso-8859-1", "iso-8859-15", "cp1250", "koi8-r"])
def test_single_byte_encodings_are_read_as_python_reads_them(spark, tmp_path, encoding):
    # 0xA0 to 0xFF are letters in all of them; 0x80 is the euro sign in some
    text = bytes([0x80, *range(0xA1, 0xFF)]).decode(encoding)
    path = write(tmp_path / "x.csv", f"id,day,amount\n1,{text},2\n", encoding)
    assert values(read(spark, path, encoding=encoding), "day") == [(text,)]


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "no-such-thing"])
def test_encodings_that_cannot_be_read_are_told_to_be_converted(spark, tmp_path, encoding):
    with pytest.raises(ConfigError, match=encoding):
        read(spark, write(tmp_path / "x.csv", PLAIN), encoding=encoding)


def test_row_27_a_whole_gzip_reads_and_a_truncated_one_is_named(spark, tmp_path):
    content = ("id,day,amount\n" + "".join(f"{n},2024-01-01,{n * 7919}\n" for n in range(20_000))).encode()
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(content))
    assert read(spark, path).rows.count() == 20_000
    path.write_bytes(gzip.compress(content)[:50_000])
    source = read(spark, path)
    with pytest.raises(Exception, match="end of input") as caught:
        source.rows.count()
    told = explain_read_failure(caught.value, "transactions", [source])
    assert isinstance(told, InputError)
    assert told.where.endswith("x.csv.gz")
    assert "ends in the middle" in str(told)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_row_27_the_damaged_file_is_looked_for_when_spark_does_not_name_it(spark, tmp_path, pack):
    content = pack(PLAIN.encode() * 999) + pack(PLAIN.encode() * 999)
    suffix = "gz" if pack is gzip.compress else "bz2"
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.csv.{suffix}", content)
    source = read(spark, tmp_path)
    failure = RuntimeError("Task 0 failed: java.io.EOFException: Unexpected end of input stream")
    told = explain_read_failure(failure, "transactions", [source])
    assert told is not None and told.where == ""
    write(tmp_path / f"b.csv.{suffix}", content[:-20])
    damaged = read(spark, tmp_path)
    told = explain_read_failure(failure, "transactions", [damaged])
    assert told is not None and told.where.endswith(f"b.csv.{suffix}")


def test_row_27_a_gzip_that_is_none_is_named_at_once(spark, tmp_path):
    with pytest.raises(InputError, match="not a gzip file") as caught:
        read(spark, write(tmp_path / "x.csv.gz", PLAIN))
    assert "x.csv.gz" in caught.value.where


def test_other_failures_are_not_taken_for_read_failures(spark):
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO") as caught:
        spark.sql("select 1 / 0").collect()
    assert explain_read_failure(caught.value, "transactions") is None
    assert explain_read_failure(KeyError("file"), "transactions") is None


# Folders, globs and partition folders


def test_folders_named_key_equals_value_are_columns(spark, tmp_path):
    write(tmp_path / "in" / "year=2023" / "a.csv", PLAIN)
    write(tmp_path / "in" / "year=2024" / "shop=%C3%BCber 1" / "_x.csv", "not read")
    write(tmp_path / "in" / "year=2024" / "b.csv", "id,day,amount\n8,2024-03-01,9.99\n")
    for path in (tmp_path / "in", tmp_path / "in" / "year=*", tmp_path / "in" / "*" / "*.csv"):
        source = read(spark, path)
        assert source.columns == ("id", "day", "amount", "year"), path
        assert values(source, "id", "year") == [("00042", "2023"), ("7", "2023"), ("8", "2024")], path


def test_partition_folders_at_different_depths_are_refused(spark, tmp_path):
    write(tmp_path / "year=2023" / "a.csv", PLAIN)
    write(tmp_path / "b.csv", PLAIN)
    with pytest.raises(InputError, match="different partition columns"):
        read(spark, tmp_path)


def test_every_row_knows_its_file_whatever_the_name(spark, tmp_path):
    names = ["a b.csv", "{x}[y]*?.csv", "ü+1%20.csv"]
    for name in names:
        write(tmp_path / "in [1]" / name, PLAIN)
    source = read(spark, tmp_path / "in [1]")
    assert source.rows.count() == 6
    assert source.rows.select("_source_file").distinct().count() == 3
    assert all(str(row[0]).startswith("file:/") for row in source.rows.select("_source_file").collect())


def test_hundreds_of_files_are_read_together(spark, tmp_path):
    for number in range(300):
        write(tmp_path / f"{number}.csv", f"id,day,amount\n{number},2024-01-01,1\n")
    source = read(spark, tmp_path)
    assert source.facts.files == 300
    assert source.rows.select("id").distinct().count() == 300
