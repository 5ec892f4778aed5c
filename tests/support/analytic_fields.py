"""Fields whose distances are known in closed form, for the tests of reconstruction."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from vecsetx.reconstruction.grid import Grid

Distance = Callable[[np.ndarray], np.ndarray]


@dataclass
class AnalyticField:
    """Distances to named shapes, truncated as a trained model's are; counts what it is asked."""

    shapes: dict[str, Distance]
    truncation_mm: float = 8.0
    asked: int = field(default=0, init=False)

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(self.shapes)

    @property
    def reach_mm(self) -> float:
        return 0.875 * self.truncation_mm

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        self.asked += len(points_mm)
        distances = np.stack([shape(points_mm) for shape in self.shapes.values()], axis=-1)
        return distances.clip(-self.truncation_mm, self.truncation_mm).astype(np.float32)


def ball(center: tuple[float, float, float], radius: float) -> Distance:
    return lambda points: np.linalg.norm(points - np.array(center), axis=-1) - radius


def tube(
    start: tuple[float, float, float], end: tuple[float, float, float], radius: float
) -> Distance:
    a, along = np.array(start), np.subtract(end, start)

    def distance(points: np.ndarray) -> np.ndarray:
        t = ((points - a) @ along / (along @ along)).clip(0, 1)
        return np.linalg.norm(points - a - t[..., None] * along, axis=-1) - radius

    return distance


def half_space(normal: tuple[float, float, float], offset: float) -> Distance:
    unit = np.array(normal) / np.linalg.norm(normal)
    return lambda points: points @ unit - offset


def all_of(*shapes: Distance) -> Distance:
    return lambda points: np.max([shape(points) for shape in shapes], axis=0)


def any_of(*shapes: Distance) -> Distance:
    return lambda points: np.min([shape(points) for shape in shapes], axis=0)


ASYMMETRIC = any_of(
    tube((0, 0, 0), (30, 0, 0), 6), tube((0, 0, 0), (0, 18, 0), 6), tube((0, 0, 0), (0, 0, -10), 6)
)
"""Three arms of unequal length: 30 mm to the right, 18 to the front, 10 downwards."""


def heart() -> AnalyticField:
    """Ten structures about as large and as entangled as a heart's; names are real ones."""
    return AnalyticField(
        {
            "Myocardium": all_of(ball((0, 0, 0), 38), lambda p: -ball((0, 0, 0), 29)(p)),
            "LA": ball((40, 20, 0), 25),
            "LV": ball((0, 0, 0), 29),
            "RA": ball((-30, -40, 20), 22),
            "RV": ball((30, -40, 10), 26),
            "Aorta": tube((0, 0, 30), (10, 40, 70), 12),
            "PA": tube((10, 0, 30), (-30, 40, 70), 11),
            "LAA": ball((50, 40, 20), 10),
            "Coronary": tube((-40, -20, -40), (45, 30, 60), 0.9),
            "PV": tube((60, 20, 0), (80, 30, 10), 6),
        }
    )


OBLIQUE = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()


def grid_about(center_mm: tuple[float, float, float], matrix: np.ndarray, half_mm: float) -> Grid:
    """A cube of space about a point, on a grid with these voxel axes."""
    n, m, k = (np.ceil(2 * half_mm / np.linalg.norm(matrix, axis=0)).astype(int)).tolist()
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = center_mm - matrix @ (np.array([n, m, k]) - 1) / 2
    return Grid((n, m, k), affine)
