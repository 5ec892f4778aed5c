"""Slices of a view lie where its label map does."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from support.affines import AXES, FLIPS, OFFSETS_MM, QUATERNIONS

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.views.slices import Slice, slices_of

COUNT = 3


@st.composite
def stacks(draw) -> tuple[np.ndarray, np.ndarray, int]:
    """A stack of thick slices with a permuted, flipped and oblique affine, and its slice axis."""
    axes = draw(AXES)
    turn = Rotation.from_quat(draw(QUATERNIONS)).as_matrix()[:, list(axes)]
    spacing = np.array([draw(st.floats(0.5, 2)), draw(st.floats(0.5, 2)), draw(st.floats(4, 12))])
    shape = np.array([draw(st.integers(2, 6)), draw(st.integers(2, 6)), draw(st.integers(1, 4))])
    order = list(draw(AXES))
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing[order] * draw(FLIPS)
    affine[:3, 3] = draw(OFFSETS_MM)
    labels = draw(arrays(np.uint8, tuple(shape[order].tolist()), elements=st.integers(0, COUNT)))
    return labels, affine, order.index(2)


def numbers_of(labels: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), axis=-1).reshape(
        -1, 2
    )


@given(stacks(), st.tuples(*[st.floats(-0.45, 0.45)] * 2))
def test_pixels_have_the_labels_of_the_map_at_their_places(
    stack: tuple[np.ndarray, np.ndarray, int], beside: tuple[float, float]
) -> None:
    labels, affine, axis = stack
    view = LabelMap(labels, affine)
    assume(sum(size == 1 for size in view.shape) < 2)
    found = slices_of(view, "sax.nii.gz", "sax", 4, COUNT)
    shown = [n for n in range(view.shape[axis]) if np.take(view.labels, n, axis).any()]
    assert [(one.number, one.name, one.view) for one in found] == [
        (number + 1, f"sax {number + 1}", 4) for number in shown
    ]
    for one in found:
        pixels = numbers_of(one.labels)
        points_mm = one.to_mm(pixels + np.array(beside))
        assert (view.at(points_mm) == one.labels[tuple(pixels.T)]).all()
        assert (one.at(points_mm) == one.labels[tuple(pixels.T)]).all()
        assert (one.known == np.isin(np.arange(1, COUNT + 1), view.labels)).all()
        # Beyond the image, nothing is known; a label map says background.
        outside = one.to_mm(np.array([[-0.6, 0.0], [0.0, one.labels.shape[1] - 0.4]]))
        assert (one.at(outside) == -1).all()


@given(stacks(), st.floats(-0.5, 0.5))
def test_directions_are_unit_vectors_of_the_plane(
    stack: tuple[np.ndarray, np.ndarray, int], shear: float
) -> None:
    labels, affine, _ = stack
    for one in slices_of(LabelMap(labels, affine), "sax.nii.gz", "sax", 0, COUNT):
        steps_mm = one.steps_mm + np.array([[0.0], [shear]]) * one.steps_mm[0]
        sheared = Slice("sax 1", 0, 1, one.labels, one.known, one.origin_mm, steps_mm)
        axes = np.vstack([sheared.directions, sheared.normal])
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        np.testing.assert_allclose(steps_mm @ sheared.normal, 0, atol=1e-9)
        points_mm = sheared.to_mm(numbers_of(one.labels).astype(float))
        assert (sheared.at(points_mm).reshape(one.labels.shape) == one.labels).all()


@pytest.mark.parametrize(
    ("shape", "spacing", "told"),
    [
        ((6, 6, 6), (1, 1, 1.4), "a.nii.gz: voxels of 1 × 1 × 1.4 mm are no slices"),
        ((6, 6, 6), (1.5, 1.5, 1.5), "reconstruct a volume without --one-heart"),
        ((6, 1, 1), (1, 1, 8), "a.nii.gz: 6 × 1 × 1 voxels are a line"),
    ],
)
def test_volumes_and_lines_are_refused(shape, spacing, told: str) -> None:
    view = LabelMap(np.ones(shape, np.uint8), np.diag([*spacing, 1.0]))
    with pytest.raises(InputError) as error:
        slices_of(view, "a.nii.gz", "a", 0, COUNT)
    assert told in str(error.value)


def test_a_single_slice_may_be_thin() -> None:
    view = LabelMap(np.ones((1, 5, 4), np.uint8), np.diag([1.0, 1.5, 2.0, 1.0]))
    (one,) = slices_of(view, "a.nii.gz", "a", 0, COUNT)
    assert one.labels.shape == (5, 4)
    np.testing.assert_array_equal(one.steps_mm, [[0, 1.5, 0], [0, 0, 2]])
