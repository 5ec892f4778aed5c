"""The tests' own guard: calls whose arrays contradict their annotations fail."""

import numpy as np
import pytest
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, jaxtyped

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


def test_calls_that_look_like_a_right_one_are_right_only_if_their_results_are() -> None:
    def stretched(
        values: Float[np.ndarray, " n"], by: int = 1, *, result: object = None
    ) -> tuple[Float[np.ndarray, " n"], int]:
        return (values * by if result is None else np.zeros(result.size)), by

    wanted = jaxtyped(typechecker=beartype)(stretched)
    assert wanted(np.ones(3), 2)[0].tolist() == [2, 2, 2]
    assert wanted(np.ones(3), result=np.ones(3))[0].tolist() == [0, 0, 0]
    assert wanted(np.ones(3), result=np.ones(3, int))[0].tolist() == [0, 0, 0]
    for size in (4, 2):  # arguments look as before, as only their content differs
        with pytest.raises(BeartypeCallHintViolation):
            wanted(np.ones(3), result=_Sized(size))
        assert wanted(np.ones(3), result=_Sized(3))[0].tolist() == [0, 0, 0]
    for wrong in (np.ones((3, 1)), np.ones(3, int), [1.0]):
        with pytest.raises(BeartypeCallHintViolation):
            wanted(wrong, 2)
    with pytest.raises(BeartypeCallHintViolation):
        wanted(np.ones(3), by="2")


class _Sized:
    def __init__(self, size: int) -> None:
        self.size = size
