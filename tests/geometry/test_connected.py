"""Pieces are those of scipy, on arrays of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from vecsetx.geometry.connected import number_pieces

SHAPES = arrays.array_shapes(min_dims=3, max_dims=3, max_side=5)


@given(arrays.arrays(np.uint8, SHAPES, elements=st.integers(0, 2)))
def test_pieces_of_each_label_are_those_of_scipy(labels: np.ndarray) -> None:
    numbers, count = number_pieces(labels)
    assert numbers.shape == labels.shape
    found = 0
    for label in (1, 2):
        expected, of_label = ndimage.label(labels == label, np.ones((3, 3, 3)))
        found += of_label
        pairs = np.unique(np.stack([expected[labels == label], numbers[labels == label]]), axis=1)
        assert len(pairs.T) == of_label  # one to one
    assert count == found
    np.testing.assert_array_equal(numbers == 0, labels == 0)


@pytest.mark.parametrize("axis", range(3))
def test_two_voxels_with_one_of_background_between_them(axis: int) -> None:
    shape = np.ones(3, int)
    shape[axis] = 3
    mask = np.array([True, False, True]).reshape(shape)
    numbers, count = number_pieces(mask)
    assert count == 2
    assert sorted(numbers.ravel()) == [0, 1, 2]
