"""Check the config, the tables and their rows: spark-submit jobs/check.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]])
