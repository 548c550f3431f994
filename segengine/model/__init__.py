"""From features to segments: sample, sweep, choice of k, fit, and the saved bundle."""
