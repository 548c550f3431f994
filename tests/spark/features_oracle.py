"""The features of a shop in plain pandas, customer by customer, to compare with; and small make-believe lines."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import Counter
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from scipy.special import hyp2f1

from segengine.features import clv

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
COLUMNS = {
    "customer_id": "string",
    "order_id": "string",
    "at_us": "bigint",
    "amount_e4": "bigint",
    "quantity": "double",
    "product": "string",
    "category": "string",
    "channel": "string",
    "discount_e4": "bigint",
    "is_return": "boolean",
    "row_hash": "bigint",
    "status": "string",
    "rule": "string",
}


def microseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def shop(seed: int, customers: int = 25, lines: int = 600, returns: str = "net") -> pd.DataFrame:
    """Random lines of 2010 and 2011: orders of several lines, returns, copies, rejected lines, missing things."""
    random = np.random.default_rng(seed)
    orders = lines // 3
    owner = random.integers(0, customers, orders)
    days = random.integers(0, 700, orders)
    seconds = random.integers(0, 86_400, orders)
    order = random.integers(0, orders, lines)
    start = dt.datetime(2010, 1, 1, tzinfo=dt.UTC)
    frame = pd.DataFrame(
        {
            "customer_id": [f"K{owner[o]}" for o in order],
            "order_id": [f"O{o}" for o in order],
            "at_us": [microseconds(start) + (int(days[o]) * 86_400 + int(seconds[o])) * 1_000_000 for o in order],
            "amount_e4": random.integers(0, 900_000, lines),
            "quantity": random.integers(1, 9, lines) / 4,
            "product": [f"P{p}" if p else None for p in random.integers(0, 12, lines)],
            "category": [["fruit", "Brot", "tools", "größer", None][c] for c in random.integers(0, 5, lines)],
            "is_return": random.random(lines) < 0.1,
        }
    )
    frame["channel"] = [["web", "Läden", None][c] for c in random.choice(3, lines, p=[0.5, 0.3, 0.2])]
    frame["discount_e4"] = pd.array(
        [d or None for d in random.integers(0, 3, lines) * random.integers(-900, 90_000, lines)], dtype="Int64"
    )
    frame.loc[frame["is_return"], ["amount_e4", "quantity"]] *= -1
    frame["row_hash"] = np.arange(lines, dtype="int64") * 7_919
    frame["status"] = np.where(random.random(lines) < 0.05, "rejected", "used")
    frame["rule"] = frame["status"].map({"rejected": "bad_amount", "used": None})
    if returns == "drop":
        gone = frame["is_return"] & (frame["status"] == "used")
        frame.loc[gone, "status"], frame.loc[gone, "rule"] = "ignored", "returned"
    copies = frame[frame["status"] == "used"].sample(lines // 20, random_state=seed)
    return pd.concat([frame, copies], ignore_index=True)


def local_day(at_us: int, zone: str) -> dt.date:
    return (EPOCH + dt.timedelta(microseconds=int(at_us))).astimezone(ZoneInfo(zone)).date()


def expected(frame: pd.DataFrame, as_of: dt.datetime, zone: str, *, drop: bool) -> dict[str, dict[str, float | None]]:
    """Features by customer and name; None where a value is missing."""
    return {str(name): _customer(lines, as_of, zone, drop) for name, lines in frame.groupby("customer_id")}


def _customer(lines: pd.DataFrame, as_of: dt.datetime, zone: str, drop: bool) -> dict[str, float | None]:
    used = lines[lines["status"] == "used"]
    returned = lines[lines["is_return"] & (lines["status"] != "rejected")]
    if drop:
        used = used.drop_duplicates(["order_id", "row_hash"])
        returned = returned.drop_duplicates(["order_id", "row_hash"])
    bought = used[~used["is_return"]]
    today = as_of.astimezone(ZoneInfo(zone)).date()
    orders = bought.groupby("order_id")
    n = orders.ngroups
    firsts = orders["at_us"].min()
    days = sorted({local_day(at, zone) for at in firsts})
    gaps = [(b - a).days for a, b in itertools.pairwise(days)]
    local = as_of.astimezone(ZoneInfo(zone))
    last, previous = (microseconds(local - dt.timedelta(days=d)) for d in (90, 180))
    touched = set(bought["order_id"]) | set(returned["order_id"])
    purchased = max(int(bought["amount_e4"].sum()), 0)
    discount = int(bought["discount_e4"].abs().sum())
    discounted = set(bought.loc[bought["discount_e4"].abs().fillna(0) > 0, "order_id"])
    return {
        "recency_days": (today - local_day(bought["at_us"].max(), zone)).days if n else None,
        "frequency_orders": n,
        "monetary_total": int(used["amount_e4"].sum()) / 10_000,
        "average_order_value": int(used["amount_e4"].sum()) / 10_000 / n if n else None,
        "items_per_order": bought["quantity"].sum() / n if n else None,
        "products_per_order": orders["product"].nunique().sum() / n if n else None,
        "tenure_days": (today - local_day(bought["at_us"].min(), zone)).days if n else None,
        "active_months": len({(d.year, d.month) for d in days}),
        "days_between_orders_mean": float(np.mean(gaps)) if gaps else None,
        "days_between_orders_cv": float(np.std(gaps, ddof=1) / np.mean(gaps)) if len(gaps) > 1 else None,
        "monetary_trend_90d": _trend(
            int(used.loc[used["at_us"] >= last, "amount_e4"].sum()),
            int(used.loc[(used["at_us"] >= previous) & (used["at_us"] < last), "amount_e4"].sum()),
        ),
        "orders_trend_90d": _trend(int((firsts >= last).sum()), int(((firsts >= previous) & (firsts < last)).sum())),
        "return_share_orders": returned["order_id"].nunique() / len(touched) if touched else None,
        "return_share_lines": len(returned) / (len(bought) + len(returned)) if touched else None,
        "returned_amount_share": min(int(returned["amount_e4"].abs().sum()) / purchased, 1) if purchased else None,
        **_mix(bought, "category", "categories", "share_", SLUGS),
        **_mix(bought, "channel", "channels", "channel_share_", CHANNELS),
        **_timing(firsts, zone),
        "discount_share_amount": discount / (purchased + discount) if purchased + discount else None,
        "discount_share_orders": len(discounted) / n if n else None,
    }


def _mix(bought: pd.DataFrame, column: str, plural: str, prefix: str, slugs: dict[str, str]) -> dict[str, float | None]:
    spend = {str(c): max(int(g["amount_e4"].sum()), 0) for c, g in bought.dropna(subset=[column]).groupby(column)}
    total = sum(spend.values())
    return {
        f"top_{column}_share": max(spend.values()) / total if total else None,
        f"{column}_entropy": -sum(v / total * math.log(v / total) for v in spend.values() if v) if total else None,
        f"{plural}_count": len(spend),
        **{prefix + slug: spend.get(c, 0) / total if total else None for c, slug in slugs.items()},
    }


def _timing(firsts: pd.Series, zone: str) -> dict[str, float | None]:
    local = [(EPOCH + dt.timedelta(microseconds=int(at))).astimezone(ZoneInfo(zone)) for at in firsts]
    counts = {
        "weekend": sum(at.isoweekday() >= 6 for at in local),
        "morning": sum(5 <= at.hour < 12 for at in local),
        "evening": sum(17 <= at.hour < 22 for at in local),
        "night": sum(at.hour >= 22 or at.hour < 5 for at in local),
    }
    return {f"{part}_share_orders": count / len(local) if local else None for part, count in counts.items()}


CHANNELS = {"web": "web", "Läden": "laden"}
SLUGS = {"fruit": "fruit", "Brot": "brot", "tools": "tools", "größer": "groer"}


def _trend(last: int, previous: int) -> float:
    last, previous = max(last, 0), max(previous, 0)
    return (last - previous) / (last + previous) if last + previous else 0.0


def revenue_rank(frame: pd.DataFrame) -> list[str]:
    bought = frame[(frame["status"] == "used") & ~frame["is_return"]].dropna(subset=["category"])
    sums: Counter[str] = Counter()
    for (_, category), lines in bought.groupby(["customer_id", "category"]):
        sums[str(category)] += max(int(lines["amount_e4"].sum()), 0)
    return sorted(sums, key=lambda c: (-sums[c], c))


def paper(p: clv.Purchases, x: float, t_x: float, t: float, ahead: float) -> float:
    """Equation 10 of Fader, Hardie and Lee, as it is printed."""
    z = ahead / (p.alpha + t + ahead)
    shrunk = ((p.alpha + t) / (p.alpha + t + ahead)) ** (p.r + x)
    above = 1 - shrunk * hyp2f1(p.r + x, p.b + x, p.a + p.b + x - 1, z)
    odds = p.a / (p.b + x - 1) * ((p.alpha + t) / (p.alpha + t_x)) ** (p.r + x) if x else 0
    return float((p.a + p.b + x - 1) / (p.a - 1) * above / (1 + odds))
