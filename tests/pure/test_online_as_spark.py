"""Where the scorer without Spark has to decide as Spark does to the last bit: ties of centres, Java's logarithm."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segengine.scoring.log1p import log1p
from segengine.scoring.nearest import Centres


def as_spark(centres, point, route=None) -> int:
    """EuclideanDistanceMeasure.findClosest of Spark 3.5 to 4.2 for one point, in plain Python."""
    centres = [[*c, *([] if route is None else [route])] for c in centres]
    point = [*point, *([] if route is None else [route])]

    def total(terms):
        found = 0.0
        for term in terms:
            found += term
        return found

    def norm(v):
        return math.sqrt(total(a * a for a in v))

    def fast(c):
        exact = total((a - b) * (a - b) for a, b in zip(c, point, strict=True))
        if not 12 * sum(a != 0 for a in point) + 28 < 8 * len(point) + 12:
            return exact
        eps, n1, n2 = 2.0**-52, norm(c), norm(point)
        sums, product = n1 * n1 + n2 * n2, total(a * b for a, b in zip(c, point, strict=True))
        if 2.0 * eps * sums / ((n1 - n2) * (n1 - n2) + eps) < 1e-6:
            return sums - 2.0 * product
        found = max(sums - 2.0 * product, 0.0)
        return exact if eps * (sums + 2.0 * abs(product)) / (found + eps) > 1e-6 else found

    def quarter(i, j):
        away = math.sqrt(total((a - b) * (a - b) for a, b in zip(centres[i], centres[j], strict=True)))
        return 0.25 * away * away

    k = len(centres)
    least = [min(quarter(i, j) for j in range(k) if j != i) for i in range(k)]
    best, nearest = fast(centres[0]), 0
    if best < least[0]:
        return 0
    for i in range(1, k):
        apart = norm(centres[i]) - norm(point)
        if apart * apart < best and quarter(i, nearest) < best:
            found = fast(centres[i])
            if found < least[i]:
                return i
            if found < best:
                best, nearest = found, i
    return nearest


GRID = st.integers(-2, 2).map(lambda n: n / 2)
STEP = st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1e-9])


@settings(max_examples=200)
@given(st.data(), st.integers(1, 6), st.integers(2, 5), st.sampled_from([None, 0.0, 64.0, 4096.0]))
def test_ties_and_near_ties_are_decided_as_spark_decides_them(data, d, k, route):
    factor = data.draw(STEP) + 1.0
    rows = st.lists(GRID, min_size=d, max_size=d)
    centres = factor * np.array(data.draw(st.lists(rows, min_size=k, max_size=k, unique_by=tuple)))
    points = factor * np.array(data.draw(st.lists(rows, min_size=1, max_size=6)))
    nearest, *_ = Centres(centres, route).find(np.ascontiguousarray(points.T))
    assert nearest.tolist() == [as_spark(centres.tolist(), point, route) for point in points.tolist()]


JAVA = (
    # x, StrictMath.log1p(x)
    ("0x0.0p+0", "0x0.0p+0"),
    ("0x1.79ca10c924223p-67", "0x1.79ca10c924223p-67"),
    ("0x1.b7cdfd9d7bdbbp-34", "0x1.b7cdfd9d1d693p-34"),
    ("0x1.999999999999ap-4", "0x1.8663f793c46c7p-4"),
    ("0x1.a826aa8eb4635p-2", "0x1.62e386e3de810p-2"),
    ("0x1.a82949a5657fbp-2", "0x1.62e5616bc4029p-2"),
    ("0x1.0000000000000p+0", "0x1.62e42fefa39efp-1"),
    ("0x1.c000000000000p+2", "0x1.0a2b23f3bab73p+1"),
    ("0x1.0000080000000p+0", "0x1.62e437efa38efp-1"),
    ("0x1.c000000000000p+1", "0x1.810b375dce91ep+0"),
    ("0x1.8800000000000p+3", "0x1.4ac06e8a51fb3p+1"),
    ("0x1.8f9999999999ap+6", "0x1.274de79c60448p+2"),
    ("0x1.34a0000000000p+10", "0x1.c7a17b2ab89e4p+2"),
    ("0x1.0000000000000p+53", "0x1.25e4f7b2737fap+5"),
    ("0x1.38d352e5096afp+498", "0x1.5963447f87fb5p+8"),
    ("0x1.8000002000000p+3", "0x1.485042bcf162ap+1"),
    ("0x1.380ca21d067f4p+2", "0x1.c55597d8c05d2p+0"),
    ("0x1.5fdc47b7e09b7p+6", "0x1.1f3f653df741ep+2"),
    ("0x1.66d5d4f32fa2cp+5", "0x1.e9a90bd02b3dcp+1"),
    ("0x1.7f68c15370d89p+6", "0x1.24af191a6f66ep+2"),
    ("0x1.0acc1672e4c3cp+6", "0x1.0dc3cdba6f39cp+2"),
    ("0x1.35773696d187cp+4", "0x1.819f1d48f5b86p+1"),
)


def test_the_logarithm_is_javas_to_the_last_bit():
    x, told = (np.array([float.fromhex(pair[i]) for pair in JAVA]) for i in (0, 1))
    assert log1p(x).tobytes() == told.tobytes()
    random = np.random.default_rng(0)
    powers = 2.0 ** np.arange(60)
    x = np.concatenate([10 ** random.uniform(-300, 150, 50_000), powers - 1, powers * 1.0000001])
    assert np.allclose(log1p(x), np.log1p(x), rtol=2.3e-16, atol=0)
