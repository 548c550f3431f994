"""Take a customer out of campaigns: the frozen cohorts, and the lists that were exported."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING

from segengine.campaigns.lists import FORMATS, without_customer
from segengine.campaigns.manifest import Campaign, cohort_of, listed, save_campaign
from segengine.errors import SegengineError
from segengine.io.files import Store, store_for
from segengine.mlops.audit import files_below
from segengine.publish.erase import Erased, Person, counted, erase_parquet, matching, parquet_folders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["erase_campaigns", "list_files"]


def list_files(store: Store) -> set[str]:
    """Lists below the output that are as they were exported: they are looked into column by column, not as text."""
    return {str(one.export["file"]) for one in listed(store) if one.export["folder"] is None and _is_ours(store, one)}


def erase_campaigns(store: Store, spark: SparkSession, person: Person, customer_id: str) -> tuple[Erased, list[str]]:
    """Take the person, whose id in the source is `customer_id`, out of cohorts and lists.

    A list is written anew where it is still as it was exported, wherever that is. With it the places of lists that hold
    the person, and are not where they were, or were changed since: whoever has them has to erase there.
    """
    erased, elsewhere = Erased(), []
    for campaign in listed(store):
        folder = cohort_of(campaign.campaign_id)
        files = parquet_folders(store, folder).get(folder, [])
        rows = spark.read.parquet(*(store.uri(entry.path) for entry in files)) if files else None
        hits = None if rows is None else matching(rows.columns, person, None)
        if rows is None or hits is None or not counted(rows, hits):
            continue
        target, name = _place(store, spark, campaign)
        if target is not None and _is_ours(target, campaign):
            removed, campaign = _clean_list(target, campaign, customer_id)
            erased.rows += removed
            if removed and campaign.export["folder"] is None:
                erased.rewritten.append(name)
        elif counted(rows.where("group = 'treated'"), hits):
            elsewhere.append(f"{campaign.export['folder'] or store.uri()}/{name}")
        erased.add(erase_parquet(store, spark, folder, files, person))
        now = replace(campaign, cohort_files=files_below(store, [folder]))
        erased.rewritten.append(save_campaign(store, now))
    return erased, elsewhere


def _place(store: Store, spark: SparkSession, campaign: Campaign) -> tuple[Store | None, str]:
    """Where the list was written; no store when it cannot be reached from here."""
    name, folder = str(campaign.export["file"]), campaign.export["folder"]
    if folder is None:
        return store, name
    try:
        return store_for(str(folder), spark), name
    except SegengineError:
        return None, name


def _is_ours(target: Store, campaign: Campaign) -> bool:
    """Whether the list is there, byte for byte as it was written."""
    name = str(campaign.export["file"])
    try:
        return target.exists(name) and target.sha256(name) == campaign.export["sha256"]
    except (SegengineError, OSError):
        return False


def _clean_list(target: Store, campaign: Campaign, customer_id: str) -> tuple[int, Campaign]:
    """Write a list without a customer; how many rows that were, and the campaign that knows the new file."""
    name, made = str(campaign.export["file"]), dt.datetime.fromisoformat(campaign.created_at)
    form = next(one for one in FORMATS if one == campaign.export["format"])
    with tempfile.TemporaryDirectory(prefix="segengine-list-") as folder:
        before, after = os.path.join(folder, f"before.{form}"), os.path.join(folder, f"after.{form}")
        target.fetch_file(name, before)
        removed = without_customer(form, before, after, customer_id, made)
        if not removed:
            return 0, campaign
        target.put_file(name, after)
        facts = {
            "rows": campaign.export["rows"] - removed,
            "bytes": os.path.getsize(after),
            "sha256": target.sha256(name),
        }
    return removed, replace(campaign, export={**campaign.export, **facts})
