"""Small make-believe tables for tests, in Parquet and CSV, made with numpy and pandas alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

KINDS = (
    # name, customers' share, days between orders, lines per order, price, last seen (days before the end)
    ("often", 0.25, 6, 4, 30.0, 0),
    ("steady", 0.35, 20, 3, 12.0, 0),
    ("lapsed", 0.25, 25, 2, 8.0, 200),
    ("rare", 0.15, 110, 2, 90.0, 20),
)


def lines(customers: int = 300, seed: int = 1, days: int = 360) -> pd.DataFrame:
    """Order lines of four clearly different kinds of customers; one row is a line."""
    random = np.random.default_rng(seed)
    end = pd.Timestamp("2024-01-01")
    frames = []
    for number in range(customers):
        kind = int(np.searchsorted(np.cumsum([k[1] for k in KINDS]), (number + 0.5) / customers))
        _, _, gap, per_order, price, gone = KINDS[min(kind, len(KINDS) - 1)]
        spans = np.cumsum(random.gamma(6.0, gap / 6.0, size=int(days / gap) + 2))
        offsets = spans[spans < days - gone]
        offsets = offsets if len(offsets) else np.array([float(days - gone) / 2])
        sizes = 1 + random.poisson(per_order - 1, size=len(offsets))
        order = np.repeat(np.arange(len(offsets)), sizes)
        frames.append(
            pd.DataFrame(
                {
                    "client": f"C{number:05d}",
                    "ticket": [f"{number}-{o}" for o in order],
                    "sold at": (end - pd.to_timedelta(days - gone - offsets[order] + gone, unit="D")).floor("s"),
                    "price": np.round(price * random.lognormal(0.0, 0.25, size=len(order)), 2),
                    "pieces": random.integers(1, 4, size=len(order)),
                    "aisle": random.choice(["bread", "fruit", "tools"], size=len(order)),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def write_parquet(frame: pd.DataFrame, folder: Path, files: int = 1) -> Path:
    """Write the rows as `files` Parquet files in `folder`, microsecond timestamps."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(frame)), files)):
        frame.iloc[part].to_parquet(folder / f"part-{number}.parquet", index=False, coerce_timestamps="us")
    return folder


CONFIG = """\
name: test-shop
as_of: {as_of}
history: all
timezone: {timezone}
currency: EUR
tables:
  transactions:
    path: {path}
    format: {format}
    columns:
      customer_id: client
      order_id: ticket
      ordered_at: sold at
      amount: price
      quantity: pieces
      category: aisle
features: {{include: [rfm, basket, tenure, rhythm, trend, category_mix]}}
segments: {{k: [3, 6], restarts: 5, seed: 7}}
output: {{path: {output}, format: {output_format}}}
"""


def write_config(
    folder: Path,
    path: str = "lines",
    *,
    format: str = "parquet",
    output: str = "out",
    output_format: str = "parquet",
    as_of: str = "2024-01-01",
    timezone: str = "UTC",
    extra: str = "",
) -> Path:
    """Write a configuration for `lines` into `folder`; without a Power BI project, unless `extra` asks for one."""
    file = folder / "shop.yaml"
    extra += "" if "powerbi:" in extra else "powerbi: {enabled: false}\n"
    text = CONFIG.format(
        path=path, format=format, output=output, output_format=output_format, as_of=as_of, timezone=timezone
    )
    file.write_text(text + extra)
    return file
