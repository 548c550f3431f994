"""The contestants, each a module that runs in a process of its own: lines in, a segment for every customer out."""
