"""A configuration is read whole, frozen, and refused with the line, the value and what to write."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segengine.config import Config, document, json_schema, load, parse, with_as_of
from segengine.config.problems import sections
from segengine.config.reference import as_markdown, schema_text
from segengine.errors import ConfigError

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "conf").glob("*.yaml"))
FOLDER = Path("/shop")

TABLES: dict[str, Any] = {
    "transactions": {"path": "lines", "columns": {"customer_id": "id", "ordered_at": "at", "amount": "price"}}
}
CUSTOMERS: dict[str, Any] = {"path": "people", "columns": {"customer_id": "id"}, "attributes": ["country", "plan"]}
MINIMAL: dict[str, Any] = {"name": "shop", "tables": TABLES, "output": {"path": "out"}}


def config(**changes: object) -> Config:
    return parse(yaml.safe_dump({**MINIMAL, **changes}), folder=FOLDER, environ={})


def lines(**changes: object) -> dict[str, Any]:
    return {"transactions": {**TABLES["transactions"], **changes}}


def people(**changes: object) -> dict[str, Any]:
    return {**TABLES, "customers": {**CUSTOMERS, **changes}}


def refused(text: str | None = None, *, environ: dict[str, str] | None = None, **changes: object) -> str:
    """The message that this configuration is refused with."""
    text = text if text is not None else yaml.safe_dump({**MINIMAL, **changes})
    with pytest.raises(ConfigError) as caught:
        parse(text, file="shop.yaml", folder=FOLDER, environ=environ or {})
    return str(caught.value)


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


# Keys


@given(st.data())
def test_a_mistyped_key_is_refused_with_the_nearest_known_one(data: st.DataObject) -> None:
    places = [(path, name) for path, part in sections() for name in part.model_fields if len(name) > 3]
    path, name = data.draw(st.sampled_from(places))
    position = data.draw(st.integers(1, len(name) - 2))
    swapped = name[:position] + name[position + 1] + name[position] + name[position + 2 :]
    wrong = data.draw(st.sampled_from([name[:position] + name[position + 1 :], swapped, name + "x", name.upper()]))
    known = dict(sections())[path].model_fields
    if wrong in known:
        return
    values = copy.deepcopy({**MINIMAL, "tables": people()})
    section: Any = values
    for key in path:
        section = section.setdefault(str(key), {})
    section[wrong] = "1"
    message = refused(yaml.safe_dump(values))
    assert f"{wrong} is not a known key" in message
    assert f"Did you mean {name}?" in message


def test_a_mistyped_column_is_refused_with_the_nearest_known_one() -> None:
    columns = {"customer_id": "id", "orderd_at": "at", "amount": "price"}
    assert "Did you mean ordered_at?" in refused(tables=lines(columns=columns))


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one() -> None:
    assert "It belongs under segments." in refused(min_share=0.1)
    assert "It belongs at the top." in refused(segments={"currency": "EUR"})


def test_tracking_is_refused_because_it_would_do_nothing() -> None:
    assert "as yet: remove it" in refused(tracking={"uri": "sqlite:///mlflow.db"})


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("name: a\nsegments: {k: 3}\nname: b\n", "'name' is there twice: on lines 1 and 3", 3),
        ("name: a\nsegments:\n  k: 3\n  seed: 1\n  k: 4\n", "'segments.k' is there twice: on lines 3 and 5", 5),
        ("name: !!python/object/apply:os.system ['true']\n", "Tags (!)", 1),
        ("name: !!python/name:os.system\n", "Tags (!)", 1),
        ("name: !secret x\n", "Tags (!)", 1),
        ("a: &x [1]\nb: *x\n", "Anchors (&)", 1),
        ("a: &x [*x]\n", "Anchors (&)", 1),
        ("name: a\n---\nname: b\n", "more than one document", 2),
        ("name: a\n? [b]\n: c\n", "A key must be text", 2),
        ("name: a\n~: c\n", "A key must be text", 2),
        ("name: a\n\tk: 3\n", "not YAML", 2),
        ("name: 'a\n", "not YAML", 2),
        ("name: [a\n", "not YAML", 2),
        ("name: a\x00b\n", "U+0000", 1),
        ("- a\n- b\n", "is a mapping", 1),
        ("just text\n", "is a mapping", 1),
        ("name: " + "[" * 500 + "\n", "nested deeper", 1),
        ("name: a\n<<: {k: 3}\n", "<< is not a known key", 2),
        ('name: "\\ud800"\n', "shop.yaml", 1),
    ],
)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, document.LOADER], ids=["python", "fastest"])
def test_what_is_no_plain_yaml_is_refused_with_its_line(
    monkeypatch: pytest.MonkeyPatch, loader: Any, text: str, says: str, line: int
) -> None:
    monkeypatch.setattr(document, "LOADER", loader)
    message = refused(text)
    assert says in message and "shop.yaml" in message
    assert f"line {line}" in message


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "~", "---\n"])
def test_an_empty_file_is_said_to_be_empty(text: str) -> None:
    assert "is empty" in refused(text)


def test_a_billion_laughs_are_refused_at_once() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "Anchors" in refused("l0: &l0 [x]\n" + levels)


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("# " + "ä" * 200_000)
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load(file)


@pytest.mark.parametrize(
    ("data", "says"), [(b"name: caf\xe9\n", "not UTF-8"), ("name: a".encode("utf-16"), "not UTF-8")]
)
def test_other_encodings_are_refused_with_the_byte(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=says) as caught:
        load(file)
    assert "line 1, byte" in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(MINIMAL).replace("\n", "\r\n").encode())
    assert load(file).name == "shop"


def test_missing_files_and_folders_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b")


def test_keys_cannot_forge_lines_of_a_message() -> None:
    message = refused(yaml.safe_dump({**MINIMAL, "a\nFound: nothing\x1b[31m": 1}))
    assert "\x1b" not in message
    assert "\nFound: nothing" not in message


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    try:
        parse(text, folder=FOLDER, environ={})
    except ConfigError as error:
        assert str(error)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(),
    st.text(max_size=20),
    st.just("${env:X}"),
)
NODES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
)


@given(st.data())
def test_any_value_under_any_key_is_a_configuration_or_a_config_error(data: st.DataObject) -> None:
    places = [(*path, name) for path, part in sections() for name in part.model_fields]
    values = copy.deepcopy({**MINIMAL, "tables": people()})
    for path in data.draw(st.lists(st.sampled_from(places), max_size=3)):
        section: Any = values
        for key in path[:-1]:
            section = section.setdefault(str(key), {}) if isinstance(section, dict) else {}
        if isinstance(section, dict):
            section[path[-1]] = data.draw(NODES)
    try:
        parse(yaml.safe_dump(values, allow_unicode=True), folder=FOLDER, environ={"X": "hunter2-secret"})
    except ConfigError as error:
        assert "hunter2-secret" not in str(error)


# Secrets


def test_environment_variables_are_put_in_and_never_shown() -> None:
    tables = {
        "transactions": {
            **TABLES["transactions"],
            "path": "s3a://${env:BUCKET}/x",
            "ignore_customers": ["${env:HOUSE}"],
        }
    }
    values = {**MINIMAL, "tables": tables, "segments": {"seed": "${env:SEED}"}}
    environ = {"BUCKET": "hidden-bucket", "HOUSE": "hidden-id", "SEED": "424242"}
    it = parse(yaml.safe_dump(values), folder=FOLDER, environ=environ)
    assert it.tables.transactions is not None
    assert it.tables.transactions.path == "s3a://hidden-bucket/x"
    assert it.tables.transactions.ignore_customers == ("hidden-id",)
    assert it.segments.seed == 424242
    shown = [repr(it), str(it), repr(it.tables.transactions), it.model_dump_json(), str(it.model_dump())]
    for text in shown:
        assert "hidden" not in text and "424242" not in text
    assert "${env:BUCKET}" in shown[0] and "${env:SEED}" in shown[3]
    assert it.redact("cannot read s3a://hidden-bucket/x") == "cannot read s3a://${env:BUCKET}/x"
    other = parse(yaml.safe_dump(values), folder=FOLDER, environ={**environ, "BUCKET": "another"})
    assert other.fingerprint() == it.fingerprint()


def test_a_secret_in_a_list_of_attributes_is_not_shown_either() -> None:
    values = {**MINIMAL, "tables": people(attributes=["plan", "${env:A}", {"score": "${env:B} + 1"}])}
    it = parse(yaml.safe_dump(values), folder=FOLDER, environ={"A": "hidden_a", "B": "hidden_b"})
    assert it.tables.customers is not None
    assert it.tables.customers.attributes == {"plan": "plan", "hidden_a": "hidden_a", "score": "hidden_b + 1"}
    assert "hidden" not in repr(it) + it.model_dump_json()


def test_a_missing_variable_is_named_with_its_line() -> None:
    message = refused(name="${env:SHOP_NAME}")
    assert "SHOP_NAME is not set" in message and "line 1, name" in message


def test_a_wrong_value_from_the_environment_is_not_echoed() -> None:
    message = refused(environ={"K": "hunter2"}, segments={"k": "${env:K}"}, timezone="${env:K}")
    assert "hunter2" not in message
    assert message.count("${env:K}") == 2


@pytest.mark.parametrize("text", ["${HOME}", "${env:}", "${env:1A}", "${env:A", "${file:/etc/passwd}"])
def test_other_references_are_refused(text: str) -> None:
    assert "A reference is written ${env:NAME}." in refused(name=text)


def test_a_value_is_neither_expanded_twice_nor_read_as_yaml() -> None:
    values = yaml.safe_dump({**MINIMAL, "tables": lines(ignore_customers=["${env:A}", "$${env:A}", "$5"])})
    it = parse(values, folder=FOLDER, environ={"A": "${env:B}: [1"})
    assert it.tables.transactions is not None
    assert it.tables.transactions.ignore_customers == ("${env:B}: [1", "${env:A}", "$5")


# Time


def test_a_date_is_midnight_in_the_time_zone() -> None:
    it = config(as_of=dt.date(2018, 1, 1), timezone="America/New_York")
    assert it.as_of == dt.date(2018, 1, 1) and not isinstance(it.as_of, dt.datetime)
    assert it.as_of_moment == dt.datetime(2018, 1, 1, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("written", "hour"),
    [("2018-01-01 06:00:00", 11), ("2018-01-01T06:00:00+02:00", 4), ("2018-01-01T06:00Z", 6), ("2018-01-01 06:00", 11)],
)
def test_a_time_is_wall_clock_unless_it_has_an_offset(written: str, hour: int) -> None:
    it = config(as_of=written, timezone="America/New_York")
    assert it.as_of_moment == dt.datetime(2018, 1, 1, hour, tzinfo=dt.UTC)


def test_latest_has_no_moment_as_yet() -> None:
    assert config(as_of="latest").as_of_moment is None


def test_another_moment_replaces_only_the_moment() -> None:
    it = parse(yaml.safe_dump({**MINIMAL, "as_of": "${env:DAY}"}), folder=FOLDER, environ={"DAY": "2018-01-01"})
    moved = with_as_of(it, "2019-01-01")
    assert moved.as_of == dt.date(2019, 1, 1)
    assert "2019-01-01" in moved.model_dump_json()
    assert it.as_of == dt.date(2018, 1, 1)
    assert it.model_copy(update={"as_of": moved.as_of}).tables == moved.tables
    with pytest.raises(ConfigError, match="must be a date"):
        with_as_of(it, "tomorrow")


def test_history_is_counted_on_the_calendar_across_daylight_saving() -> None:
    window = config(timezone="Europe/London", history="6 months").history_window
    start = window.start(dt.datetime(2011, 12, 10, tzinfo=dt.UTC))
    assert start == dt.datetime(2011, 6, 9, 23, tzinfo=dt.UTC)  # midnight of 10 June in summer time


@pytest.mark.parametrize(
    ("history", "start"),
    [
        ("1 month", "2024-02-29"),
        ("24 months", "2022-03-31"),
        ("2 years", "2022-03-31"),
        ("8 Weeks", "2024-02-04"),
        ("90 days", "2024-01-01"),
    ],
)
def test_spans_end_on_a_day_that_exists(history: str, start: str) -> None:
    found = config(history=history).history_window.start(dt.datetime(2024, 3, 31, tzinfo=dt.UTC))
    assert found == dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC)


def test_all_history_has_no_start() -> None:
    assert config(history="ALL").history_window.start(dt.datetime(2024, 3, 31, tzinfo=dt.UTC)) is None


def test_a_model_is_due_when_its_time_has_passed() -> None:
    it = config(retrain={"every": "3 months"}, timezone="Europe/Paris")
    assert it.retrain_due(dt.datetime(2024, 1, 31, 23, tzinfo=dt.UTC)) == dt.datetime(2024, 4, 30, 22, tzinfo=dt.UTC)


# Attributes, kinds, places


def test_attributes_are_names_or_names_with_expressions() -> None:
    it = config(
        tables=people(attributes=["country", {"plan": "tariff code"}, {"score": "a / b"}], protected={"age": "Age"})
    )
    assert it.tables.customers is not None
    assert it.tables.customers.attributes == {"country": "country", "plan": "tariff code", "score": "a / b"}
    assert it.tables.customers.protected == {"age": "Age"}


@pytest.mark.parametrize("made_from", ["floor(age / 10)", "`AGE`", "birth year", "2024 - `birth year`"])
def test_a_protected_attribute_cannot_come_back_under_another_name(made_from: str) -> None:
    message = refused(tables=people(attributes=[{"band": made_from}], protected=["age", {"year": "birth year"}]))
    assert "tables.customers.attributes.band is made from a protected attribute" in message


def test_protected_attributes_are_never_features() -> None:
    tables = people(protected=["age"])
    assert "is protected" in refused(tables=tables, features={"include": ["attributes.age"]})
    assert "is protected" in refused(tables=tables, features={"include": ["age"]})
    assert "protected attribute" in refused(tables=tables, features={"custom": {"mean_age": "avg(Age)"}})


def test_an_unknown_attribute_is_refused_with_the_nearest_one() -> None:
    message = refused(tables=people(), features={"include": ["rfm", "attributes.countri"]})
    assert "Did you mean attributes.country? It has: country, plan." in message


def test_customers_alone_are_segmented_by_their_attributes() -> None:
    it = config(kind="customers", tables={"customers": CUSTOMERS})
    assert it.features.include == ("attributes",)
    assert config(
        kind="customers", tables={"customers": CUSTOMERS}, features={"exclude": ["plan"]}
    ).features.include == ("attributes",)


def test_each_kind_needs_its_table_and_no_other() -> None:
    assert "tables.transactions is missing" in refused(tables={"customers": CUSTOMERS})
    assert "cannot be used with kind: customers" in refused(kind="customers", tables=people())
    assert "tables.customers is missing" in refused(kind="customers", tables={})
    alone = {"customers": {**CUSTOMERS, "attributes": []}}
    assert "tables.customers.attributes is missing" in refused(kind="customers", tables=alone)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("lines", "lines"),
        ("lines", "lines/out"),
        ("lines", "./x/../lines/out"),
        ("lines", "/shop/lines/out"),
        ("lines", "file:///shop/lines/out"),
        ("file:/shop/lines", "lines"),
        ("data/*", "data/out"),
        ("data/{a,b}/*.parquet", "data/a/x.parquet/out"),
        ("s3a://lake/lines/", "s3a://lake/lines/out"),
        ("out/gold/segments", "out"),
        ("out/quarantine", "out"),
        (".", "out"),
    ],
)
def test_output_does_not_lie_in_what_is_read(source: str, output: str) -> None:
    assert "output.path" in refused(tables=lines(path=source), output={"path": output})


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("lines", "lines2"),
        ("data/*.parquet", "data/out"),
        ("out/lines", "out"),
        ("s3a://a/x", "s3a://b/x"),
        ("x", "/x"),
    ],
)
def test_output_may_lie_beside_what_is_read(source: str, output: str) -> None:
    assert config(tables=lines(path=source), output={"path": output}).output.path.endswith(output)


def test_a_link_does_not_hide_that_output_lies_in_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lines")
    values = {**MINIMAL, "output": {"path": "link/out"}}
    with pytest.raises(ConfigError, match="lies inside what is read"):
        parse(yaml.safe_dump(values), folder=tmp_path)


# Fingerprint


def test_layout_comments_and_folder_do_not_change_the_fingerprint() -> None:
    one = parse(yaml.safe_dump(MINIMAL), folder=Path("/a"))
    other = parse("# mine\n" + yaml.safe_dump(dict(reversed(MINIMAL.items())), sort_keys=False), folder=Path("/b"))
    assert one.fingerprint() == other.fingerprint()
    assert len(one.fingerprint()) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"segments": {"seed": 8}},
        {"output": {"path": "elsewhere"}},
        {"tables": lines(duplicates="drop")},
    ],
)
def test_what_the_file_says_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert config(**changes).fingerprint() != config().fingerprint()


# What is shipped


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_is_accepted(file: Path) -> None:
    assert load(file).name


def test_there_is_an_example_for_each_kind_of_user() -> None:
    assert [file.name for file in EXAMPLES] == ["customers_only.yaml", "grocery.yaml", "online_retail.yaml"]


def test_the_reference_of_all_keys_is_current() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == as_markdown(), (
        "run: python -m segengine.config > docs/config.md"
    )


def test_the_json_schema_is_current() -> None:
    shipped = (ROOT / "segengine" / "config.schema.json").read_text()
    assert shipped == schema_text(), "run: python -m segengine.config schema > segengine/config.schema.json"


def test_the_json_schema_knows_every_key_and_takes_no_other() -> None:
    schema = json_schema()
    for path, part in sections():
        section = schema if not path else schema["$defs"][part.__name__]
        assert set(section["properties"]) == set(part.model_fields)
        assert section["additionalProperties"] is False
        assert all(field.description for field in part.model_fields.values())
    assert schema["required"] == ["name", "tables", "output"]
    json.dumps(schema, allow_nan=False)
