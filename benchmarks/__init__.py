"""Benchmarks: what people use instead of segengine does the same job on the same lines, measured side by side."""
