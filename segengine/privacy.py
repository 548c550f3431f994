"""Keyed pseudonyms of customers, and the list of those who are to be forgotten. No Spark here.

output/privacy/key.json          what tells one salt from another, and gives nothing of either away
output/privacy/forgotten.json    a keyed hash of each customer who was erased, by the salt that it was made with
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segengine.errors import ConfigError

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.io.files import Store

__all__ = [
    "FORGOTTEN",
    "Suppressed",
    "check_of",
    "forget",
    "key_of",
    "listed",
    "pseudonym",
    "settle_key",
    "suppressed",
    "token",
]

FOLDER = "privacy"
KEY = f"{FOLDER}/key.json"
LIST = f"{FOLDER}/forgotten.json"
FORGOTTEN = "(forgotten customer)"
"""Stands for the id of everybody who was erased, until the contract has ignored the row."""
FEWEST_CHARACTERS = 16
PSEUDONYM_BYTES = 16
"""128 bits: two of 10 billion customers share one with a chance of 1 in 10^18."""

Suppressed = Mapping[bytes, frozenset[str]]
"""Key -> the tokens that were made with it."""


def pseudonym(key: bytes, customer_id: str) -> str:
    """What a customer is published as: HMAC-SHA256 of the canonical id, its first 128 bits in hexadecimal."""
    return hmac.digest(key, b"customer\0" + customer_id.encode(), "sha256")[:PSEUDONYM_BYTES].hex()


def token(key: bytes, customer_id: str) -> str:
    """What is kept of a customer who was erased; no pseudonym can be told from it, nor it from a pseudonym."""
    return hmac.digest(key, b"forgotten\0" + customer_id.encode(), "sha256").hex()


def key_of(config: Config, environ: Mapping[str, str] | None = None) -> bytes:
    """The key made of the salt in the environment. ConfigError when there is none: one line, with the command."""
    name = config.privacy.salt_env
    if name is None:
        raise ConfigError(
            "No salt is configured.", where="privacy.salt_env", todo="Write privacy: {salt_env: SEGENGINE_SALT}."
        )
    return _key(name, environ)


def _key(name: str, environ: Mapping[str, str] | None) -> bytes:
    salt = (os.environ if environ is None else environ).get(name, "")
    if len(salt) < FEWEST_CHARACTERS:
        why = "is not set" if not salt else f"is shorter than {FEWEST_CHARACTERS} characters"
        raise ConfigError(f"The salt {name} {why}: export {name}=$(openssl rand -hex 32), and keep it.")
    return hashlib.sha256(b"segengine\0" + salt.encode()).digest()


def check_of(key: bytes) -> str:
    """What tells a key from another one."""
    return hmac.digest(key, b"which key", "sha256")[:8].hex()


def settle_key(store: Store, config: Config, *, rekey: bool = False, environ: Mapping[str, str] | None = None) -> None:
    """Refuse another salt than the one that this output was made with, unless `rekey`; the first one is noted.

    Turning pseudonyms on or off is a change, too. Raises ConfigError.
    """
    if not config.privacy.pseudonymise:
        if store.exists(KEY) and not rekey:
            raise _changed(config, "pseudonyms were published here, and privacy.pseudonymise is off now")
        if store.exists(KEY):
            store.delete(KEY)
        return
    check = check_of(key_of(config, environ))
    if store.exists(KEY) and not rekey and json.loads(store.read_bytes(KEY)).get("check") != check:
        raise _changed(config, f"{config.privacy.salt_env} is another salt than before")
    if not store.exists(KEY) or rekey:
        if store.exists("gold") and not store.exists(KEY) and not rekey:
            raise _changed(config, "ids were published here, and privacy.pseudonymise is on now")
        store.write_atomic(KEY, json.dumps({"check": check}).encode())


def _changed(config: Config, found: str) -> ConfigError:
    return ConfigError(
        "Every customer would become somebody else, and history would end.",
        where="privacy",
        found=found,
        todo="Put it back; or publish under new keys on purpose: segengine run CONFIG --rekey.",
    )


def suppressed(store: Store, config: Config, environ: Mapping[str, str] | None = None) -> Suppressed:
    """Who was erased, by key. Raises ConfigError when the salt that entries were made with is not there.

    Entries of an earlier salt need it, in the variable of the salt with _OLD behind its name.
    """
    if not store.exists(LIST):
        return {}
    entries: Mapping[str, list[str]] = json.loads(store.read_bytes(LIST))["by_key"]
    found: dict[bytes, frozenset[str]] = {}
    name = config.privacy.salt_env or "SEGENGINE_SALT"
    for check, tokens in entries.items():
        key = next((k for k in _keys(name, environ) if check_of(k) == check), None)
        if key is None:
            _key(name, environ)  # says that there is none at all, if so
            raise ConfigError(
                "Customers were erased under another salt, and would come back.",
                where="privacy.salt_env",
                found=f"{len(tokens):,} entries of an earlier salt",
                todo=f"Set {name}_OLD to that salt, for as long as they are to be forgotten.",
            )
        found[key] = frozenset(tokens)
    return found


def listed(store: Store) -> str:
    """What changes with every customer who is put on the list; empty before the first."""
    return store.sha256(LIST) if store.exists(LIST) else ""


def _keys(name: str, environ: Mapping[str, str] | None) -> list[bytes]:
    found = []
    for variable in (name, f"{name}_OLD"):
        try:
            found.append(_key(variable, environ))
        except ConfigError:
            continue
    return found


def forget(store: Store, key: bytes, customer_id: str) -> str:
    """Put a customer on the list; the token. Doing it twice does nothing more."""
    entries: dict[str, list[str]] = {}
    if store.exists(LIST):
        entries = json.loads(store.read_bytes(LIST))["by_key"]
    made, check = token(key, customer_id), check_of(key)
    entries[check] = sorted({*entries.get(check, []), made})
    store.write_atomic(LIST, (json.dumps({"by_key": entries}, indent=1) + "\n").encode())
    return made
