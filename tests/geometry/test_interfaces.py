from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.shapes import (
    BALL_RADIUS_MM,
    CENTRE_MM,
    SHELL_RADIUS_MM,
    ball_in_shell,
    ball_in_shell_distances,
    grid_affine,
    voxelized,
)

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.geometry.interfaces import remove_specks, shared_surface


def volume_mm3(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, i]] - vertices.mean(axis=0) for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


@pytest.mark.parametrize("flips", ["", "i", "jk", "ijk"])
def test_surface_lies_on_the_truth_under_any_affine(flips: str) -> None:
    shape = (70, 60, 50)
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)
    label_map = voxelized(
        ball_in_shell_distances, shape, grid_affine(shape, (0.8, 1.0, 1.2), turn, flips)
    )
    surface = shared_surface(label_map)
    for label, expected in (
        (2, 4 / 3 * np.pi * BALL_RADIUS_MM**3),
        (1, 4 / 3 * np.pi * (SHELL_RADIUS_MM**3 - BALL_RADIUS_MM**3)),
    ):
        vertices, faces = surface.closed_surface(label)
        assert volume_mm3(vertices, faces) == pytest.approx(expected, rel=0.01)
        error = np.abs(ball_in_shell_distances(vertices)[:, label - 1])
        assert error.mean() < 0.12  # a tenth of a voxel or so
        assert error.max() < 0.75


def test_neighbours_share_their_wall_exactly() -> None:
    surface = shared_surface(ball_in_shell())
    ball, _ = surface.closed_surface(2)
    shell, _ = surface.closed_surface(1)
    inner = shell[
        np.linalg.norm(shell - CENTRE_MM, axis=1) < (BALL_RADIUS_MM + SHELL_RADIUS_MM) / 2
    ]
    assert {tuple(v) for v in ball} == {tuple(v) for v in inner}


def test_normals_point_from_the_first_side_to_the_second() -> None:
    surface = shared_surface(ball_in_shell())
    a, b, c = (surface.vertices_mm[surface.faces[:, i]] for i in range(3))
    middle, normal = (a + b + c) / 3, np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    for side, sign in ((0, -1), (1, 1)):
        there = voxelized_label(middle + sign * 0.8 * normal)
        agree = there == surface.sides[:, side]
        assert agree.mean() > 0.99


def voxelized_label(points_mm: np.ndarray) -> np.ndarray:
    true = ball_in_shell_distances(points_mm)
    return np.where((true < 0).any(-1), true.argmin(-1) + 1, 0)


def test_specks_take_the_label_of_what_surrounds_them() -> None:
    clean = ball_in_shell()
    labels = clean.labels.copy()
    labels[2, 2, 2:5] = 1  # in the background
    labels[28, 28, 27:30] = 1  # inside the ball
    cleaned = remove_specks(LabelMap(labels, clean.affine))
    np.testing.assert_array_equal(cleaned.labels, clean.labels)


def test_a_structure_of_specks_alone_keeps_its_largest() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:8, 5:8, 5:8] = 1
    labels[15:17, 15:17, 15:17] = 1
    cleaned = remove_specks(LabelMap(labels, np.eye(4)))
    assert cleaned.labels[6, 6, 6] == 1
    assert cleaned.labels.sum() == 27


@pytest.mark.parametrize("scattered", [3, 300])
def test_however_many_specks_there_are_the_nearest_other_voxel_decides(scattered: int) -> None:
    rng = np.random.default_rng(scattered)
    labels = np.zeros((40, 36, 30), np.uint8)
    labels[8:22, 8:28, 8:22] = 1
    labels[22:34, 8:28, 8:22] = 2
    is_speck = np.zeros(labels.shape, dtype=bool)
    for place in rng.permutation(np.argwhere(labels))[:scattered]:
        if labels[tuple(slice(max(i - 1, 0), i + 2) for i in place)].max() != 3:
            labels[tuple(place)], is_speck[tuple(place)] = 3, True
    labels[2:6, 2:6, 2:6] = 3  # the largest piece of structure 3, which stays
    others = np.argwhere(~is_speck)
    cleaned = remove_specks(LabelMap(labels, np.eye(4))).labels
    np.testing.assert_array_equal(cleaned[~is_speck], labels[~is_speck])
    for place in np.argwhere(is_speck):
        away = np.square(others - place).sum(axis=1)
        nearest = others[away == away.min()]
        assert cleaned[tuple(place)] in labels[tuple(nearest.T)]


def test_a_thin_tube_keeps_its_volume() -> None:
    """A coronary of radius 1.5 voxels would be erased by smoothing that shrinks."""
    line = np.array([0.3, 0.2, 1.0]) / np.linalg.norm([0.3, 0.2, 1.0])

    def tube(points: np.ndarray) -> np.ndarray:
        offset = points - np.array([20.0, 20.0, 30.0])
        along = np.clip(offset @ line, -20, 20)
        return (np.linalg.norm(offset - along[..., None] * line, axis=-1) - 1.5)[..., None]

    label_map = voxelized(tube, (40, 40, 60), np.eye(4))
    volume = volume_mm3(*shared_surface(label_map).closed_surface(1))
    assert volume == pytest.approx(label_map.labels.sum(), rel=0.05)
    assert volume == pytest.approx(np.pi * 1.5**2 * 40 + 4 / 3 * np.pi * 1.5**3, rel=0.05)


def test_structures_that_lose_much_to_specks_are_remarked() -> None:
    labels = np.zeros((40, 40, 40), dtype=np.uint8)
    labels[5:15, 5:15, 5:15] = 1
    labels[20:30, 5:15, 5:15] = 2
    labels[5:35:5, 25:38:5, 5:35:5] = 2  # 108 single voxels
    segmentation = Segmentation(Path("a"), ("LV", "RV"), LabelMap(labels, np.diag([2, 2, 2.5, 1])))
    assert segmentation.geometry().label_map.remarks == ()  # few of 1108
    labels[20:30, 5:12, 5:15] = 0
    assert segmentation.geometry().label_map.remarks == (
        "pieces of fewer than 30 voxels are left out: RV 1.08 of 4.08 ml",
    )
