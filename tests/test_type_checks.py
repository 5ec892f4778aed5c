"""The tests' own guard: calls whose arrays contradict their annotations fail."""

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation

from vecsetx.evaluation.alignment import LabelledSurface
from vecsetx.reconstruction.distance_field import exclusive_distances


def test_one_axis_has_one_size_in_all_arguments_of_a_call() -> None:
    points_mm = np.zeros((5, 3))
    LabelledSurface.of(points_mm, np.zeros(5, np.int64))
    with pytest.raises(BeartypeCallHintViolation):
        LabelledSurface.of(points_mm, np.zeros(4, np.int64))


@pytest.mark.parametrize("wrong", [np.zeros((5, 2)), np.zeros((5, 3), np.int64), [[0.0, 0, 0]]])
def test_shape_and_type_of_one_argument(wrong: object) -> None:
    with pytest.raises(BeartypeCallHintViolation):
        LabelledSurface.of(wrong, np.zeros(5, np.int64))


def test_calls_of_their_own_have_sizes_of_their_own() -> None:
    for count in (1, 2, 3):
        assert exclusive_distances(np.zeros((count, 4))).shape == (count, 4)
