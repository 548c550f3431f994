"""Does the scorer without Spark say what Spark says, for every customer of an output? For each configuration in turn:

python -m benchmarks.agreement conf/online_retail.yaml segengine-demo/grocery.yaml

Each output must hold a publication (`segengine run CONFIG`). Every published customer with a segment is scored again by
the saved PipelineModel of the version that published it, by batch scoring, and by `segengine.scoring.online`, all from
the published features. Exit code 1 when a label differs anywhere, or a distance by more than 1e-9. Customers are held
in memory: meant for outputs of up to a few million.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segengine.config import Config, load
from segengine.io.files import store_for
from segengine.model import bundle
from segengine.publish.publication import read_current
from segengine.scoring import batch, online
from segengine.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEAR = 1e-9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", type=Path)
    agreed = []
    for file in parser.parse_args().config:
        config = load(file)
        with open_session(config) as spark:
            agreed.append(agrees(config, spark))
    sys.exit(0 if all(agreed) else 1)


def agrees(config: Config, spark: SparkSession) -> bool:
    """Print how far the three are apart, and say whether that is nothing."""
    published = read_current(spark, config.output, "assignments").where("segment_key is not null")
    rows = published.toPandas().set_index("customer_key", drop=False)
    (version,) = set(rows["model_version"])
    model = bundle.load(store_for(config.output.path, spark), version, spark)
    scorer = online.load(config.output.path, version)
    own = model.pipeline.transform(published).select("customer_key", "prediction").toPandas().set_index("customer_key")
    told = batch.score(published, model).toPandas().set_index("customer_key").loc[rows.index]
    got = scorer.score(rows.reset_index(drop=True))
    labels = int((got["segment_index"] != own.loc[rows.index, "prediction"].to_numpy()).sum())
    unlike = {
        name: int((got[name] != other.to_numpy()).sum())
        for name, other in (
            ("segment_key", rows["segment_key"]),
            ("segment_index", told["segment_index"]),
            ("is_outlier", told["is_outlier"]),
        )
    }
    apart = float(np.abs(got["distance"] - told["distance"].to_numpy()).max())
    published_apart = float(np.abs(got["distance"] - rows["distance"].to_numpy()).max())
    print(
        f"{config.name}, model {version}, {len(rows):,} customers: {labels} labels unlike the PipelineModel's, "
        f"{unlike['segment_index']} unlike batch scoring's, {unlike['segment_key']} unlike the published ones, "
        f"{unlike['is_outlier']} flags; distances apart by {apart:.2e} at most, from the published ones by "
        f"{published_apart:.2e}",
        flush=True,
    )
    return not labels and not any(unlike.values()) and max(apart, published_apart) <= NEAR


if __name__ == "__main__":
    main()
