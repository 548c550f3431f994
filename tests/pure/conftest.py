"""Examples that Hypothesis makes up have no deadline: how long one takes is the machine's doing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
