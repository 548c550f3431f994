"""Eight planted secrets, a salt and ids, through a run that succeeds and one that fails: nothing tells them."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests import shops
from tests.pure.test_redaction import BASE64
from tests.spark.test_privacy import readable

ROOT = Path(__file__).resolve().parents[2]
PLANTED = {
    "spark.hadoop.fs.azure.account.key.shop.dfs.core.windows.net": BASE64,
    "spark.hadoop.fs.azure.sas.lines.shop.blob.core.windows.net": "sv=2024&sig=Zm9vYmFyYmF6cXV4Zm9v%3D",
    "spark.hadoop.fs.s3a.access.key": "AKIAIOSFODNN7EXAMPLE",
    "spark.hadoop.fs.s3a.secret.key": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
    "spark.hadoop.fs.s3a.session.token": "FwoGZXIvYXdzEBYaDCDtoken",
    "spark.sql.catalog.lake.credential": "client:lake-credential-0815",
    "spark.hadoop.shop.apikey": "0f9e8d7c6b5a4f3e2d1c",
    "spark.hadoop.shop.connection.string": "Endpoint=sb://shop/;SharedAccessKey=c2hhcmVkLWFjY2Vzcy1rZXk=",
}


SALT = "5a17-0123456789abcdef-5a17"


def run(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "events").mkdir(exist_ok=True)
    log = f"spark.eventLog.enabled true\nspark.eventLog.dir {(folder / 'events').as_uri()}\n"
    (folder / "conf" / "spark-defaults.conf").write_text(log + "spark.eventLog.compress false\n")
    mine = {"SPARK_CONF_DIR": str(folder / "conf"), "SEGENGINE_SPARK_LOGS": "1", "PYTHONPATH": str(ROOT)}
    secrets = {f"PLANTED_{number}": value for number, value in enumerate(PLANTED.values())}
    secrets["SHOP_SALT"] = SALT
    return subprocess.run(
        [sys.executable, "-m", "segengine.cli", "run", str(config), "--verbose"],
        env={**os.environ, "SEGENGINE_MASTER": "local[2]", **mine, **secrets},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_eight_secrets_are_nowhere_and_neither_salt_nor_key_nor_ids_are(tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(60), tmp_path / "lines")
    config = shops.write_config(tmp_path)
    spark = "".join(f"  {name}: ${{env:PLANTED_{number}}}\n" for number, name in enumerate(PLANTED))
    private = "privacy: {pseudonymise: true, salt_env: SHOP_SALT}\n"
    config.write_text(f"{config.read_text()}{private}spark:\n{spark}")
    done = run(tmp_path, config)
    assert done.returncode == 0, done.stderr[-2000:]
    failing = tmp_path / "failing.yaml"
    failing.write_text(config.read_text().replace("path: lines", "path: nowhere/${env:PLANTED_3}"))
    failed = run(tmp_path, failing)
    assert failed.returncode == 3, failed.stderr[-2000:]
    said = done.stdout + done.stderr + failed.stdout + failed.stderr
    written = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert sum(len(data) for file, data in written.items() if "events" in file.parts) > 10_000
    for name, secret in PLANTED.items():
        parts = [secret, secret.split("=", 1)[-1], secret.rsplit("=", 1)[0].rsplit("=", 1)[-1]]
        for part in {part for part in parts if len(part) > 15}:
            assert part not in said, name
            assert [str(file) for file, data in written.items() if part.encode() in data] == [], name
    key = hashlib.sha256(b"segengine\0" + SALT.encode()).digest()
    for hidden in (SALT.encode(), key, key.hex().encode(), base64.b64encode(key)):
        assert [str(file) for file, data in written.items() if hidden in data] == []
    assert SALT not in said
    told = {file: readable(file.name, data) for file, data in written.items() if "lines" not in file.parts}
    assert [str(file) for file, data in told.items() if b"C00042" in data] == []
    assert "C00042" not in said
