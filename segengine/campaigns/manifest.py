"""What is kept of a campaign: a small file that says what was done, beside the frozen cohort.

campaigns/<id>/manifest.json    this; a campaign exists once it does
campaigns/<id>/cohort/          Parquet: customer_key, segment, group (treated, holdout), baseline; no customer id
campaigns/<id>/export.csv       the list, unless it was written elsewhere
campaigns/<id>/result.json      the newest result
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from segengine.errors import ConfigError, PublicationError

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = [
    "FOLDER", "OUTCOMES", "Campaign", "cohort_of", "folder_of", "is_own", "listed", "read_campaign", "save_campaign",
]  # fmt: skip

FOLDER = "campaigns"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
OUTCOMES: Mapping[str, str] = {
    "treated": "on the list",
    "holdout": "held out",
    "no_consent": "no consent",
    "no_longer_in_source": "no longer in the customers table",
    "suppressed": "erased, or on an ignore_customers list",
    "rejected": "rows that contradict each other or fail a rule",
    "no_contact": "no value in the first contact column",
}
"""What becomes of a customer of the segments: exactly one of these."""
_OWN = re.compile(rf"{FOLDER}/[^/]+/(manifest\.json|result\.json|cohort/.*)")


@dataclass(frozen=True)
class Campaign:
    """A campaign as its manifest has it. Moments are ISO 8601 in UTC; money is in `currency`."""

    campaign_id: str
    name: str
    created_at: str
    run_id: str
    publication_id: str
    model_version: str
    as_of: str
    currency: str
    segments: tuple[Mapping[str, Any], ...]
    """segment_key, segment_id, name and the number of customers by outcome."""
    customers: int
    counts: Mapping[str, int]
    """Outcome -> customers; they add up to `customers`."""
    holdout_share: float
    consent: str | None
    """The condition that was asked; None when nobody was asked for consent."""
    pseudonym_check: str | None
    """What tells the salt of published pseudonyms from another one; None when ids are published."""
    export: Mapping[str, Any]
    """folder, file, format, columns, rows, bytes, sha256."""
    cohort_files: Mapping[str, Mapping[str, Any]]
    """Path -> bytes and sha256."""

    def as_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()


def folder_of(campaign_id: str) -> str:
    """Where a campaign is kept, below the output. ConfigError for an id that is none."""
    if not NAME.fullmatch(campaign_id):
        raise ConfigError(
            "A campaign's name is letters, digits, - and _.", found=campaign_id, todo="Write one such as spring-2026."
        )
    return f"{FOLDER}/{campaign_id}"


def cohort_of(campaign_id: str) -> str:
    """The folder of the frozen cohort."""
    return f"{folder_of(campaign_id)}/cohort"


def is_own(path: str) -> bool:
    """Whether a file of the output is one that campaigns keep: there is no customer id in it."""
    return _OWN.fullmatch(path) is not None


def save_campaign(store: Store, campaign: Campaign) -> str:
    """Write the manifest; its path."""
    path = f"{folder_of(campaign.campaign_id)}/manifest.json"
    store.write_atomic(path, campaign.as_json())
    return path


def read_campaign(store: Store, campaign_id: str) -> Campaign:
    """The campaign of this id. ConfigError, naming those there are, when there is none."""
    path = f"{folder_of(campaign_id)}/manifest.json"
    try:
        plain = json.loads(store.read_bytes(path))
        return Campaign(**{field.name: plain[field.name] for field in fields(Campaign)})
    except FileNotFoundError:
        known = _names(store)
        raise ConfigError(
            "There is no such campaign.",
            where=store.uri(FOLDER),
            found=f"{campaign_id}; there are: {', '.join(known[-10:]) or 'none'}",
            todo="segengine campaign list CONFIG shows all of them.",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise PublicationError(
            "The manifest of a campaign cannot be read.",
            where=store.uri(path),
            found=f"{type(error).__name__}: {error}",
            todo="Restore it from a copy of the output.",
        ) from error


def listed(store: Store) -> list[Campaign]:
    """All campaigns, the oldest first."""
    return sorted(
        (read_campaign(store, name) for name in _names(store)), key=lambda one: (one.created_at, one.campaign_id)
    )


def _names(store: Store) -> list[str]:
    return [entry.name for entry in store.list(FOLDER) if store.exists(f"{entry.path}/manifest.json")]
