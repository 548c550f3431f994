"""`python -m segengine.tables` prints docs/tables.md."""

from __future__ import annotations

from segengine.tables.reference import as_markdown

if __name__ == "__main__":
    print(as_markdown(), end="")
