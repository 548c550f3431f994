"""What a campaign brought: what its cohort bought since, those written to against those held out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine import privacy
from segengine.campaigns.manifest import Campaign, cohort_of, folder_of, read_campaign
from segengine.campaigns.uplift import Compared, Interval, Sums, compare
from segengine.config import Config, load, with_as_of
from segengine.config.times import History, instant, local_text, microseconds, parse_moment
from segengine.errors import ConfigError, InputError, TamperedError
from segengine.job import Job, open_job
from segengine.mlops.audit import files_below
from segengine.publish.keys import customer_key
from segengine.publish.publication import read_current
from segengine.runs.ahead import in_any_window
from segengine.runs.tables import read_lines, read_people

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from segengine.contract import CheckedLines
    from segengine.steps import Listener

__all__ = ["CampaignResult", "campaign_result"]

GROUPS = ("treated", "holdout")


@dataclass(frozen=True)
class CampaignResult:
    """What is known of a campaign so far. Moments are ISO 8601 in UTC, money in `currency`.

    `overall` and each of `by_segment`: the share who bought, revenue per customer, and that adjusted by the frozen
    baseline; empty where nobody was held out. `brought`: the difference of revenue per customer (the adjusted one where
    there is one) times those written to. `erased`: customers of the cohort who were forgotten since.
    """

    campaign_id: str
    currency: str
    start: str
    until: str
    days: int
    is_complete: bool
    treated: Mapping[str, int]
    holdout: Mapping[str, int]
    erased: int
    overall: tuple[Compared, ...]
    by_segment: Mapping[str, tuple[Compared, ...]]
    brought: Interval | None
    notes: tuple[str, ...]


def campaign_result(
    config: Config | str | Path,
    campaign_id: str,
    *,
    days: int | None = None,
    start: str | dt.date | None = None,
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> CampaignResult:
    """Compare what those written to and those held out bought from `start` on, for `days` at most.

    `start`: a date or moment, when it was sent; when the list was exported if absent. `days`: campaigns.days if absent.
    The lines go through the checks of a run. Writes campaigns/<id>/result.json.
    Raises ConfigError for a campaign that there is not, or that cannot be told; InputError when there are no order
    lines since; TamperedError when the cohort is not as it was frozen.
    """
    if not isinstance(config, Config):
        config = load(config)
    if config.tables.transactions is None:
        raise ConfigError(
            "There are no transactions to see what anybody bought.",
            where="tables.transactions",
            todo="Describe the table of order lines: what came of a campaign is counted in it.",
        )
    with open_job("campaign result", config, steps=3, spark=spark, as_of=None, now=now, listener=listener) as job:
        campaign = read_campaign(job.store, campaign_id)
        _require_cohort(job, campaign)
        begin = _start(job, campaign, start)
        wanted = config.campaigns.days if days is None else days
        end = History(days=wanted, timezone=config.timezone).end(begin)
        assert end is not None
        with job.steps.step("Checking transactions") as step:
            people = read_people(job) if config.quality.unknown_customers == "reject" else None
            lines = read_lines(job, people, with_as_of(config, "latest"))
            step.rows_in = lines.rows_read
        until = min(end, lines.as_of)
        if until <= begin:
            newest = f"the newest line is before {local_text(lines.as_of, job.config.timezone)}"
            raise InputError(
                "There are no order lines since the campaign started.",
                where="tables.transactions",
                found=f"it started on {local_text(begin, job.config.timezone)}, {newest}",
                todo="Wait until there are some; --from DATE says when it was sent, if not when the list was exported.",
            )
        with job.steps.step("Comparing"):
            sums = _sums(job, campaign, _bought(job, lines, begin, until))
        made = _result(job, campaign, sums, begin, end, until, wanted)
        path = f"{folder_of(campaign_id)}/result.json"
        job.store.write_atomic(path, (json.dumps(asdict(made), indent=2, ensure_ascii=False) + "\n").encode())
        job.wrote.append(path)
        job.record["campaign"] = {"campaign_id": campaign_id, "start": made.start, "until": made.until}
        return made


def _require_cohort(job: Job, campaign: Campaign) -> None:
    """The cohort is the one that was frozen, and customers still have the keys that it knows them by."""
    found = files_below(job.store, [cohort_of(campaign.campaign_id)])
    if found != campaign.cohort_files:
        raise TamperedError(
            "The cohort of the campaign is not as it was frozen.",
            where=job.store.uri(cohort_of(campaign.campaign_id)),
            todo="Restore it from a copy of the output; segengine verify CONFIG tells what else has changed.",
        )
    check = privacy.check_of(privacy.key_of(job.config)) if job.config.privacy.pseudonymise else None
    if check != campaign.pseudonym_check:
        raise ConfigError(
            "Customers had other keys when the campaign was exported: nobody of its cohort would be found.",
            where="privacy",
            found=f"campaign {campaign.campaign_id} of {campaign.created_at}",
            todo="Its result can only be told with the salt, and the pseudonymise, of that day.",
        )


def _start(job: Job, campaign: Campaign, start: str | dt.date | None) -> dt.datetime:
    exported = dt.datetime.fromisoformat(campaign.created_at)
    if start is None:
        return exported
    try:
        moment = parse_moment(start)
        begin = exported if isinstance(moment, str) else instant(moment, job.config.timezone)
    except ValueError as error:
        raise ConfigError(f"The start of the campaign {error}.", where="--from", found=repr(start)) from error
    published, zone = dt.datetime.fromisoformat(campaign.as_of), job.config.timezone
    if begin < published:
        raise ConfigError(
            "A campaign cannot have started before its customers were looked at.",
            where="--from",
            found=f"{local_text(begin, zone)}; the segments are as of {local_text(published, zone)}",
            todo="What they did before is in the baseline already. Give a later start.",
        )
    return begin


def _bought(job: Job, lines: CheckedLines, begin: dt.datetime, until: dt.datetime) -> DataFrame:
    """One row is a customer with a line in the period: customer_id, y_e4 (money), orders, has_bought."""
    from pyspark.sql import functions as F

    when = F.unix_micros("ordered_at")
    rows = in_any_window(lines.lines, job.config).where(
        (F.col("status") == "used") & (when >= microseconds(begin)) & (when < microseconds(until))
    )
    if lines.drop_duplicates:
        rows = rows.dropDuplicates(["customer_id", "order_id", "row_hash"])
    bought = ~F.coalesce(F.col("is_return"), F.lit(False))
    return rows.groupBy("customer_id").agg(
        F.sum("amount_e4").alias("y_e4"), F.count_distinct(F.when(bought, F.col("order_id"))).alias("orders")
    )


def _sums(job: Job, campaign: Campaign, bought: DataFrame) -> dict[tuple[int, str], Sums]:
    """Exact sums by segment and group: the order that rows are added in changes nothing."""
    from pyspark.sql import functions as F

    spark = job.spark
    keys = read_current(spark, job.config.output, "customers").select(
        "customer_id", F.col("customer_key").alias("known")
    )
    by_key = (
        bought.join(keys, "customer_id", "left")
        .groupBy(F.coalesce("known", customer_key(F.col("customer_id"), 0)).alias("customer_key"))
        .agg(F.sum("y_e4").alias("y_e4"), F.sum("orders").alias("orders"))
    )
    cohort = spark.read.parquet(job.store.uri(cohort_of(campaign.campaign_id)))
    whole = "decimal(18,0)"
    rows = cohort.join(by_key, "customer_key", "left").select(
        "segment_key",
        "group",
        F.coalesce("orders", F.lit(0)).alias("orders"),
        F.coalesce("y_e4", F.lit(0)).cast(whole).alias("y"),
        (F.coalesce(F.col("baseline_revenue"), F.lit(0)) * 10_000).cast(whole).alias("x"),
    )
    found = rows.groupBy("segment_key", "group").agg(
        F.count(F.lit(1)).alias("customers"),
        F.count_if(F.col("orders") > 0).alias("buyers"),
        F.sum("orders").alias("orders"),
        *(F.sum(name).alias(name) for name in ("y", "x")),
        *(F.sum(F.col(name[0]) * F.col(name[1])).alias(name) for name in ("yy", "xx", "xy")),
    )
    fields = ("customers", "buyers", "orders", "y", "yy", "x", "xx", "xy")
    return {
        (int(row["segment_key"]), str(row["group"])): Sums(*(int(row[name]) for name in fields))
        for row in found.collect()
    }


def _result(
    job: Job,
    campaign: Campaign,
    sums: Mapping[tuple[int, str], Sums],
    begin: dt.datetime,
    end: dt.datetime,
    until: dt.datetime,
    days: int,
) -> CampaignResult:
    total = {group: sum((one for (_, g), one in sums.items() if g == group), Sums(0)) for group in GROUPS}
    overall = compare(total["treated"], total["holdout"])
    by_segment = {}
    for segment in campaign.segments if len(campaign.segments) > 1 else ():
        parts = [sums.get((int(segment["segment_key"]), group), Sums(0)) for group in GROUPS]
        by_segment[f"{segment['segment_id']} {segment['name']}"] = compare(*parts)
    frozen = campaign.counts["treated"] + campaign.counts["holdout"]
    erased = frozen - total["treated"].customers - total["holdout"].customers
    return CampaignResult(
        campaign_id=campaign.campaign_id,
        currency=campaign.currency,
        start=begin.astimezone(dt.UTC).isoformat(),
        until=until.astimezone(dt.UTC).isoformat(),
        days=days,
        is_complete=until == end,
        treated=_facts(total["treated"]),
        holdout=_facts(total["holdout"]),
        erased=erased,
        overall=overall,
        by_segment=by_segment,
        brought=_brought(overall, total["treated"].customers),
        notes=_notes(campaign, overall, begin, end, until, erased),
    )


def _facts(group: Sums) -> dict[str, Any]:
    return {"customers": group.customers, "buyers": group.buyers, "orders": group.orders, "revenue": group.y / 10_000}


def _brought(overall: tuple[Compared, ...], treated: int) -> Interval | None:
    """The difference of the last measure, which is the most exact one of money, over all who were written to."""
    if not overall:
        return None
    one = overall[-1].difference
    low, high = (None if end is None else end * treated for end in (one.low, one.high))
    return Interval(one.value * treated, low, high)


def _notes(
    campaign: Campaign,
    overall: tuple[Compared, ...],
    begin: dt.datetime,
    end: dt.datetime,
    until: dt.datetime,
    erased: int,
) -> tuple[str, ...]:
    notes = []
    if not overall:
        notes.append(
            "Nobody was held out, so what the campaign brought cannot be told from what would have come anyway."
        )
    if until < end:
        notes.append(
            f"Interim: order lines go to {until:%Y-%m-%d %H:%M} UTC, the period to {end:%Y-%m-%d %H:%M}. Only the look "
            "at its end counts: who stops when it looks good finds effects that are none."
        )
    if begin < dt.datetime.fromisoformat(campaign.created_at):
        notes.append("The period starts before the list was exported: nobody had been written to as yet. A rehearsal.")
    if erased:
        notes.append(f"{erased:,} customers of the cohort were erased since.")
    if campaign.consent is None:
        notes.append("Consent was not asked for when the list was exported.")
    return tuple(notes)
