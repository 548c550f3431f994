"""Twelve monthly retrains of a make-believe shop through Spark, held against the same year in numpy alone.

python -m benchmarks.year --customers 800 --seed 2 --out out/year

The shop and the settings are those of tests/yearly.py: prices rise 1 % a month, a kind of customers appears in month 5,
another one is gone by month 9. Each month is a whole `segengine.run(..., retrain=True)` as of that day, published into
the same output. Of the customers that one and the same model puts in the same segment in both months it prints how many
keep their id; what became of the segments; and how many customers the year in numpy puts into the segment of the same
id. With --live the year is run once more, each month with the lines that there were by then, and the tables of both are
compared row for row. Exit code 1 when fewer than --least keep their id in a month, or a table differs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
from sklearn.metrics import adjusted_rand_score

from segengine import runs
from segengine.scoring import online
from segengine.session import open_session
from tests import yearly

TABLES = ("membership", "moves", "segment_events", "segment_kpis", "assignments", "segments")
TIMELESS = ["publication_id", "created_at", "run_id"]

CONFIG = """\
name: year
as_of: {as_of}
history: {lead} months
timezone: UTC
currency: EUR
tables:
  transactions:
    path: lines
    columns: {{customer_id: customer_id, order_id: order_id, ordered_at: ordered_at, amount: amount}}
features:
  include: [rfm, average_order_value]
  custom: {{lines_per_order: "count(order_id) / count(DISTINCT order_id)"}}
segments: {{k: [3, 7], restarts: 3, seed: 7, hysteresis: {hysteresis}}}
output: {{path: out}}
powerbi: {{enabled: false}}
"""


@dataclass(frozen=True)
class Month:
    """What a run published. `rows` by customer_id: the segment's key, and the features of everybody with a segment."""

    rows: pd.DataFrame
    version: str
    verdict: str
    events: dict[str, list[int]]
    seconds: float

    @property
    def k(self) -> int:
        return int(self.rows["segment_key"].nunique())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=800)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/year"), help="a new folder")
    parser.add_argument("--hysteresis", type=float, default=0.0)
    parser.add_argument("--least", type=float, default=0.98, help="share of customers that must keep their id")
    parser.add_argument("--live", action="store_true", help="run the year as its months come, too, and compare")
    asked = parser.parse_args()
    shop = yearly.shop(asked.customers, seed=asked.seed)
    lines = shop.tables().lines
    config = written(asked.out, lines, shop.start, asked.hysteresis)
    alone = yearly.year(lines, shop.start, yearly.config())
    lowest = 1.0
    print("| retrain | as of | model | gates | k | events | keep their id | of | in numpy | alike | ARI | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    before: Month | None = None
    for number, (as_of, now, (rows, model)) in enumerate(
        zip(yearly.months(shop.start), months(config, shop.start), alone, strict=True)
    ):
        kept, of = (1.0, 0) if before is None else kept_of(before, now, asked.out / "out")
        lowest = min(lowest, kept)
        keys = model.keys(rows).reindex(now.rows.index)
        alike = float((keys == now.rows["segment_key"]).mean())
        rand = adjusted_rand_score(keys.fillna(-1), now.rows["segment_key"])
        events = ", ".join(f"{event} {keys}" for event, keys in now.events.items() if event != "kept" and number)
        print(
            f"| {number} | {as_of:%Y-%m-%d} | {now.version} | {now.verdict} | {now.k} | {events} | {kept:.2%} | {of:,} "
            f"| k = {len(model.centres)} | {alike:.2%} | {rand:.3f} | {now.seconds:.0f} |",
            flush=True,
        )
        before = now
    print(f"\nAt least {lowest:.2%} of the customers who did not change keep their id in every retrain.")
    differ = live(asked.out, lines, shop.start, asked.hysteresis) if asked.live else []
    if asked.live:
        same = f"{', '.join(differ)} differ" if differ else "every table is the same"
        print(f"Month by month, with later orders yet to come: {same}.")
    sys.exit(0 if lowest >= asked.least and not differ else 1)


def written(folder: Path, lines: pd.DataFrame, start: dt.date, hysteresis: float) -> Path:
    """The shop's lines and configuration in a new folder."""
    (folder / "lines").mkdir(parents=True)
    lines.to_parquet(folder / "lines" / "part-0.parquet", index=False, coerce_timestamps="us")
    config = folder / "year.yaml"
    first = f"{yearly.months(start)[0]:%Y-%m-%d}"
    config.write_text(CONFIG.format(as_of=first, lead=yearly.LEAD, hysteresis=hysteresis))
    return config


def live(out: Path, lines: pd.DataFrame, start: dt.date, hysteresis: float) -> list[str]:
    """The tables that differ when each month is run with the lines there were by then."""
    folder, before = out / "live", yearly.months(start)[0]
    config = written(folder, lines[lines["ordered_at"] < before], start, hysteresis)
    with open_session() as spark:
        for as_of in yearly.months(start):
            new = lines[(lines["ordered_at"] >= before) & (lines["ordered_at"] < as_of)]
            if len(new):
                file = folder / "lines" / f"{as_of:%Y-%m}.parquet"
                new.to_parquet(file, index=False, coerce_timestamps="us")
            runs.run(config, spark=spark, as_of=f"{as_of:%Y-%m-%d}", retrain=True)
            before = as_of
    return [name for name in TABLES if not rows_of(out / "out", name).equals(rows_of(folder / "out", name))]


def rows_of(out: Path, table: str) -> pd.DataFrame:
    """A published table without what differs from run to run, in order."""
    gold = out / "gold"
    rows = ds.dataset(gold / json.loads((gold / "current.json").read_text())["folder"] / table).to_table().to_pandas()
    known: pd.DataFrame = rows.drop(columns=TIMELESS, errors="ignore")
    return known.sort_values(list(known.columns), ignore_index=True)


def months(config: Path, start: dt.date) -> Iterator[Month]:
    """Run every month, and read what it published."""
    out = config.parent / "out"
    with open_session() as spark:
        for as_of in yearly.months(start):
            began = time.monotonic()
            runs.run(config, spark=spark, as_of=f"{as_of:%Y-%m-%d}", retrain=True)
            yield published(out, time.monotonic() - began)


def published(out: Path, seconds: float) -> Month:
    gold = out / "gold"
    folder = gold / json.loads((gold / "current.json").read_text())["folder"]
    rows = ds.dataset(folder / "assignments").to_table().to_pandas()
    ids = ds.dataset(folder / "customers").to_table(columns=["customer_key", "customer_id"]).to_pandas()
    rows = rows.merge(ids, on="customer_key").set_index("customer_id").query("segment_key.notna()")
    (version,) = set(rows["model_version"])
    model = out / "models" / version
    told = json.loads((model / "identity.json").read_text())["events"]
    events: dict[str, list[int]] = {}
    for event in told:
        events.setdefault(event["event"], []).append(event["segment_key"])
    verdict = json.loads((model / "gates.json").read_text())["verdict"]
    return Month(rows, version, verdict, events, seconds)


def kept_of(before: Month, now: Month, out: Path) -> tuple[float, int]:
    """The share of the customers whom the model before puts where they were, that are there by the new model too."""
    there = before.rows.index.intersection(now.rows.index)
    was, rows = before.rows.loc[there, "segment_key"], now.rows.loc[there]
    still = online.load(out, before.version).score(rows.reset_index(drop=True))["segment_key"]
    unchanged = still == was.to_numpy()
    return float((rows["segment_key"] == was)[unchanged].mean()), int(unchanged.sum())


if __name__ == "__main__":
    main()
