"""Hypothesis strategies for the affines of images."""

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

SPACINGS_MM = st.tuples(*[st.floats(0.1, 10)] * 3)
OFFSETS_MM = st.tuples(*[st.floats(-1500, 1500)] * 3)
QUATERNIONS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
FLIPS = st.sampled_from(list(product([1, -1], repeat=3)))
AXES = st.sampled_from(list(permutations(range(3))))


@st.composite
def affines(draw):
    """Anisotropic, oblique, flipped and with swapped axes."""
    turn = Rotation.from_quat(draw(QUATERNIONS)).as_matrix()[:, list(draw(AXES))]
    affine = np.eye(4)
    affine[:3, :3] = turn * draw(SPACINGS_MM) * draw(FLIPS)
    affine[:3, 3] = draw(OFFSETS_MM)
    return affine
