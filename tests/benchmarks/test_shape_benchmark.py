"""The benchmark of shape spaces, small: hearts of the cohort itself, and what a grid holds."""

import io
from pathlib import Path

import grid_shapes
import numpy as np
import pytest
import shape
from rich.console import Console

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.dataset import DataSet


def ball(radius_mm: float, at_mm: tuple[float, float, float]) -> LabelMap:
    """A ball of label 1, in voxels of 1.5 mm."""
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -75
    places = np.moveaxis(np.indices((100, 100, 100)), 0, -1) * 1.5 - 75
    inside = np.linalg.norm(places - at_mm, axis=-1) < radius_mm
    return LabelMap(inside.astype(np.uint8), affine)


def test_distances_on_the_grid_are_those_of_a_ball() -> None:
    center = (6.0, -9.0, 3.0)
    points = grid_shapes.grid_points_mm()
    found = grid_shapes.distances_of(ball(30, center), 1, points)[:, 0]
    exact = np.clip(np.linalg.norm(points - center, axis=1) - 30, -30, 30)
    within = np.abs(points).max(axis=1) < 70  # of the label map
    assert np.abs(found - exact)[within].max() < 1.2
    assert np.abs(found - exact)[within].mean() < 0.3
    grid = found.reshape(3 * (grid_shapes.SIDE,))
    surface = grid_shapes.surface_of(grid)
    assert shape.volume_ml(surface) == pytest.approx(4 / 3 * np.pi * 30**3 / 1000, rel=0.03)
    off = np.linalg.norm(surface.vertices_mm - center, axis=1) - 30
    assert np.abs(off).max() < 1.0
    assert grid_shapes.surface_of(np.abs(grid) + 1) is None


def test_hearts_of_a_grid_space_are_given_back() -> None:
    generator = np.random.default_rng(0)
    hearts = [generator.standard_normal((9, 9, 9, 2)).astype(np.float32) for _ in range(5)]
    space = grid_shapes.GridSpace.fit(hearts)
    np.testing.assert_allclose(space.modes @ space.modes.T, np.eye(4), atol=1e-4)
    coordinates = np.stack([space.coordinates(heart, 4) for heart in hearts])
    np.testing.assert_allclose(coordinates.std(axis=0, ddof=1), 1, atol=1e-3)
    for heart, own in zip(hearts, coordinates, strict=True):
        np.testing.assert_allclose(space.heart(own), heart, atol=1e-3)
    assert (space.coordinates(hearts[0], 2)[2:] == 0).all()


def test_a_fitted_heart_is_described_by_all_modes(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is among the unseen ones here, and the template: nothing of it is unknown."""
    for module, name, value in (
        (shape, "MODES", ()),
        (shape, "GRID_MM", 4.8),
        (shape, "DISTANCE_MM", 4.8),
        (shape, "MESH_FACES", 4000),
        (grid_shapes, "STEP_MM", 6.0),
        (grid_shapes, "SIDE", 33),
    ):
        monkeypatch.setattr(module, name, value)
    entries = [*dataset.of_split("train"), *dataset.of_split("val")]
    files = [Path(dataset.open_file(entry.file).info.source) for entry in entries]
    found = shape.run(files[:3], [files[0], files[3]], None, False, 1, 0)
    own, other = (found["unseen"][entry.name] for entry in (entries[0], entries[3]))
    # Voxels are 4.8 mm, and twice as wide as the coronary arteries.
    assert own["grid"]["all"] < 3
    assert own["latents"]["all"] < 1.5
    for way in ("latents", "grid"):
        assert own[way]["all"] < other[way]["all"] < 15
        assert 0.2 < found["new hearts"][way]["specificity_mm"] < 10
        assert 1 <= found["new hearts"][way]["modes_of_90_percent"] <= 2
    for row in found["ordering"].values():
        assert row["ordered"] > row["free"] - 0.05
    assert 0 <= found["new hearts"]["latents"]["neighbours_touch"] <= 1
    shown = io.StringIO()
    shape.show(found, Console(width=120, file=shown))
    assert "new hearts each" in shown.getvalue()
