"""The demo's own salt: made once, kept in its folder, put into the environment where nothing else is set."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from segengine.errors import ConfigError

__all__ = ["FILE", "NAME", "own_salt"]

NAME = "SEGENGINE_SALT"
"""What grocery.yaml names under privacy.salt_env."""
FILE = "salt.env"
WRITTEN = re.compile(rf"^export {NAME}=([0-9a-f]{{64}})$", re.MULTILINE)
TEXT = """\
# Pseudonyms and erasure need it: . salt.env, then segengine forget grocery.yaml ID.
# Salts of real customers belong where secrets are kept.
export {name}={salt}
"""


@contextmanager
def own_salt(folder: Path, environ: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have the salt of the demo's folder in the environment while the block runs; one that is set already stays.

    The file is readable by its owner only, and never replaced: another salt would make everybody somebody else.
    """
    if environ.get(NAME):
        yield
        return
    environ[NAME] = _kept(folder / FILE)
    try:
        yield
    finally:
        environ.pop(NAME, None)


def _kept(file: Path) -> str:
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = WRITTEN.search(file.read_text(encoding="utf-8", errors="replace"))
        if found is None:
            raise ConfigError(
                "The demo's salt cannot be read.",
                where=str(file),
                todo=f"Put back the line export {NAME}=..., or take another folder for the demo.",
            ) from None
        return found[1]
    salt = secrets.token_hex(32)
    with os.fdopen(opened, "w", encoding="utf-8") as stream:
        stream.write(TEXT.format(name=NAME, salt=salt))
    return salt
