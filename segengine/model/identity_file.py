"""The identities of the model versions of an output, read from their folders."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from segengine.errors import BundleError
from segengine.model.identity import FILE, Identity, first

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = ["identity_of", "minted"]

log = logging.getLogger(__name__)


def identity_of(store: Store, version: str, k: int) -> Identity:
    """Who the `k` segments of a version are; those of a version from before there were ids are 1, 2, ... by place.

    Raises BundleError when the file is not what was saved.
    """
    path = f"models/{version}/{FILE}"
    if not store.exists(path):
        return first(k)
    try:
        found = Identity.from_dict(json.loads(store.read_bytes(path)))
        if len(found.keys) != k:
            raise ValueError(f"{len(found.keys)} segments, and the model has {k}")
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"The identities of model version {version} cannot be read.",
            where=store.uri(path),
            found=f"{type(error).__name__}: {error}",
            todo="Restore the folder from a copy, roll back to another version, or train again.",
        ) from error
    return found


def minted(store: Store, versions: Iterable[str]) -> tuple[int, ...]:
    """Every segment key that one of the versions has or knows of, in order.

    A version that cannot be read is passed over: a later one knows its keys.
    """
    known: set[int] = set()
    for version in versions:
        try:
            k = int(json.loads(store.read_bytes(f"models/{version}/manifest.json"))["k"])
            known |= set(identity_of(store, version, k).minted)
        except (BundleError, KeyError, TypeError, ValueError) as error:
            log.warning("the identities of %s cannot be read: %s", version, type(error).__name__)
    return tuple(sorted(known))
