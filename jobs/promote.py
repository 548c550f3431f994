"""Make a model version the champion: spark-submit jobs/promote.py CONFIG VERSION [--reason TEXT]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["promote", *sys.argv[1:]])
