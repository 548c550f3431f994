"""Blocks of prepared customers: what goes in comes out, in order, by draw."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from segengine.model.blocks import packing, unpacking


def batch(x: np.ndarray, draw: np.ndarray) -> pa.RecordBatch:
    columns = [
        pa.array(x.tolist(), pa.list_(pa.float64())),
        pa.array(np.arange(len(x), dtype=np.float64)),
        pa.array(draw.astype(np.int32)),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["x", "revenue", "draw"])


def test_blocks_hold_every_number_bit_by_bit_in_the_order_of_the_rows():
    x = np.random.default_rng(1).normal(size=(7, 3))
    x[0] = [-0.0, 5e-324, 1.7976931348623157e308]
    whole = batch(x, np.zeros(7))
    sliced, rest = whole.slice(0, 5), whole.slice(5)  # a slice of a batch has the buffers of the whole
    blocks = [block.to_pylist()[0] for block in packing()([sliced, rest.slice(0, 0), rest])]
    assert [block["customers"] for block in blocks] == [5, 2]
    assert b"".join(block["x"] for block in blocks) == x.tobytes()
    assert b"".join(block["revenue"] for block in blocks) == np.arange(7.0).tobytes()
    assert blocks[0]["group"] is None


def test_the_customers_of_one_draw_come_out_of_their_blocks():
    x, draw = np.random.default_rng(2).normal(size=(6, 2)), np.array([0, 1, 1, 0, 2, 1])
    blocks = list(packing()([batch(x[:4], draw[:4]), batch(x[4:], draw[4:])]))
    for wanted in (0, 1, 2, 3):
        found = [point for made in unpacking(wanted)(blocks) for point in made.column("x").to_pylist()]
        assert found == x[draw == wanted].tolist()
