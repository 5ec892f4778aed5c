"""Negative is inside, for numpy and torch alike."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.anatomy import sign

DISTANCES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 5), st.integers(1, 4)),
    elements=st.floats(-5, 5, width=32) | st.sampled_from([-1.0, 0.0, 1.0]),
)
BOTH = pytest.mark.parametrize("kind", [np.array, torch.tensor], ids=["numpy", "torch"])


@BOTH
def test_inside_is_negative_and_the_surface_is_outside(kind):
    found = sign.inside(kind([-2.0, -1e-6, 0.0, 1e-6, 2.0]))
    assert found.tolist() == [True, True, False, False, False]


@BOTH
def test_outward_gives_the_sign_whatever_sign_there_was(kind):
    found = sign.with_sign(kind([3.0, 3.0, -3.0, -3.0]), kind([True, False, True, False]))
    assert found.tolist() == [-3.0, 3.0, -3.0, 3.0]


@BOTH
def test_logit_of_being_inside(kind):
    assert sign.inside_logit(kind([-0.5, 0.0, 2.0]), 40.0).tolist() == [20.0, 0.0, -80.0]


@BOTH
def test_label_is_that_of_the_structure_the_point_is_deepest_inside(kind):
    distances = kind(
        [
            [0.5, 0.1, 3.0],  # outside all
            [0.5, -0.1, 3.0],
            [-0.5, -0.1, -3.0],  # inside all, deepest in the third
            [-0.2, -0.2, 1.0],  # a tie goes to the first
            [0.0, 0.0, 0.0],  # on the surface: background
        ]
    )
    assert sign.label_of(distances).tolist() == [0, 2, 3, 1, 0]


@given(DISTANCES)
def test_numpy_and_torch_agree(distances):
    tensor = torch.from_numpy(distances)
    assert sign.inside(tensor).numpy().tolist() == sign.inside(distances).tolist()
    assert sign.label_of(tensor).numpy().tolist() == sign.label_of(distances).tolist()
    where = distances > 1
    outward = sign.with_sign(tensor, torch.from_numpy(where))
    assert outward.dtype == torch.float32
    assert outward.numpy().tolist() == sign.with_sign(distances, where).tolist()


@given(DISTANCES)
def test_label_and_inside_and_logit_tell_one_story(distances):
    label = sign.label_of(distances)
    assert ((label > 0) == sign.inside(distances.min(axis=-1))).all()
    assert ((label > 0) == (sign.inside_logit(distances, 2.0) > 0).any(axis=-1)).all()


def test_label_keeps_the_leading_shape_and_the_device_kind():
    distances = torch.zeros(2, 3, 4, 5)
    labels = sign.label_of(distances)
    assert labels.shape == (2, 3, 4)
    assert labels.dtype == torch.int64


def test_outward_lets_gradients_through():
    distance = torch.tensor([2.0, 2.0], requires_grad=True)
    sign.with_sign(distance, torch.tensor([True, False])).sum().backward()
    assert distance.grad.tolist() == [-1.0, 1.0]
