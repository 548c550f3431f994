"""Assign every customer with a model that exists, and publish: spark-submit jobs/score.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["score", *sys.argv[1:]])
