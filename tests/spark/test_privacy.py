"""Privacy on Spark: no id and no salt anywhere; who is forgotten is gone byte for byte, and stays away."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from segengine import privacy, runs
from segengine.config import load
from segengine.contract.private import private
from segengine.errors import ConfigError
from segengine.io import read_table
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SALT = "0123456789abcdef0123456789abcdef"
VICTIM = "VICTIM-7f3a"
KEPT = "NEIGHBOUR-7f3a"


def lines(customers: int = 60) -> pd.DataFrame:
    """Lines of a small shop in which two customers have ids that are found nowhere by chance; each has a bad line."""
    frame = shops.lines(customers=customers)
    frame["client"] = frame["client"].replace({"C00000": VICTIM, "C00001": KEPT})
    bad = frame[frame["client"].isin([VICTIM, KEPT])].groupby("client").head(1).assign(price=float("nan"))
    return pd.concat([frame, bad.assign(ticket="bad")], ignore_index=True)


def config_of(folder: Path, more: str = "", **options: Any) -> Path:
    config = shops.write_config(folder, **options)
    config.write_text(config.read_text().replace("k: [3, 6], restarts: 5", "k: 3, restarts: 1") + more)
    return config


def everything(folder: Path) -> dict[str, bytes]:
    """Path -> the bytes of every file below a folder; of Parquet files the values and statistics as text, too."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): readable(file.name, file.read_bytes()) for file in files}


def readable(name: str, data: bytes) -> bytes:
    """The bytes of a file, of Parquet with values and statistics as text behind them."""
    if not name.endswith(".parquet"):
        return data
    table = pq.ParquetFile(io.BytesIO(data))
    values = json.dumps(table.read().to_pydict(), default=str, ensure_ascii=False)
    return data + values.encode() + str(table.metadata.to_dict()).encode()


def places(folder: Path, text: str) -> list[str]:
    return [path for path, data in everything(folder).items() if text.encode() in data]


def published(folder: Path, table: str) -> pd.DataFrame:
    current = json.loads((folder / "gold/current.json").read_text())["folder"]
    return pd.read_parquet(folder / "gold" / current / table)


def test_pseudonyms_are_published_and_no_id_is_anywhere(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SALT", SALT)
    frame = lines()
    frame["client"] = " " + frame["client"]
    shops.write_parquet(frame, tmp_path / "lines")
    config = config_of(tmp_path, "privacy: {pseudonymise: true, salt_env: SHOP_SALT}\n")
    runs.run(config, spark=spark)
    key = privacy.key_of(load(config))
    customers = published(tmp_path / "out", "customers")
    ids = {one.strip() for one in frame["client"]}
    assert set(customers["customer_id"]) == {privacy.pseudonym(key, one) for one in ids}
    hashed = spark.createDataFrame(customers[["customer_id", "customer_key"]]).selectExpr(
        "bool_and(xxhash64(customer_id) = customer_key)"
    )
    assert hashed.collect()[0][0]
    for text in (VICTIM, KEPT, "C00042", SALT, key.hex()):
        assert places(tmp_path / "out", text) == []
    assert places(tmp_path / "out", privacy.pseudonym(key, VICTIM))
    monkeypatch.setenv("SHOP_SALT", SALT[::-1])
    with pytest.raises(ConfigError, match="--rekey"):
        runs.run(config, spark=spark)
    monkeypatch.delenv("SHOP_SALT")
    with pytest.raises(ConfigError, match=r"export SHOP_SALT="):
        runs.run(config, spark=spark)


def test_neither_the_plan_shows_the_key_nor_who_is_forgotten(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SALT", SALT)
    shops.write_parquet(lines(), tmp_path / "lines")
    config = load(config_of(tmp_path, "privacy: {pseudonymise: true, salt_env: SHOP_SALT}\n"))
    key = privacy.key_of(config)
    from segengine.io.files import LocalStore

    token = privacy.forget(LocalStore(config.output.path), key, VICTIM)
    table = config.tables.transactions
    assert table is not None
    source = private(read_table(spark, table, "transactions", config), table, config)
    rows = source.rows.toPandas()
    assert (rows["client"] == privacy.FORGOTTEN).sum() == (lines()["client"] == VICTIM).sum()
    plan = str(source.rows._jdf.queryExecution().toString())
    for text in (SALT, key.hex(), token, VICTIM, privacy.pseudonym(key, VICTIM)):
        assert text not in plan


@pytest.mark.parametrize(("form", "pseudonymise"), [("parquet", "false"), ("delta", "true")])
def test_a_forgotten_customer_is_gone_byte_for_byte_and_stays_away(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, pseudonymise: str
) -> None:
    monkeypatch.setenv("SHOP_SALT", SALT)
    shops.write_parquet(lines(), tmp_path / "lines")
    more = f"privacy: {{pseudonymise: {pseudonymise}, salt_env: SHOP_SALT}}\nincremental: true\n"
    config = config_of(tmp_path, more, output_format=form)
    runs.run(config, spark=spark)
    before = runs.score(config, spark=spark)
    out = tmp_path / "out"
    key = privacy.key_of(load(config))
    shown = {one: privacy.pseudonym(key, one) if pseudonymise == "true" else one for one in (VICTIM, KEPT)}
    exported = out / "reports/list.csv"
    exported.parent.mkdir(exist_ok=True)
    exported.write_text(f"id,segment\n{shown[VICTIM]},S-001\n{shown[KEPT]},S-001\n")
    (out / "reports/page.html").write_text(f"<p>{shown[VICTIM]}</p><p>{shown[KEPT]}</p>")
    assert any("quarantine" in path for path in places(out, shown[VICTIM]))
    assert (out / "state").exists()
    keys = spark.createDataFrame([(shown[VICTIM],)], "id string").selectExpr("xxhash64(id)").collect()[0]
    assert places(out, str(keys[0]))

    done = runs.forget(config, VICTIM, spark=spark)
    assert done.rows >= 3
    assert not (out / "state").exists()  # what is packed in it cannot be searched
    assert places(out, shown[VICTIM]) == []
    assert places(out, VICTIM) == []
    assert places(out, str(keys[0])) == []
    assert places(out, shown[KEPT])
    assert exported.read_text() == f"id,segment\n{shown[KEPT]},S-001\n"
    found = runs.verify(config, spark=spark)
    assert not found.tampered
    assert found.count("erased") >= 1
    proof = next(entry for entry in runs.history(config) if entry.kind == "erasure")
    assert proof.n == done.record
    assert proof.content is not None
    assert proof.content["subject"] == privacy.token(key, VICTIM)[:16]

    after = runs.run(config, spark=spark)
    assert after.customers is not None
    assert before.customers is not None
    assert after.customers == before.customers - 1
    rule = next(line for line in after.rows if line.rule == "forgotten_customer")
    assert rule.rows == int((lines()["client"] == VICTIM).sum())
    assert after.bridge[-1].amount_e4 == before.bridge[-1].amount_e4 - rule.amount_e4
    assert places(out, shown[VICTIM]) == []
    assert places(out, privacy.FORGOTTEN) == []
    again = runs.forget(config, VICTIM, spark=spark)
    assert again.rows == 0
    assert not runs.verify(config, spark=spark).tampered  # what was made anew is no sign of tampering
    monkeypatch.delenv("SHOP_SALT")
    with pytest.raises(ConfigError, match=r"export SHOP_SALT="):
        runs.run(config, spark=spark)


def test_forget_without_a_salt_says_how_to_make_one(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(lines(20), tmp_path / "lines")
    with pytest.raises(ConfigError, match=r"privacy: \{salt_env: SEGENGINE_SALT\}"):
        runs.forget(config_of(tmp_path), VICTIM, spark=spark)
