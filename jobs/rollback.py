"""Put back the champion before the present one: spark-submit jobs/rollback.py CONFIG [--reason TEXT]."""

import sys

from segengine.cli import main

if __name__ == "__main__":
    main(["rollback", *sys.argv[1:]])
