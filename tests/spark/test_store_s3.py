"""S3 through S3A, against a real S3 server on loopback: sources, both formats of output, the lock, one PUT a file."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segengine import runs
from segengine.config import load
from segengine.errors import InputError, LockedError, PublicationError
from segengine.io.files import store_for
from segengine.publish.lock import publication_lock
from segengine.publish.publication import current, read_current
from tests import servers, shops
from tests.spark.test_privacy import SALT, readable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
KEYS = {"LAKE_KEY": "id-of-nobody", "LAKE_SECRET": servers.PASSWORD}


@pytest.fixture(scope="module")
def address(spark, tmp_path_factory):
    """An S3 server that the session knows the bucket `lake` of; its address."""
    servers.need_jars("s3")
    with servers.moto(tmp_path_factory.mktemp("moto")) as address:
        settings = spark._jsc.hadoopConfiguration()
        for key, value in options(address).items():
            settings.set(key.replace("fs.s3a.", "fs.s3a.bucket.lake."), value)
        yield address


def options(address: str) -> dict[str, str]:
    return {
        "fs.s3a.endpoint": address,
        "fs.s3a.endpoint.region": "us-east-1",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
        "fs.s3a.access.key": KEYS["LAKE_KEY"],
        "fs.s3a.secret.key": KEYS["LAKE_SECRET"],
    }


@pytest.fixture(scope="module")
def lines(spark, address):
    """The shop's lines, as Parquet by month and as Delta; how many there are."""
    frame = spark.createDataFrame(shops.lines(customers=60).rename(columns={"sold at": "sold_at"}))
    frame.selectExpr("*", "date_format(sold_at, 'yyyy-MM') AS month").write.partitionBy("month").parquet(
        "s3a://lake/lines"
    )
    frame.write.format("delta").save("s3a://lake/lines.delta")
    return frame.count()


def objects(address: str, folder: str) -> dict[str, bytes]:
    """Key -> what is readable of every object below a folder of the bucket, asked of the server itself."""

    def asked(path: str) -> bytes:
        login = "AWS4-HMAC-SHA256 Credential=x/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        request = urllib.request.Request(f"{address}/lake{path}", headers={"Authorization": login})
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    found: dict[str, bytes] = {}
    after = ""
    while True:
        listed = asked(f"?list-type=2&prefix={folder}/&start-after={urllib.parse.quote(after)}").decode()
        keys = [html.unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", listed)]
        found |= {key: readable(key, asked("/" + urllib.parse.quote(key))) for key in keys if not key.endswith("/")}
        if "<IsTruncated>true" not in listed:
            return found
        after = keys[-1]


def forget(file: Path, spark: SparkSession, address: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Erase a customer from an output on S3: in no object afterwards, neither id nor key, and no sign of tampering."""
    monkeypatch.setenv("SHOP_SALT", SALT)
    file.write_text(file.read_text() + "privacy: {salt_env: SHOP_SALT}\n")
    customers = read_current(spark, load(file).output, "customers").where("customer_id IN ('C00002', 'C00003')")
    gone, stays = (str(row[0]) for row in customers.orderBy("customer_id").select("customer_key").collect())
    before = objects(address, folder)
    done = runs.forget(file, "C00002", spark=spark)
    after = objects(address, folder)
    for text in ("C00002", gone):
        assert [key for key, data in before.items() if text.encode() in data]
        assert [key for key, data in after.items() if text.encode() in data] == []
    for text in ("C00003", stays):
        assert [key for key, data in after.items() if text.encode() in data]
    assert done.rows >= 2
    found = runs.verify(file, spark=spark)
    assert not found.tampered
    assert found.count("erased") >= 1


def config(folder: Path, path: str, output: str, format: str, extra: str = "") -> Path:
    written = shops.write_config(folder, path=path, format=format, output=output, output_format=format)
    text = written.read_text().replace("sold at", "sold_at").replace("k: [3, 6], restarts: 5", "k: 3, restarts: 1")
    written.write_text(text.replace("rfm, basket, tenure, rhythm, trend, category_mix", "rfm") + extra)
    return written


def test_a_file_is_replaced_whole_and_listed(spark, address, tmp_path):
    store = store_for("s3a://lake/small", spark)
    store.write_atomic("deep/c.json", b"one")
    store.write_atomic("deep/c.json", b"\x00two\xff")
    assert store.read_bytes("deep/c.json") == b"\x00two\xff"
    assert [(e.path, e.is_folder) for e in store.list()] == [("deep", True)]
    assert [(e.path, e.size_bytes) for e in store.walk()] == [("deep/c.json", 5)]
    with pytest.raises(FileNotFoundError):
        store.read_bytes("deep/d.json")
    with pytest.raises(PublicationError, match="Renaming"):
        store.rename("deep/c.json", "deep")
    store.rename("deep/c.json", "e.json")
    store.touch("e.json")
    assert store.read_bytes("e.json") == b"\x00two\xff"
    store.delete("e.json")
    assert not store.exists("e.json")
    for data in (b"one", b"two" * 10_000):
        (tmp_path / "local").write_bytes(data)
        store.put_file("list.csv", str(tmp_path / "local"))
        store.fetch_file("list.csv", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == data
    assert [e.path for e in store.walk()] == ["list.csv"]


def test_readers_see_the_old_or_the_new_file_while_it_is_replaced(spark, address):
    store = store_for("s3a://lake/swap", spark)
    whole = [bytes([65 + n]) * 20_000 for n in range(6)]
    store.write_atomic("current.json", whole[0])
    with ThreadPoolExecutor(4) as threads:
        reads = [threads.submit(store.read_bytes, "current.json") for _ in range(20)]
        for content in whole[1:]:
            store.write_atomic("current.json", content)
        assert {each.result() for each in reads} <= set(whole)
    assert store.read_bytes("current.json") == whole[-1]


def test_of_many_who_create_a_file_at_once_one_wins(spark, address):
    store = store_for("s3a://lake/race", spark)
    for turn in range(3):
        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(lambda n, t=turn: store.create_exclusive(f"lock-{t}", b"%d" % n), range(8)))
        assert sum(won) == 1
        assert store.read_bytes(f"lock-{turn}") == b"%d" % won.index(True)


def test_partitioned_parquet_in_publications_out_and_a_forgotten_customer_in_no_object(
    spark, address, lines, tmp_path, monkeypatch
):
    file = config(tmp_path, "s3a://lake/lines", "s3a://lake/out-parquet", "parquet")
    first = runs.run(file, spark=spark)
    assert first.rows_of("used") == lines
    second = runs.run(file, spark=spark)
    output = load(file).output
    publication = current(output, spark)
    assert publication.publication_id == second.publication_id
    assert publication.kept[:2] == (second.publication_id, first.publication_id)
    assert read_current(spark, output, "assignments").count() == 60
    store = store_for(output.path, spark)
    assert not store.exists("gold/_lock")
    with publication_lock(store, run_id="somebody-else"), pytest.raises(LockedError):
        runs.score(file, spark=spark)
    assert current(output, spark).publication_id == second.publication_id
    forget(file, spark, address, "out-parquet", monkeypatch)


def test_delta_in_after_a_merge_delta_out_and_a_forgotten_customer_in_no_object(
    spark, address, lines, tmp_path, monkeypatch
):
    file = config(tmp_path, "s3a://lake/lines.delta", "s3a://lake/out-delta", "delta")
    first = runs.run(file, spark=spark)
    assert first.rows_of("used") == lines
    spark.sql(
        "MERGE INTO delta.`s3a://lake/lines.delta` AS old USING (SELECT 'C-new' AS client, ticket, sold_at, price, "
        "pieces, aisle FROM delta.`s3a://lake/lines.delta` WHERE client = 'C00001') AS new ON old.client = new.client "
        "WHEN MATCHED THEN UPDATE SET price = 0 WHEN NOT MATCHED THEN INSERT *"
    )
    second = runs.run(file, spark=spark)
    assert second.customers == first.customers + 1
    output = load(file).output
    publication = current(output, spark)
    assert publication.publication_id == second.publication_id
    assert publication.table_versions["assignments"] > 0
    assert read_current(spark, output, "customers").where("customer_id = 'C-new'").count() == 1
    forget(file, spark, address, "out-delta", monkeypatch)
    assert read_current(spark, output, "customers").where("customer_id = 'C-new'").count() == 1


def test_the_command_takes_the_store_from_the_configuration_and_its_keys_from_the_environment(
    address, lines, tmp_path, spark
):
    settings = {key: value for key, value in options(address).items() if not key.endswith(".key")}
    settings |= {"fs.s3a.access.key": "${env:LAKE_KEY}", "fs.s3a.secret.key": "${env:LAKE_SECRET}"}
    section = "spark:\n" + "".join(f'  spark.hadoop.{key}: "{value}"\n' for key, value in settings.items())
    file = config(tmp_path, "s3a://lake/lines", "s3a://lake/out-command", "parquet", section)
    done = subprocess.run(
        [sys.executable, "-m", "segengine.cli", "check", str(file)],
        env={**os.environ, "SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(ROOT), **KEYS},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    store = store_for("s3a://lake/out-command", spark)
    (record,) = store.list("runs")
    told = store.read_bytes(record.path).decode()
    assert json.loads(told)["state"] == "done"
    assert KEYS["LAKE_SECRET"] not in told + done.stdout + done.stderr


def test_a_bucket_or_a_folder_that_is_not_there_is_told(spark, address, tmp_path):
    with pytest.raises(InputError, match="nothing at this path"):
        runs.check(config(tmp_path, "s3a://lake/nowhere", str(tmp_path / "out"), "parquet"), spark=spark)
