"""Laplace's equation against closed forms."""

from functools import cache

import numpy as np
import pytest
from support.regions import made

from vecsetx.fibres.laplace import LaplaceProblem
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.meshing import Regions

INNER_MM, OUTER_MM = 5.0, 10.0


def ball_in_shell(points: np.ndarray) -> np.ndarray:
    radius = np.linalg.norm(points, axis=1)
    shell = np.maximum(radius - OUTER_MM, INNER_MM - radius)
    return np.stack([radius - INNER_MM, shell], axis=1).astype(np.float32)


@cache
def shell() -> tuple[TetrahedralMesh, np.ndarray, np.ndarray]:
    """A shell between spheres: points, corners, radius of each point."""
    corner = np.full(3, OUTER_MM)
    mesh = made(Regions(ball_in_shell, -corner, corner), 1.0)
    used, corners = np.unique(mesh.of_region(2), return_inverse=True)
    points = mesh.points_mm[used]
    return points, corners.reshape(-1, 4), np.linalg.norm(points, axis=1)


def conditions() -> list[tuple[np.ndarray, float]]:
    radius = shell()[2]
    ends = np.abs(radius - INNER_MM) < 0.05, np.abs(radius - OUTER_MM) < 0.05
    return [(np.flatnonzero(end), value) for end, value in zip(ends, (0.0, 1.0), strict=True)]


def test_between_spheres() -> None:
    points, corners, radius = shell()
    problem = LaplaceProblem(points, corners)
    found = problem.solve(conditions())
    exact = (1 / INNER_MM - 1 / radius) / (1 / INNER_MM - 1 / OUTER_MM)
    assert found == pytest.approx(exact, abs=0.02)
    assert np.abs(found - exact).mean() < 0.004


def test_an_even_solution_is_linear_in_the_distance() -> None:
    points, corners, radius = shell()
    found = LaplaceProblem(points, corners).solve_evenly(conditions())
    linear = (radius - INNER_MM) / (OUTER_MM - INNER_MM)
    assert found == pytest.approx(linear, abs=0.03)
    assert np.abs(found - linear).mean() < 0.005
    # Laplace's own is off by far more, or this would show nothing.
    assert np.abs(LaplaceProblem(points, corners).solve(conditions()) - linear).max() > 0.15


def test_directions_and_steepness() -> None:
    points, corners, _ = shell()
    problem = LaplaceProblem(points, corners)
    # Linear functions are exact, also after smoothing.
    slope = np.array([0.3, -2.0, 0.7])
    assert problem.directions(points @ slope) == pytest.approx(np.tile(slope, (len(corners), 1)))
    assert problem.steepness(points @ slope) == pytest.approx(np.linalg.norm(slope))
    found = problem.directions(problem.solve(conditions()))
    outwards = points[corners].mean(axis=1)
    cosines = (found * outwards).sum(axis=1) / np.linalg.norm(found, axis=1)
    cosines /= np.linalg.norm(outwards, axis=1)
    assert np.degrees(np.arccos(cosines.clip(-1, 1))).mean() < 1.0


def test_the_first_condition_of_a_vertex_counts() -> None:
    points, corners, _ = shell()
    (inner, low), (outer, high) = conditions()
    both = np.union1d(inner, outer)
    problem = LaplaceProblem(points, corners)
    found = problem.solve([(inner, low), (both, high)])
    assert found[inner] == pytest.approx(low)
    assert found[outer] == pytest.approx(high)


def test_a_solution_that_is_not_reached_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    points, corners, _ = shell()
    problem = LaplaceProblem(points, corners)
    monkeypatch.setattr("vecsetx.fibres.laplace._MOST_STEPS", 1)
    with pytest.raises(ArithmeticError, match=r"conjugate gradients left .* of the residual"):
        problem.solve(conditions())
