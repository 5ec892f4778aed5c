"""Volume, surface, axes and sphericity of solids whose numbers are known."""

import igl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vecsetx.measures.solid import SOLID, measure_solid

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]]
    + [[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)


def ball(levels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = igl.icosahedron()
    for _ in range(levels):
        vertices, faces = igl.upsample(vertices, faces)
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    return vertices, faces.astype(np.int64)


def numbers(vertices: np.ndarray, faces: np.ndarray) -> list[float]:
    found = measure_solid(vertices, faces)
    assert tuple(found) == SOLID
    assert all(one.known for one in found.values())
    return [one.value for one in found.values()]


@given(
    radii=st.tuples(*[st.floats(5, 60)] * 3),
    seed=st.integers(0, 1000),
    shift=st.tuples(*[st.floats(-300, 300)] * 3),
)
@settings(max_examples=25)
def test_an_ellipsoid_in_any_pose(radii, seed, shift) -> None:
    vertices, faces = ball()
    turn = Rotation.random(rng=seed).as_matrix()
    volume_ml, _, *axes_mm, sphericity = numbers((vertices * radii) @ turn.T + shift, faces)
    assert volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(radii) / 1000, rel=0.005)
    np.testing.assert_allclose(axes_mm, 2 * np.sort(radii)[::-1], rtol=0.005)
    assert 0 < sphericity <= 1


def test_a_ball() -> None:
    vertices, faces = ball()
    _, surface_mm2, *axes_mm, sphericity = numbers(20 * vertices, faces)
    assert surface_mm2 == pytest.approx(4 * np.pi * 400, rel=0.003)
    np.testing.assert_allclose(axes_mm, 40, rtol=0.003)
    assert sphericity == pytest.approx(1, abs=1e-3)


def test_a_brick_to_rounding() -> None:
    sides = np.array([10.0, 20.0, 40.0])
    volume_ml, surface_mm2, *axes_mm, sphericity = numbers(CUBE * sides + 500, CUBE_FACES)
    assert volume_ml == pytest.approx(8)
    assert surface_mm2 == pytest.approx(2800)
    # A side a has the second moment a²/12; so has an ellipsoid's axis of √(5/3) a.
    np.testing.assert_allclose(axes_mm, np.sqrt(5 / 3) * sides[::-1])
    assert sphericity == pytest.approx((36 * np.pi * 8000**2) ** (1 / 3) / 2800)
