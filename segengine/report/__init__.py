"""What people look at: the facts of a run once, drawn for a terminal."""
