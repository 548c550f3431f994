"""Tell what a campaign brought: spark-submit jobs/campaign.py result CONFIG ID [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["campaign", *sys.argv[1:]])
