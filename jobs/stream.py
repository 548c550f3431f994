"""Score customers as their lines arrive: spark-submit jobs/stream.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["stream", *sys.argv[1:]])
