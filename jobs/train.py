"""Train a new model version: spark-submit jobs/train.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
