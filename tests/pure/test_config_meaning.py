"""What a configuration means: moments, attributes, kinds, where output may lie, what changes its fingerprint."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from segengine.config import json_schema, load, parse, with_as_of
from segengine.config.problems import sections
from segengine.config.reference import as_markdown, schema_text
from segengine.errors import ConfigError
from tests.pure.configs import CUSTOMERS, FOLDER, MINIMAL, config, lines, people, refused

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "conf").glob("*.yaml"))

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
        ("out/lines/state/*.parquet", "out"),
        ("out/{workings,states}/*", "out"),
        ("s3a://a/x", "s3a://b/x"),
        ("x", "/x"),
    ],
)
def test_output_may_lie_beside_what_is_read(source: str, output: str) -> None:
    assert config(tables=lines(path=source), output={"path": output}).output.path.endswith(output)


@pytest.mark.parametrize(
    "source",
    [
        "out/state/lines",
        "out/stream",
        "out/work/2026/*.parquet",
        "out/*/2026/x.parquet",
        "out/{a,work/b}/*",
        "o*/audit/x",
    ],
)
def test_what_is_read_may_not_lie_in_a_folder_that_runs_clean(source: str) -> None:
    with pytest.raises(ConfigError, match="that runs write and clean"):
        config(tables=lines(path=source), output={"path": "out"})


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
