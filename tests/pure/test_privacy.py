"""Pseudonyms and the list of the forgotten: keyed, told apart, refused when the key changes."""

from __future__ import annotations

import hashlib
import hmac
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine import privacy
from segengine.config import parse
from segengine.errors import ConfigError, LockedError
from segengine.io.files import LocalStore
from segengine.runs import recipes

SALT, OTHER = "a salt that is long enough", "another salt, long enough"
CONFIG = """\
name: shop
tables: {transactions: {path: lines, columns: {customer_id: a, ordered_at: b, amount: c}}}
output: {path: out}
privacy: {salt_env: SALT, pseudonymise: %s}
"""


def config_of(folder, pseudonymise="true"):
    return parse(CONFIG % pseudonymise, folder=folder)


@given(st.binary(min_size=16, max_size=64), st.text(max_size=40))
def test_pseudonyms_are_hmac_sha256_and_no_tokens(key, customer_id):
    made = privacy.pseudonym(key, customer_id)
    assert made == hmac.new(key, b"customer\0" + customer_id.encode(), hashlib.sha256).hexdigest()[:32]
    assert made not in privacy.token(key, customer_id)
    assert privacy.check_of(key) not in (made, privacy.token(key, customer_id))


@pytest.mark.parametrize("environ", [{}, {"SALT": ""}, {"SALT": "short"}])
def test_a_missing_salt_is_one_line_with_the_command(tmp_path, environ):
    with pytest.raises(ConfigError) as caught:
        privacy.key_of(config_of(tmp_path), environ)
    assert "\n" not in str(caught.value)
    assert "export SALT=$(openssl rand -hex 32)" in str(caught.value)
    assert "short" not in str(caught.value).replace("shorter", "")


def test_pseudonyms_without_a_variable_for_the_salt_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="salt_env"):
        parse(CONFIG.replace("salt_env: SALT, ", "") % "true", folder=tmp_path)


def test_another_salt_is_refused_until_it_is_asked_for(tmp_path):
    store, config = LocalStore(str(tmp_path / "out")), config_of(tmp_path)
    privacy.settle_key(store, config, environ={"SALT": SALT})
    privacy.settle_key(store, config, environ={"SALT": SALT})
    with pytest.raises(ConfigError, match="--rekey"):
        privacy.settle_key(store, config, environ={"SALT": OTHER})
    privacy.settle_key(store, config, rekey=True, environ={"SALT": OTHER})
    with pytest.raises(ConfigError, match="another salt than before"):
        privacy.settle_key(store, config, environ={"SALT": SALT})
    kept = (tmp_path / "out/privacy/key.json").read_text()
    assert SALT not in kept
    assert OTHER not in kept


def test_turning_pseudonyms_on_or_off_under_published_ids_is_refused(tmp_path):
    store = LocalStore(str(tmp_path / "out"))
    store.write_atomic("gold/current.json", b"{}")
    with pytest.raises(ConfigError, match="ids were published here"):
        privacy.settle_key(store, config_of(tmp_path), environ={"SALT": SALT})
    privacy.settle_key(store, config_of(tmp_path), rekey=True, environ={"SALT": SALT})
    with pytest.raises(ConfigError, match="pseudonyms were published here"):
        privacy.settle_key(store, config_of(tmp_path, "false"), environ={})
    privacy.settle_key(store, config_of(tmp_path, "false"), rekey=True, environ={})
    privacy.settle_key(store, config_of(tmp_path, "false"), environ={})


def test_a_run_that_has_read_who_is_erased_meanwhile_changes_nothing(tmp_path):
    store, key = LocalStore(str(tmp_path / "out")), privacy.key_of(config_of(tmp_path), {"SALT": SALT})
    job: Any = SimpleNamespace(store=store, run_id="r1", forgotten=privacy.listed(store))
    with recipes._lock(job):
        assert store.exists("gold/_lock")
    privacy.forget(store, key, "C1")
    store.write_atomic("quarantine/r1/part-0.parquet", b"C1")
    with pytest.raises(LockedError, match="erased while this run read"), recipes._lock(job):
        pytest.fail("it is not to go on")
    assert not store.exists("gold/_lock")
    assert not store.exists("quarantine/r1")
    job.forgotten = privacy.listed(store)
    privacy.forget(store, key, "C1")  # again: nobody new
    with recipes._lock(job):
        pass


def test_the_forgotten_are_kept_by_the_salt_they_were_forgotten_under(tmp_path):
    store, config = LocalStore(str(tmp_path / "out")), config_of(tmp_path)
    assert privacy.suppressed(store, config, {}) == {}
    first, second = privacy.key_of(config, {"SALT": SALT}), privacy.key_of(config, {"SALT": OTHER})
    for _ in range(2):
        privacy.forget(store, first, "C1")
    privacy.forget(store, first, "C2")
    tokens = frozenset(privacy.token(first, one) for one in ("C1", "C2"))
    assert privacy.suppressed(store, config, {"SALT": SALT}) == {first: tokens}
    with pytest.raises(ConfigError, match=r"export SALT="):
        privacy.suppressed(store, config, {})
    with pytest.raises(ConfigError, match="SALT_OLD"):
        privacy.suppressed(store, config, {"SALT": OTHER})
    privacy.forget(store, second, "C3")
    found = privacy.suppressed(store, config, {"SALT": OTHER, "SALT_OLD": SALT})
    assert found == {first: tokens, second: frozenset([privacy.token(second, "C3")])}
    kept = json.loads((tmp_path / "out/privacy/forgotten.json").read_text())
    assert "C1" not in json.dumps(kept)
