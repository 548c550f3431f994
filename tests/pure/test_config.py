"""A configuration has every default, is frozen, and refuses wrong values by name, line and value."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from segengine.config import load, parse
from tests.pure.configs import FOLDER, MINIMAL, config, lines, people, refused


def test_the_smallest_configuration_has_every_default() -> None:
    it = config()
    assert (it.as_of, it.history, it.timezone, it.currency, it.segments.k) == (
        "latest",
        "24 months",
        "UTC",
        "USD",
        (3, 10),
    )
    assert it.k_values == range(3, 11)
    assert it.minor_unit == 2
    assert it.features.include == ("rfm", "basket", "tenure", "rhythm", "trend")
    assert it.prepare.weights == {"rfm": 1.0, "others": 0.5}
    assert it.retrain_due(dt.datetime(2024, 1, 1, tzinfo=dt.UTC)) is None


def test_paths_start_at_the_folder_of_the_file_and_uris_stay(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    tables = people(path="abfss://lake@account.dfs.core.windows.net/people")
    file = tmp_path / "conf" / "shop.yaml"
    file.write_text(yaml.safe_dump({**MINIMAL, "tables": tables, "output": {"path": "../out"}}))
    it = load(file)
    assert it.tables.transactions is not None and it.tables.customers is not None
    assert it.tables.transactions.path == str(tmp_path / "conf" / "lines")
    assert it.tables.customers.path == "abfss://lake@account.dfs.core.windows.net/people"
    assert it.output.path == str(tmp_path / "out")


@pytest.mark.parametrize(
    "change",
    [
        lambda it: setattr(it, "name", "other"),
        lambda it: setattr(it.segments, "seed", 8),
        lambda it: it.tables.transactions.columns.update(amount="1"),
        lambda it: it.prepare.weights.__setitem__("rfm", 2.0),
        lambda it: it.prepare.weights.pop("rfm"),
        lambda it: it.tables.transactions.rules.setdefault("new", "true"),
        lambda it: setattr(it.tables, "customers", None),
    ],
)
def test_nothing_in_a_configuration_can_be_changed(change: Any) -> None:
    it = config()
    before = repr(it)
    with pytest.raises((TypeError, ValueError)):
        change(it)
    assert repr(it) == before


def test_a_configuration_can_be_hashed_copied_and_sent() -> None:
    it = config(tables=people(protected=["age"]))
    assert hash(it) == hash(config(tables=people(protected=["age"])))
    assert it == copy.deepcopy(it) == pickle.loads(pickle.dumps(it))
    assert copy.deepcopy(it).fingerprint() == it.fingerprint()


# What YAML and people do to text


@pytest.mark.parametrize("written", ["007", "1e3", "no", "0x1F", "12:30", "2011-12-10", "1_000", ".5", "on"])
def test_ids_stay_as_they_are_written(written: str) -> None:
    text = yaml.safe_dump({**MINIMAL, "tables": lines(ignore_customers="LIST")}).replace("LIST", f"[{written}, X]")
    it = parse(text, folder=FOLDER)
    assert it.tables.transactions is not None
    assert it.tables.transactions.ignore_customers == (written, "X")


def test_yes_and_no_are_booleans_where_booleans_are_wanted() -> None:
    text = yaml.safe_dump(MINIMAL) + "retrain: {every: 1 quarter, on_alarm: yes}\n"
    assert "retrain.every must be a span" in refused(text)
    assert parse(text.replace("1 quarter", "3 months"), folder=FOLDER).retrain.on_alarm is True


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("k", "1e3", "must be a whole number or two of them"),
        ("k", "[3]", "must be a whole number or two of them"),
        ("k", "[3, 5, 7]", "must be a whole number or two of them"),
        ("k", "[3.5, 5]", "must be a whole number or two of them"),
        ("k", "[10, 3]", "the smaller first"),
        ("k", "1", "must be from 2 to 50"),
        ("k", "51", "must be from 2 to 50"),
        ("k", "true", "must be a whole number"),
        ("k", "{low: 3}", "must be a whole number"),
        ("min_share", "0,03", "must be a number"),
        ("min_share", ".nan", "must be a number"),
        ("min_share", "nan", "must be a finite number"),
        ("min_share", "inf", "must be"),
        ("min_share", "-0.1", "must be at least 0"),
        ("min_share", "1", "must be below 1"),
        ("min_share", "0.4", "is too large for 3 segments"),
        ("max_share", "0.05", "is too small for 10 segments"),
        ("restarts", "0", "must be at least 1"),
        ("restarts", "", "is empty"),
        ("seed", "1.5", "must be a whole number"),
        ("seed", "1e3", "must be a whole number"),
        ("seed", "[1]", "must be a whole number"),
        ("seed", "9" * 5000, "must be"),
    ],
)
def test_wrong_numbers_are_refused_by_name_line_and_value(key: str, value: str, says: str) -> None:
    message = refused(yaml.safe_dump(MINIMAL) + f"segments:\n  # a comment\n  {key}: {value}\n")
    line = len(yaml.safe_dump(MINIMAL).splitlines()) + 3
    assert f"segments.{key}" in message and says in message
    assert f"shop.yaml, line {line}, segments.{key}" in message
    assert value[:20].strip("{}[].") in message


@pytest.mark.parametrize(
    ("section", "value", "key", "says"),
    [
        ("quality", {"returns": "dropp"}, "quality.returns", "must be 'net' or 'drop'"),
        ("quality", {"max_rejected_share": 1.5}, "quality.max_rejected_share", "must be at most 1"),
        ("quality", ["net"], "quality", "must be a section"),
        ("quality", None, "quality", "is empty"),
        ("quality", {"unknown_customers": "reject"}, "quality.unknown_customers", "needs a customers table"),
        ("prepare", {"cap": [0.9, 0.1]}, "prepare.cap", "the smaller first"),
        ("prepare", {"cap": [0.01]}, "prepare.cap", "must be two quantiles"),
        ("prepare", {"cap": ["low", 0.9]}, "prepare.cap[0]", "must be a number"),
        ("prepare", {"weights": {"rfm": -1}}, "prepare.weights.rfm", "must be at least 0"),
        ("prepare", {"weights": {"rfm": ".inf"}}, "prepare.weights.rfm", "must be a number"),
        ("prepare", {"weights": {"rmf": 1}}, "prepare.weights.rmf", "Did you mean rfm?"),
        ("features", {"include": "rfm"}, "features.include", "must be a list"),
        ("features", {"include": []}, "features.include", "is empty"),
        ("features", {"include": ["rfm", "rfm"]}, "features.include[1]", "is there twice"),
        ("features", {"include": ["RFM"]}, "features.include[0]", "must be a family or a feature"),
        ("features", {"exclude": ["rfm"]}, "features.exclude[0]", "is in include as well"),
        ("features", {"custom": {"Night Share": "sum(amount)"}}, "features.custom.Night Share", "small letters"),
        ("features", {"custom": {"lane": "sum(amount)"}}, "features.custom.lane", "segengine uses itself"),
        ("features", {"custom": {"newest": "last(product)"}}, "features.custom.newest", "order of rows"),
        ("features", {"custom": {"newest": "max(now())"}}, "features.custom.newest", "runs are repeatable"),
        ("features", {"include": ["attributes"]}, "features.include[0]", "there are none"),
        ("features", {"include": ["attributes.plan"]}, "features.include[0]", "It has none."),
        ("history", "some time", "history", "or all"),
        ("history", "0 days", "history", "at least one day"),
        ("timezone", "Europe/Lodnon", "timezone", "Did you mean Europe/London?"),
        ("timezone", "../etc/passwd", "timezone", "is not a time zone"),
        ("currency", "Euro", "currency", "three capital letters"),
        ("currency", "eur", "currency", "three capital letters"),
        ("name", "my shop", "name", "must be letters"),
        ("name", "../shop", "name", "must be letters"),
        ("name", "", "name", "must be"),
        ("as_of", "yesterday", "as_of", "or latest"),
        ("as_of", "2011-02-30", "as_of", "not a day of the calendar"),
        ("as_of", "03/04/2011", "as_of", "must be a date"),
        ("as_of", "0001-01-01", "as_of", "between the years"),
        ("output", {"path": "~/out"}, "output.path", "must not start with ~"),
        ("output", {"path": "a\nb"}, "output.path", "control characters"),
        ("output", {"path": ""}, "output.path", "must not be empty"),
        ("output", {"path": "out", "keep_publications": 0}, "output.keep_publications", "must be at least 1"),
        ("output", {}, "output.path", "is missing"),
        ("tables", {}, "tables.transactions", "is missing"),
        ("tables", lines(path=None), "tables.transactions", "needs a path"),
        ("tables", lines(table="lake.sales.lines"), "tables.transactions.table", "cannot be used beside path"),
        ("tables", lines(csv={"decimal": ","}), "tables.transactions.csv", "format: csv only"),
        ("tables", lines(version=3), "tables.transactions.version", "Delta tables only"),
        (
            "tables",
            lines(format="excel"),
            "tables.transactions.format",
            "must be 'parquet', 'delta', 'csv', 'json', 'orc' or 'jdbc'",
        ),
        ("tables", lines(columns={"customer_id": "id"}), "tables.transactions.columns.amount", "is missing"),
        ("tables", lines(rules={"Price": "price > 0"}), "tables.transactions.rules.Price", "small letters"),
        ("tables", lines(rules={"price": "price > (select 1)"}), "tables.transactions.rules.price", "query"),
        ("tables", lines(rules={"price": ["price > 0"]}), "tables.transactions.rules.price", "must be text"),
        ("tables", lines(returns="InvoiceNo LIKE 'C%"), "tables.transactions.returns", "not closed"),
        ("tables", people(columns={"customer_id": "id", "age": "age"}), "tables.customers.columns.age", "known key"),
        ("tables", people(attributes="plan"), "tables.customers.attributes", "must be a list of names"),
        ("tables", people(attributes=["plan", "plan"]), "tables.customers.attributes[1]", "is there twice"),
        (
            "tables",
            people(attributes=[{"a": "x", "b": "y"}]),
            "tables.customers.attributes[0]",
            "must be a name, or one",
        ),
        ("tables", people(protected=["plan"]), "tables.customers.protected.plan", "is in attributes as well"),
        ("tables", people(attributes=["Plan", "plan"]), "tables.customers.attributes", "differ only in case"),
    ],
)
def test_wrong_values_are_refused_by_name(section: str, value: object, key: str, says: str) -> None:
    message = refused(yaml.safe_dump({**MINIMAL, section: value}))
    assert key in message and says in message
    assert "shop.yaml" in message


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    text = yaml.safe_dump(MINIMAL, sort_keys=False) + "segments: {k: 1}\nhistory: long\nwidth: 3\n"
    message = refused(text)
    assert message.startswith("The configuration has 3 problems:")
    assert message.index("segments.k") < message.index("history") < message.index("width")


def test_a_file_of_other_keys_is_refused_in_a_message_of_readable_length() -> None:
    message = refused("".join(f"key_{n}: 1\n" for n in range(20_000)))
    assert message.startswith("The configuration has more than 50 problems:")
    assert len(message.splitlines()) < 60
