"""How unusual a heart is: each heart of a cohort is placed in the space of the others."""

import numpy as np
import pytest
from population.test_shape_space import linear_hearts

from vecsetx.population.shape_space import HeartTable, ShapeSpace
from vecsetx.population.surface_distance import surface_distance
from vecsetx.population.unusual import left_out, percentile


def sphere(radius: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and outward normals."""
    way = np.random.default_rng(seed).standard_normal((count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    return radius * way, way


@pytest.mark.parametrize("apart", [0.0, 3.0, -3.0])
def test_spheres_are_as_far_apart_as_their_radii_differ(apart: float) -> None:
    """Of 2000 anchors each, none of which has a counterpart: the nearest ones are 1.6 apart."""
    points, _ = sphere(40 + apart, 2000, 0)
    positions, normals = sphere(40, 2000, 1)
    structure = np.zeros(2000, np.int64)
    found = surface_distance(points, positions, normals, structure)
    assert found == pytest.approx(abs(apart), abs=0.08)


def test_only_structures_that_both_have_count() -> None:
    points, _ = sphere(43, 4000, 0)
    positions, normals = sphere(40, 4000, 1)
    structure = np.repeat([0, 1], 2000)
    points[2000:] += 500  # far away, but not there in the other heart
    positions[2000:] = np.nan
    assert surface_distance(points, positions, normals, structure) == pytest.approx(3, abs=0.08)
    positions[:] = np.nan
    assert surface_distance(points, positions, normals, structure) == np.inf


def test_a_heart_is_placed_as_in_a_space_that_was_fitted_without_it() -> None:
    """The slow way: principal components of the other hearts' whole tables."""
    hearts = linear_hearts(9, 8)
    space = ShapeSpace.fit(hearts)
    coordinates = np.stack([space.coordinates(heart) for heart in hearts])
    positions = np.stack([heart.positions for heart in hearts])
    normals = np.random.default_rng(3).standard_normal(positions.shape).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    structure = np.repeat([0, 1], 20)
    distances, residuals = left_out(space, coordinates, positions, normals, structure)
    weights = np.repeat(space.weight, [3, hearts[0].latents.shape[1]])
    rows = np.stack([np.concatenate([h.positions, h.latents], axis=1) * weights for h in hearts])
    for number in range(9):
        others = np.delete(rows, number, axis=0).reshape(8, -1)
        mean = others.mean(axis=0)
        _, singular, modes = np.linalg.svd(others - mean, full_matrices=False)
        along = modes[:7] @ (rows[number].ravel() - mean)
        k = min(space.leading, 7)
        wanted = np.linalg.norm(along[:k] / (singular[:k] / np.sqrt(7)))
        assert distances[number] == pytest.approx(wanted, rel=1e-3)
        nearest = (mean + along @ modes[:7]).reshape(rows[number].shape)[:, :3] / space.weight[0]
        away = surface_distance(nearest, positions[number], normals[number], structure)
        assert residuals[number] == pytest.approx(away, rel=1e-3)
    assert residuals.min() > 0  # each heart has something that no other one has


def test_an_odd_heart_stands_out() -> None:
    hearts = linear_hearts(12, 3)
    odd = hearts[4]
    hearts[4] = HeartTable(odd.positions * np.float32(2), odd.latents, odd.there)
    space = ShapeSpace.fit(hearts)
    coordinates = np.stack([space.coordinates(heart) for heart in hearts])
    positions = np.stack([heart.positions for heart in hearts])
    normals = np.zeros_like(positions)
    normals[..., 0] = 1
    _, residuals = left_out(space, coordinates, positions, normals, np.zeros(40, np.int64))
    assert residuals.argmax() == 4
    assert percentile(float(residuals[4]), residuals) == pytest.approx(100 * 11.5 / 12)


def test_percentiles_count_the_values_below() -> None:
    assert percentile(2.5, [1.0, 2.0, 3.0, 4.0]) == 50
    assert percentile(2.0, [1.0, 2.0, 3.0, 4.0]) == 37.5
    assert percentile(0.0, [1.0, 2.0]) == 0
    assert percentile(9.0, [1.0, 2.0]) == 100


def test_leading_modes_hold_nine_tenths_of_the_positions_variance() -> None:
    space = ShapeSpace.fit(linear_hearts(10, 9))
    shares = space.position_shares
    assert shares.sum() == pytest.approx(1)
    assert shares[: space.leading].sum() >= 0.9 > shares[: space.leading - 1].sum()


def test_what_a_heart_lacks_is_filled_and_what_it_has_stays() -> None:
    space = ShapeSpace.fit(linear_hearts(20, 2))
    whole = linear_hearts(20, 2)[3]
    there = np.arange(40) >= 12
    partial = HeartTable(
        np.where(there[:, None], whole.positions, 0).astype(np.float32),
        np.where(there[:, None], whole.latents, 0).astype(np.float32),
        there,
    )
    filled = space.filled(partial)
    assert filled.there.all()
    np.testing.assert_allclose(filled.positions[there], whole.positions[there], atol=1e-6)
    np.testing.assert_allclose(filled.positions, whole.positions, atol=0.05)
    np.testing.assert_allclose(filled.latents, whole.latents, atol=0.05)
    assert space.filled(whole) is whole
