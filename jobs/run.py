"""Score with the champion and publish; train when due: spark-submit jobs/run.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
