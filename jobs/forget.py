"""Erase a customer for good: spark-submit jobs/forget.py CONFIG - --yes, with the id on standard input."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["forget", *sys.argv[1:]])
