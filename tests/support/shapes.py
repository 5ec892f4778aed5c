"""Label maps of simple bodies whose distances are known exactly."""

import numpy as np
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap

BALL_RADIUS_MM = 15.0
SHELL_RADIUS_MM = 22.0


def grid_affine(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], turn: Rotation, flips: str
) -> np.ndarray:
    """An affine of a grid centred on (30, −20, 10) mm, turned, and flipped along ``flips``."""
    signs = [-1.0 if axis in flips else 1.0 for axis in "ijk"]
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ np.diag(np.array(spacing_mm) * signs)
    centre = (np.array(shape) - 1) / 2
    affine[:3, 3] = np.array([30.0, -20.0, 10.0]) - affine[:3, :3] @ centre
    return affine


CENTRE_MM = np.array([30.0, -20.0, 10.0])


def ball_in_shell_distances(points_mm: np.ndarray) -> np.ndarray:
    """True signed distances ``[N, 2]`` mm: a shell (structure 0) around a ball (structure 1)."""
    radius = np.linalg.norm(points_mm - CENTRE_MM, axis=-1)
    ball = radius - BALL_RADIUS_MM
    shell = np.maximum(radius - SHELL_RADIUS_MM, BALL_RADIUS_MM - radius)
    return np.stack([shell, ball], axis=-1)


def voxelized(distances, shape: tuple[int, int, int], affine: np.ndarray) -> LabelMap:
    """Label map of true distances: k + 1 where structure k's distance is negative."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    true = distances(indices @ affine[:3, :3].T + affine[:3, 3])
    labels = np.where((true < 0).any(-1), true.argmin(-1) + 1, 0)
    return LabelMap(labels.astype(np.uint8), affine)


def ball_in_shell(spacing_mm: float = 1.0) -> LabelMap:
    """The shell and ball on an axis-aligned isotropic grid."""
    size = int(56 / spacing_mm)
    shape = (size, size, size)
    affine = grid_affine(shape, (spacing_mm,) * 3, Rotation.identity(), "")
    return voxelized(ball_in_shell_distances, shape, affine)
