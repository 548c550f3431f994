"""What runs keep of order lines for the runs after them, so that each reads new files only.

output/state/current.json        which files are counted, what they held, which parts there are; replaced atomically
output/state/parts/<run_id>/     a run's pieces (features/kernel/pieces.py), written once, never changed
"""

from segengine.state.night import Night, check_night, check_rows

__all__ = ["Night", "check_night", "check_rows"]
