"""`python -m segengine.config` prints docs/config.md, `python -m segengine.config schema` the JSON schema."""

from __future__ import annotations

import sys

from segengine.config.reference import as_markdown, schema_text

if __name__ == "__main__":
    print(schema_text() if "schema" in sys.argv[1:] else as_markdown(), end="")
