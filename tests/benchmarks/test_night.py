"""The lines of the night's benchmark are those it was given, and the newest days lie in the night's file."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks import data
from benchmarks.night import SHARE, Nights


def test_the_nights_file_holds_the_newest_days_and_no_line_is_lost(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    data.write(20_000, source)
    nights = Nights(tmp_path / "night", source / "lines", limit_seconds=1)
    told = nights.split()
    with duckdb.connect() as database:
        database.execute(f"CREATE VIEW old AS SELECT * FROM read_parquet('{tmp_path}/night/lines/*.parquet')")
        database.execute(f"CREATE VIEW new AS SELECT * FROM read_parquet('{tmp_path}/night/night.parquet')")
        database.execute(f"CREATE VIEW given AS SELECT * FROM read_parquet('{source}/lines/*.parquet')")
        lost = "(FROM given EXCEPT ALL (FROM old UNION ALL FROM new))"
        made = "((FROM old UNION ALL FROM new) EXCEPT ALL FROM given)"
        assert database.execute(f"SELECT (SELECT count(*) FROM {lost}), (SELECT count(*) FROM {made})").fetchone() == (
            0,
            0,
        )
        days = "SELECT (SELECT max(ordered_at)::date FROM old) < (SELECT min(ordered_at)::date FROM new)"
        assert database.execute(days).fetchone() == (True,)
        (new,) = database.execute("SELECT count(*) FROM new").fetchone() or (0,)
    assert new == told["new_lines"]
    assert SHARE <= new / told["lines"] < 3 * SHARE
