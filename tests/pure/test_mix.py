"""Protected attributes: Cramer's V against SciPy, and hidden cells that cannot be reckoned from the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats.contingency import association

from segengine.model.mix import SMALLEST_CELL, band_names, bands, cramers_v, hidden

tables = st.tuples(st.integers(2, 6), st.integers(2, 6)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 60))
)


@given(tables)
def test_cramers_v_is_that_of_scipy(counts):
    kept = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(kept.shape) < 2:
        assert cramers_v(counts) is None
    else:
        assert cramers_v(counts) == pytest.approx(association(kept, method="cramer"), abs=1e-12)


def test_v_is_1_where_an_attribute_decides_and_0_where_it_does_not_matter():
    assert cramers_v(np.array([[50, 0], [0, 70]])) == pytest.approx(1)
    assert cramers_v(np.array([[20, 40], [30, 60]])) == pytest.approx(0)


@given(tables)
def test_no_small_cell_is_told_or_left_alone_in_its_row_or_column(counts):
    dark = hidden(counts)
    assert dark[(counts > 0) & (counts < SMALLEST_CELL)].all()
    for values, own in [*zip(counts, dark, strict=True), *zip(counts.T, dark.T, strict=True)]:
        if own.any() and not own.all():
            assert own.sum() >= 2
            assert values[own].sum() >= SMALLEST_CELL


def test_a_table_of_large_cells_hides_nothing_and_a_small_one_takes_its_neighbours_with_it():
    assert not hidden(np.array([[100, 50], [20, 30]])).any()
    dark = hidden(np.array([[100, 3, 50], [80, 40, 30], [70, 60, 90]]))
    assert dark.tolist() == [[False, True, True], [False, True, True], [False, False, False]]


def test_bands_are_readable_spans():
    ages = list(range(18, 90))
    cuts = bands(ages)
    assert cuts == sorted(set(cuts))
    assert len(cuts) == 4
    assert all(len(f"{cut:g}") <= 2 for cut in cuts)
    assert band_names(cuts)[0] == f"to {cuts[0]:g}"
    assert bands([1.0, 1.0]) == []
    assert band_names([]) == ["any"]
    assert bands([float("nan")]) == []
