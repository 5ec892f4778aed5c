"""Scores of new hearts against fresh ones, where the answer is known."""

from pathlib import Path

import numpy as np
import pytest
import shape_phantoms
from population.test_unusual import sphere
from shape_phantoms import Surfaces, coverage, distances_mm, nearest_is_alike

from vecsetx.population.surface_distance import surface_distance
from vecsetx.population.template import Template


def heart(radius: float, seed: int) -> Surfaces:
    """Two structures: halves of a sphere's anchors."""
    points, normals = sphere(radius, 200, seed)
    return Surfaces(points, normals, np.array([radius]))


def test_distances_of_pairs_are_those_of_each_pair() -> None:
    structure = np.repeat([3, 5], 100)
    first = [heart(radius, number) for number, radius in enumerate((40, 43))]
    second = [heart(radius, number) for number, radius in enumerate((41, 35, 44), 9)]
    found = distances_mm(first, second, structure)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            ways = [
                surface_distance(a.anchors_mm, b.anchors_mm, b.normals, structure)
                for a, b in ((one, other), (other, one))
            ]
            assert found[i, j] == pytest.approx(np.mean(ways))


def lines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances between points of a line."""
    return np.abs(first[:, None] - second)


@pytest.mark.parametrize(("apart", "low", "high"), [(0.0, 0.4, 0.6), (50.0, 1.0, 1.0)])
def test_kinds_can_be_told_apart_or_not(apart: float, low: float, high: float) -> None:
    generator = np.random.default_rng(0)
    new, fresh = generator.standard_normal((2, 400))
    fresh = fresh + apart
    alike = nearest_is_alike(lines(new, new), lines(new, fresh), lines(fresh, fresh))
    assert low <= alike.mean() <= high


def test_copies_of_one_heart_cover_one() -> None:
    fresh = np.arange(10.0)
    assert coverage(lines(np.full(10, 3.1), fresh)) == 0.1
    assert coverage(lines(fresh + 0.1, fresh)) == 1.0


def test_hearts_of_one_distribution_score_as_such() -> None:
    """Spheres of random radii; then new ones that are copies of fitted ones."""
    generator = np.random.default_rng(1)
    radii = generator.normal(40, 3, 90)
    hearts = [heart(radius, number) for number, radius in enumerate(radii)]
    fitted, fresh, new = hearts[:30], hearts[30:70], hearts[70:]
    points = np.zeros((200, 3), np.float32)
    template = Template(points, points, np.zeros(200, np.int64), 200)
    setting = shape_phantoms.Setting(Path(), template, ("LV",))
    found = shape_phantoms.scored(fitted, fresh, new, setting)
    assert 0.25 < found["1-NNA"] < 0.75
    assert found["coverage"] > 0.3
    assert 0.5 < found["memorisation"] < 2
    assert found["ks"]["LV"] < 0.5
    copied = shape_phantoms.scored(fitted, fresh, fitted[:20], setting)
    assert copied["memorisation"] < 0.01
