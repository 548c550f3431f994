"""Secrets do not come out: neither what came in by the environment, nor what has the shape of one."""

from __future__ import annotations

import json
import logging

import pytest

from segengine.cli import _exit_code
from segengine.config import parse
from segengine.config.redaction import without_secrets
from segengine.io.files import LocalStore
from segengine.mlops.recording import record
from segengine.shell import logging_to
from tests.pure.test_audit import CONFIG, NOW

BASE64 = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zg=="
SECRETS = {
    "account key": f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={BASE64};EndpointSuffix=core",
    "sas": "wasbs://x@shop/lines?sv=2024-01-01&sig=Zm9vYmFyYmF6cXV4Zm9v%3D",
    "service bus": f"Endpoint=sb://shop/;SharedAccessKeyName=Root;SharedAccessKey={BASE64}",
    "aws": "fs.s3a.access.key=AKIAIOSFODNN7EXAMPLE fs.s3a.secret.key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "jwt": "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3\n-----END RSA PRIVATE KEY-----",
    "url": "jdbc:postgresql://scott:t1ger-t1ger@db/shop",
    "api key": "https://api.example/v1?apikey=0f9e8d7c6b5a4f3e&x=1",
}
PLANTED = (
    BASE64, "Zm9vYmFyYmF6cXV4Zm9v%3D", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eyJhbGciOiJIUzI1NiJ9",
    "MIIEpAIBAAKCAQEA0Z3VS5JJcds3", "t1ger-t1ger", "0f9e8d7c6b5a4f3e",
)  # fmt: skip


def hits(text: str) -> list[str]:
    return [secret for secret in PLANTED if secret in text]


@pytest.mark.parametrize("name", list(SECRETS))
def test_what_has_the_shape_of_a_secret_is_redacted_and_its_name_stays(name):
    assert hits(SECRETS[name])
    cleaned = without_secrets(SECRETS[name])
    assert hits(cleaned) == []
    assert "(redacted)" in cleaned
    assert without_secrets(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "columns of gold/customers change: added signature string",
        '{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "rows": 12}',
        "file:///data/out/gold/publications/20240501T080000Z-abc123/customers",
        "spark.hadoop.fs.azure.account.key.shop=${env:KEY}",
        "abfss://lines@shop.dfs.core.windows.net/2024/part-0.parquet",
        "margin 0.25 where the training had 0.31; tokens of 3 words",
    ],
)
def test_what_is_no_secret_stays(text):
    assert without_secrets(text) == text


def test_eight_secrets_get_through_neither_records_nor_audit_nor_errors_nor_the_log(tmp_path, capsys):
    config = parse(CONFIG, folder=tmp_path)
    store = LocalStore(str(tmp_path / "out"))
    facts = {"command": "run", "state": "done", "inputs": [{"location": text} for text in SECRETS.values()]}
    record(store, config, "run", facts, now=NOW)
    for text in SECRETS.values():
        assert hits(config.redact(json.dumps({"text": text}))) == []
    with logging_to(True, config.output.path):
        for text in SECRETS.values():
            logging.getLogger("segengine.io").info("reading %s", text)
            logging.getLogger("segengine.io").error("reading %s failed", text, exc_info=ValueError(text))
    file = tmp_path / "shop.yaml"
    for text in SECRETS.values():
        file.write_text(CONFIG.replace("path: lines", "path: lines, format: " + json.dumps(text)))
        assert _exit_code(["run", str(file), "--verbose"]) == 2
    said = capsys.readouterr()
    assert hits(said.out + said.err) == []
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert hits(path.read_text(errors="replace")) == [], path
    assert "(redacted)" in (tmp_path / "out/segengine.log").read_text()
