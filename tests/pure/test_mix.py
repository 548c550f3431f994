"""Protected attributes: Cramer's V against SciPy, and hidden cells that cannot be reckoned from the rest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats.contingency import association

from segengine.model.mix import SMALLEST_CELL, band_names, bands, cramers_v, hidden, hidden_with_totals, told_v

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


def ways(dark):
    """(cells, n): a basis of all changes of the hidden cells that no sum of a row or a column shows."""
    cells = np.argwhere(dark)
    sums = np.zeros((sum(dark.shape), len(cells)))
    for place, (row, column) in enumerate(cells):
        sums[row, place] = sums[dark.shape[0] + column, place] = 1
    _, sizes, basis = np.linalg.svd(sums)
    rank = int((sizes > 1e-9).sum())
    return cells, basis[rank:].T


@settings(max_examples=300)
@given(tables)
def test_no_small_cell_follows_from_all_sums_together(counts):
    dark = hidden(counts)
    cells, free = ways(dark)
    for (row, column), change in zip(cells, free, strict=True):
        if counts[row, column] < SMALLEST_CELL and min(counts.shape) > 1 and counts[row, column]:
            assert np.abs(change).max(initial=0) > 1e-9, (counts, dark, row, column)


def test_a_bridge_between_two_hidden_blocks_gets_a_way_around_it():
    counts = np.full((4, 4), 500)
    counts[:2, :2], counts[2:, 2:] = 9, 9
    counts[1, 2] = 5
    dark = hidden(counts)
    cells, free = ways(dark)
    (place,) = [i for i, cell in enumerate(cells.tolist()) if cell == [1, 2]]
    assert np.abs(free[place]).max() > 1e-9
    assert dark.sum() == 10


few = st.tuples(st.integers(2, 5), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(1, 15))
)


@given(few, st.data())
def test_v_tells_nothing_of_what_is_hidden(counts, data):
    dark, totals = hidden(counts), hidden(counts.sum(axis=0, keepdims=True))[0]
    pairs = [list(itertools.combinations(range(size), 2)) for size in counts.shape]
    blocks = [block for block in itertools.product(*pairs) if dark[np.ix_(*block)].all()]
    assume(blocks)
    other = counts.copy()
    other[np.ix_(*data.draw(st.sampled_from(blocks)))] += np.array([[1, -1], [-1, 1]])
    assert told_v(other, dark, totals) == pytest.approx(told_v(counts, dark, totals), abs=1e-12)


@given(tables)
def test_where_nothing_is_hidden_v_is_that_of_the_whole_table(counts):
    counts = counts + SMALLEST_CELL
    nothing = np.zeros(counts.shape, dtype=bool)
    assert told_v(counts, nothing, nothing[0]) == pytest.approx(cramers_v(counts[:, :-1]), abs=1e-12)


def test_v_of_a_large_table_with_a_hidden_block_is_close_to_that_of_the_whole_one():
    counts = np.array([[800, 300, 9, 40], [300, 900, 40, 60], [200, 400, 30, 20]])
    dark, totals = hidden(counts), np.zeros(4, dtype=bool)
    assert dark.any()
    assert told_v(counts, dark, totals) == pytest.approx(cramers_v(counts[:, :-1]), abs=0.01)


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


def test_a_small_value_hides_another_one_of_all_customers_and_no_more():
    counts = np.array([[40, 39, 1, 0], [30, 31, 2, 0], [20, 22, 1, 0]])
    dark, dark_totals = hidden_with_totals(counts)
    assert dark_totals.tolist() == [True, False, True, False]
    assert told_v(counts, dark, dark_totals) is not None


@given(tables)
def test_sums_over_all_segments_are_told_only_where_no_small_number_follows(counts):
    dark, dark_totals = hidden_with_totals(counts)
    whole = np.vstack([counts, counts.sum(axis=0)])
    unknown = np.vstack([dark, dark_totals])
    assert not determined(whole, unknown)[(whole > 0) & (whole < SMALLEST_CELL)].any()


def determined(whole, unknown):
    """Which cells follow from what is told: sizes of segments, all customers, and columns that add up to their sum."""
    at = [tuple(cell) for cell in np.argwhere(unknown)]
    known = ~unknown
    if at:
        equations = [[float(r == row) for r, _ in at] for row in range(len(whole))]
        last = len(whole) - 1
        equations += [[(c == column) * (-1.0 if r == last else 1.0) for r, c in at] for column in range(whole.shape[1])]
        _, sizes, basis = np.linalg.svd(np.array(equations))
        free = basis[(sizes > 1e-9).sum() :]
        for number, cell in enumerate(at):
            known[cell] = not np.abs(free[:, number]).max(initial=0) > 1e-9
    return known
