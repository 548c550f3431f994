"""`init` on real Spark: what it proposes for tables of many shapes is what `check` accepts without an edit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import segengine
from segengine.config import load
from segengine.demo import grocery
from segengine.errors import ConfigError, InputError
from segengine.propose import profile


def retail(customers: int = 40) -> pd.DataFrame:
    """Invoice lines as in the UCI data set: ids missing, credit notes with a C, no total, some prices of 0."""
    random = np.random.default_rng(3)
    rows = []
    for invoice in range(customers * 6):
        back = invoice % 12 == 11
        at = pd.Timestamp("2011-01-01 09:00") + pd.Timedelta(hours=31 * invoice)
        for line in range(3):
            pieces = int(random.integers(1, 12))
            price = 0.0 if (invoice, line) == (0, 0) else float(np.round(random.uniform(0.5, 9), 2))
            rows.append(
                {
                    "InvoiceNo": f"{'C' if back else ''}{536365 + invoice}",
                    "StockCode": f"{20000 + int(random.integers(0, 90))}{'A' if line == 2 else ''}",
                    "Description": f"THING {int(random.integers(0, 90))}",
                    "Quantity": -pieces if back else pieces,
                    "InvoiceDate": at,
                    "UnitPrice": price,
                    "CustomerID": None if invoice % 5 == 4 else str(12346 + invoice % customers),
                    "Country": "France" if invoice % 3 else "United Kingdom",
                }
            )
    return pd.DataFrame(rows)


def german(folder, *, encoding: str = "cp1252"):
    """Semicolons, decimal commas, thousands with points, day-first times, customers with leading zeros."""
    random = np.random.default_rng(4)
    lines = ["KUNDENNR;Belegnummer;Bestelldatum;Menge;Einzelpreis;Gesamtbetrag;Artikelnummer;Warengruppe;Bemerkung"]
    for bill in range(120):
        at = (pd.Timestamp("2024-01-01 08:05") + pd.Timedelta(hours=37 * bill)).strftime("%d.%m.%Y %H:%M")
        for _ in range(2):
            pieces, price = int(random.integers(1, 5)), float(np.round(random.uniform(400, 900), 2))
            money = f"{pieces * price:,.2f}".translate(str.maketrans(",.", ".,"))
            lines.append(
                f"{bill % 25:05d};R{bill};{at};{pieces};{price:.2f};{money};A-{int(random.integers(0, 30))};"
                f"{('Gemüse', 'Käse', 'Brot', 'Obst')[bill % 4]};ok".replace(
                    f"{price:.2f}", f"{price:.2f}".replace(".", ",")
                )
            )
    file = folder / "verkauf.csv"
    file.write_bytes("\r\n".join(lines).encode(encoding))
    return file


def checked(spark, config) -> dict[str, int]:
    """Rows by rule of `segengine check` on the configuration as it was written."""
    summary = segengine.check(config, spark=spark)
    return {line.rule: line.rows for line in summary.rows if line.table == "transactions"}


def roles(proposal, table: str = "transactions") -> dict[str, str]:
    return {role: choice.candidate.text for role, choice in getattr(proposal, table).roles.items()}


def test_an_online_retail_table_is_mapped_and_accepted_without_an_edit(spark, tmp_path):
    frame = retail()
    frame.to_parquet(tmp_path / "online_retail.parquet", coerce_timestamps="us")
    file = tmp_path / "conf" / "shop.yaml"
    proposal = segengine.init([tmp_path / "online_retail.parquet"], output=file, spark=spark)
    assert proposal.complete
    assert roles(proposal) == {
        "customer_id": "CustomerID",
        "order_id": "InvoiceNo",
        "ordered_at": "InvoiceDate",
        "amount": "Quantity * UnitPrice",
        "quantity": "Quantity",
        "product": "StockCode",
    }
    assert proposal.transactions.returns.candidate.text == "InvoiceNo LIKE 'C%'"
    rows = checked(spark, file)
    without = int(frame.CustomerID.isna().sum())
    assert rows["missing_customer_id"] == without
    assert rows["used"] == len(frame) - without
    written = file.read_text(encoding="utf-8")
    assert "20 % missing" in written
    assert "price_positive: UnitPrice > 0" in written
    # The rule is a suggestion; uncommented as it stands, it is a rule.
    file.write_text(written.replace("    # rules:\n    #   price", "    rules:\n      price"), encoding="utf-8")
    assert checked(spark, file)["price_positive"] == int((frame.CustomerID.notna() & (frame.UnitPrice == 0)).sum())


def test_no_customer_id_is_in_the_file_or_in_what_is_shown(spark, tmp_path):
    frame = retail()
    frame["CustomerID"] = frame["CustomerID"].map(lambda v: None if v is None else f"secret{v}")
    frame["Email"] = "someone@example.org"
    frame.to_parquet(tmp_path / "lines.parquet", coerce_timestamps="us")
    proposal = segengine.init([tmp_path / "lines.parquet"], output=tmp_path / "c.yaml", spark=spark)
    assert "CustomerID" in roles(proposal)["customer_id"]
    for told in ((tmp_path / "c.yaml").read_text(encoding="utf-8"), repr(proposal)):
        assert "secret" not in told
        assert "someone" not in told


def test_german_csv_with_semicolons_decimal_commas_and_thousands_is_read(spark, tmp_path):
    file = german(tmp_path)
    proposal = segengine.init([file], output=tmp_path / "conf" / "c.yaml", spark=spark)
    assert roles(proposal) == {
        "customer_id": "KUNDENNR",
        "order_id": "Belegnummer",
        "ordered_at": "Bestelldatum",
        "amount": "translate(Gesamtbetrag, '.', '')",
        "quantity": "Menge",
        "product": "Artikelnummer",
        "category": "Warengruppe",
    }
    config = load(tmp_path / "conf" / "c.yaml")
    csv = config.tables.transactions.csv
    assert (csv.delimiter, csv.decimal, csv.encoding) == (";", ",", "cp1252")
    assert csv.timestamp_format == "dd.MM.yyyy HH:mm"
    rows = checked(spark, tmp_path / "conf" / "c.yaml")
    assert rows["used"] == 240
    assert set(rows) <= {"used", "exact_duplicate"}


@pytest.mark.parametrize(("encoding", "expected"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-8", "utf-8")])
def test_byte_order_marks_tell_the_encoding(spark, tmp_path, encoding, expected):
    file = german(tmp_path, encoding=encoding)
    proposal = segengine.init([file], output=tmp_path / "conf" / "c.yaml", spark=spark)
    assert proposal.transactions.table.place.encoding == expected
    assert roles(proposal)["customer_id"] == "KUNDENNR"


def test_json_lines_with_parts_of_objects_and_seconds_since_1970(spark, tmp_path):
    with (tmp_path / "events.jsonl").open("w", encoding="utf-8") as stream:
        for n in range(200):
            row = {
                "client": {"id": f"u{n % 30}", "email": f"u{n % 30}@example.org"},
                "order_id": n // 2,
                "ordered_at": 1_700_000_000 + 7_000 * (n // 2),
                "total_eur": round(5 + n % 17 + 0.25, 2),
                "refunded": n % 20 == 0,
            }
            stream.write(json.dumps(row) + "\n")
    proposal = segengine.init([tmp_path / "events.jsonl"], output=tmp_path / "c.yaml", spark=spark)
    assert roles(proposal)["customer_id"] == "client.id"
    assert roles(proposal)["ordered_at"] == "timestamp_seconds(cast(ordered_at as bigint))"
    assert roles(proposal)["amount"] == "total_eur"
    assert proposal.currency == "EUR"
    assert proposal.transactions.returns is not None
    # Refunded lines have amounts above zero: netting would add them.
    assert load(tmp_path / "c.yaml").quality.returns == "drop"
    rows = checked(spark, tmp_path / "c.yaml")
    assert rows["used"] == 190
    assert rows["returned"] == 10


def people(customers: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "id": [f"K{n}" for n in range(customers)],
            "first_name": [f"Name{n}" for n in range(customers)],
            "e-mail": [f"p{n}@example.org" for n in range(customers)],
            "Geschlecht": random.choice(["f", "m"], customers),
            "age": random.integers(18, 80, customers),
            "plan": random.choice(["basic", "plus", "pro"], customers),
            "visits": random.integers(0, 60, customers),
            "spend": np.round(random.gamma(2, 40, customers), 2),
            "signup_date": pd.date_range("2023-01-01", periods=customers, freq="D").astype(str),
            "marketing_consent": random.choice(["ja", "nein"], customers),
        }
    )


def test_a_table_with_one_row_a_customer_is_segmented_by_its_attributes(spark, tmp_path):
    people().to_csv(tmp_path / "customers.csv", index=False)
    proposal = segengine.init([tmp_path / "customers.csv"], output=tmp_path / "c.yaml", spark=spark)
    assert proposal.transactions is None
    config = load(tmp_path / "c.yaml")
    assert config.kind == "customers"
    table = config.tables.customers
    assert dict(table.columns) == {"customer_id": "id"}
    assert set(table.attributes) == {"plan", "visits", "spend"}
    assert set(table.protected) == {"Geschlecht", "age"}
    assert table.opted_out == "lower(trim(marketing_consent)) NOT IN ('ja')"
    summary = segengine.check(tmp_path / "c.yaml", spark=spark)
    lanes = dict(summary.lanes)
    assert lanes["opted_out"] == int((people()["marketing_consent"] == "nein").sum())
    assert "Name1" not in (tmp_path / "c.yaml").read_text(encoding="utf-8")


def orders(customers: int = 40) -> pd.DataFrame:
    """One row an order, no products."""
    n = np.arange(customers * 4)
    return pd.DataFrame(
        {
            "order_number": n + 1000,
            "customer_id": [f"K{i % customers}" for i in n],
            "created_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(n * 13, unit="h"),
            "order_total": np.round(10 + (n * 7 % 50) + 0.5, 2),
            "currency": "GBP",
            "status": np.where(n % 10 == 0, "cancelled", "paid"),
        }
    )


def test_orders_join_the_customers_table_whose_ids_they_have(spark, tmp_path):
    orders().to_parquet(tmp_path / "orders.parquet", coerce_timestamps="us")
    people(50).to_csv(tmp_path / "people.csv", index=False)
    others = people(50).assign(id=[f"X{n}" for n in range(50)])
    others.to_csv(tmp_path / "customers_of_somebody_else.csv", index=False)
    given = [tmp_path / name for name in ("people.csv", "orders.parquet", "customers_of_somebody_else.csv")]
    proposal = segengine.init(given, output=tmp_path / "c.yaml", spark=spark)
    assert proposal.currency == "GBP"
    assert roles(proposal)["amount"] == "order_total"
    assert proposal.customers.table.place.given == str(tmp_path / "people.csv")
    assert proposal.overlap.startswith("40 of the 40 customers in the order lines are in it")
    assert [given for given, _ in proposal.not_used] == [str(tmp_path / "customers_of_somebody_else.csv")]
    rows = checked(spark, tmp_path / "c.yaml")
    assert rows == {"used": 144, "returned": 16}


def test_unicode_names_are_understood_and_written_so_that_they_are_read_back(spark, tmp_path):
    n = np.arange(150)
    frame = pd.DataFrame(
        {
            "顧客番号": [f"c{i % 20}" for i in n],
            "注文番号": n // 2,
            "注文日": (pd.Timestamp("2024-03-01") + pd.to_timedelta(n // 2, unit="h")).astype(str),
            "数量": n % 4 + 1,
            "単価": 100 + n % 7 * 10,
            "メモ: #1": "x",
        }
    )
    frame.to_csv(tmp_path / "売上.csv", index=False, encoding="utf-8")
    proposal = segengine.init([tmp_path / "売上.csv"], output=tmp_path / "c.yaml", spark=spark)
    assert roles(proposal) == {
        "customer_id": "顧客番号",
        "order_id": "注文番号",
        "ordered_at": "注文日",
        "amount": "`数量` * `単価`",
        "quantity": "数量",
    }
    assert checked(spark, tmp_path / "c.yaml")["used"] == 150


def test_a_table_with_nothing_useful_gives_a_file_with_todos_that_check_refuses(spark, tmp_path):
    pd.DataFrame({"sensor": ["a", "b"] * 20, "humidity": np.arange(40), "note": "dry"}).to_csv(
        tmp_path / "weather.csv", index=False
    )
    proposal = segengine.init([tmp_path / "weather.csv"], output=tmp_path / "c.yaml", spark=spark)
    assert not proposal.complete
    assert proposal.transactions.missing == ("customer_id", "ordered_at", "amount")
    written = (tmp_path / "c.yaml").read_text(encoding="utf-8")
    assert written.count("# TODO ") == 3
    with pytest.raises(ConfigError, match="columns is empty"):
        load(tmp_path / "c.yaml")


def test_a_file_that_is_there_is_kept_unless_forced(spark, tmp_path):
    orders().to_parquet(tmp_path / "orders.parquet", coerce_timestamps="us")
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\n")
    with pytest.raises(ConfigError, match="there already"):
        segengine.init([tmp_path / "orders.parquet"], output=file, spark=spark)
    assert file.read_text() == "name: mine\n"
    segengine.init([tmp_path / "orders.parquet"], output=file, spark=spark, force=True)
    assert "customer_id: customer_id" in file.read_text()


def test_a_doubtful_choice_is_asked_about_only_where_there_is_somebody_to_ask(spark, tmp_path):
    frame = orders().rename(columns={"created_at": "irgendwann", "order_total": "value"}).assign(net=1.5)
    frame.to_parquet(tmp_path / "orders.parquet", coerce_timestamps="us")
    asked = []

    def ask(choice):
        asked.append(choice.key)
        return None

    given = [tmp_path / "orders.parquet"]
    silent = segengine.init(given, output=tmp_path / "a.yaml", spark=spark)
    assert silent.complete
    assert "transactions.ordered_at: irgendwann is a guess" in silent.notes
    refused = segengine.init(given, output=tmp_path / "b.yaml", spark=spark, ask=ask)
    assert "ordered_at" in asked
    assert "customer_id" not in asked
    assert "ordered_at" in refused.transactions.missing


def test_a_delta_table_and_a_catalog_table_are_found(spark, tmp_path):
    frame = spark.createDataFrame(orders())
    frame.write.format("delta").save(str(tmp_path / "orders"))
    proposal = segengine.init([tmp_path / "orders"], output=tmp_path / "delta.yaml", spark=spark)
    assert load(tmp_path / "delta.yaml").tables.transactions.format == "delta"
    assert proposal.complete
    spark.sql("CREATE DATABASE IF NOT EXISTS shop")
    try:
        frame.createOrReplaceTempView("v")
        spark.sql(f"CREATE TABLE shop.orders USING delta LOCATION '{tmp_path / 'orders'}'")
        proposal = segengine.init(["spark_catalog.shop.orders"], output=tmp_path / "catalog.yaml", spark=spark)
        assert load(tmp_path / "catalog.yaml").tables.transactions.table == "spark_catalog.shop.orders"
        assert checked(spark, tmp_path / "catalog.yaml") == {"used": 144, "returned": 16}
    finally:
        spark.sql("DROP DATABASE shop CASCADE")


def test_the_proposal_does_not_depend_on_the_order_of_rows_or_on_files(spark, tmp_path):
    frame = retail(20)
    (tmp_path / "single").mkdir()
    (tmp_path / "split").mkdir()
    frame.to_parquet(tmp_path / "single" / "lines.parquet", coerce_timestamps="us")
    shuffled = frame.sample(frac=1, random_state=1)
    for part in range(3):
        shuffled.iloc[part::3].to_parquet(tmp_path / "split" / f"{part}.parquet", index=False, coerce_timestamps="us")
    texts = []
    for folder in ("single", "split"):
        segengine.init([tmp_path / folder], output=tmp_path / f"{folder}.yaml", spark=spark)
        text = (tmp_path / f"{folder}.yaml").read_text(encoding="utf-8")
        texts.append(text.replace(folder, "FOLDER").replace("/lines.parquet", "").replace("3 files.", "1 file."))
    assert texts[0] == texts[1]


def test_a_csv_without_a_header_and_a_folder_of_two_formats_are_refused(spark, tmp_path):
    (tmp_path / "bare.csv").write_text("C1,17,2024-03-01,9.90\nC2,18,2024-03-02,8.10\n")
    with pytest.raises(InputError, match="not like a header") as raised:
        segengine.init([tmp_path / "bare.csv"], output=tmp_path / "c.yaml", spark=spark)
    assert "9.90" not in str(raised.value)
    folder = tmp_path / "both"
    folder.mkdir()
    orders().to_csv(folder / "a.csv", index=False)
    orders().to_parquet(folder / "b.parquet", coerce_timestamps="us")
    with pytest.raises(InputError, match="several formats"):
        segengine.init([folder], output=tmp_path / "c.yaml", spark=spark)
    assert not (tmp_path / "c.yaml").exists()


def test_a_configuration_inside_of_what_is_read_is_refused(spark, tmp_path):
    orders().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ConfigError, match="inside of what is read"):
        segengine.init([tmp_path], output=tmp_path / "c.yaml", spark=spark)


def test_of_a_large_table_a_part_is_looked_at_and_the_file_says_so(spark, tmp_path, monkeypatch):
    frame = retail(20)
    folder = tmp_path / "many files"
    folder.mkdir()
    for part in range(6):
        frame.iloc[part::6].to_parquet(folder / f"{part}.parquet", index=False, coerce_timestamps="us")
    size = sum(file.stat().st_size for file in folder.iterdir())
    monkeypatch.setattr(profile, "WHOLE_BYTES", size // 3 + 1)
    proposal = segengine.init([folder], output=tmp_path / "c.yaml", spark=spark)
    assert not proposal.transactions.table.whole
    assert proposal.transactions.table.rows == len(frame) // 3
    assert "sampled rows" in (tmp_path / "c.yaml").read_text(encoding="utf-8")
    assert roles(proposal)["amount"] == "Quantity * UnitPrice"
    monkeypatch.setattr(profile, "WHOLE_BYTES", 10)
    monkeypatch.setattr(profile, "PART_ROWS", 50)
    proposal = segengine.init([folder], output=tmp_path / "d.yaml", spark=spark)
    assert proposal.transactions.table.rows == 50


def test_the_demos_grocery_tables_are_mapped_joined_and_accepted_without_an_edit(spark, tmp_path):
    written = grocery.write(tmp_path / "grocery")
    # One household in eight keeps the test short; the shape is that of the whole.
    lines = spark.read.parquet(str(written.transactions)).where("household_id % 8 = 0")
    lines.coalesce(1).write.parquet(str(tmp_path / "grocery" / "lines"))
    given = [tmp_path / "grocery" / "lines", written.customers]
    proposal = segengine.init(given, output=tmp_path / "grocery.yaml", spark=spark)
    assert roles(proposal) == {
        "customer_id": "household_id",
        "order_id": "basket_id",
        "ordered_at": "transaction_timestamp",
        "amount": "sales_value",
        "quantity": "quantity",
        "product": "product_id",
        "category": "department",
    }
    assert proposal.transactions.returns is None
    customers = load(tmp_path / "grocery.yaml").tables.customers
    assert {"age", "income", "marital_status"} <= set(customers.protected)
    assert set(customers.attributes) == {"home_ownership", "household_size"}
    assert "in it; it has 801" in proposal.overlap
    assert checked(spark, tmp_path / "grocery.yaml") == {"used": lines.count()}
