"""Customers scored as their lines arrive, or as ready rows of features do; Structured Streaming, to Delta.

<output>/stream/assignments   a customer as of now, what a batch run says at the end of the day
<output>/stream/scores        ready rows, scored as they came
<output>/stream/state         what lines add up to (segengine/state), and beside it Spark's checkpoints
"""

from segengine.stream.arrivals import StreamSummary, stream
from segengine.stream.ready import stream_rows

__all__ = ["StreamSummary", "stream", "stream_rows"]
