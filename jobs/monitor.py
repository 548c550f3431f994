"""Have the data, or the split, moved? Leaves with 7 when to retrain: spark-submit jobs/monitor.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["monitor", *sys.argv[1:]])
