"""Export a campaign's list: spark-submit jobs/export.py CONFIG --segment S-003 [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
