"""Draw the report and the Power BI project of what is published: spark-submit jobs/report.py CONFIG [options]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
