"""What sessions of this machine are started with, where no Spark is needed to tell."""

from __future__ import annotations

import stat
from pathlib import Path

from segengine import local

SOCKETS = "spark.python.unix.domain.socket."


def test_sockets_lie_in_a_folder_of_this_user_alone():
    options = local.worker_options()
    folder = Path(options[SOCKETS + "dir"])
    assert options[SOCKETS + "enabled"] == "true"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert local.worker_options()[SOCKETS + "dir"] == str(folder)


def test_a_folder_whose_name_leaves_no_room_for_sockets_is_not_used(monkeypatch):
    monkeypatch.setattr(local, "_folder_of_sockets", lambda: "/" + "t" * local.LONGEST_FOLDER)
    assert not [name for name in local.worker_options() if name.startswith(SOCKETS)]
