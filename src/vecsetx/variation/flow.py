"""Smooth invertible motions of space: the flow of a velocity field that is constant in time.

A flow can be undone, so that nothing folds, tears or merges. It is computed by scaling and squaring
(Arsigny et al., "A log-Euclidean framework for statistics on diffeomorphisms", MICCAI 2006).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

__all__ = ["Lattice", "flow", "random_velocity", "smallest_jacobian"]

_SMALL = 0.25
"""Largest displacement of the first step, in lattice spacings; each squaring doubles the time."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """A coarse grid along R, A and S.

    Attributes:
        origin_mm: ``[3]`` RAS+ mm, its first point.
        spacing_mm: Distance between neighbours.
        shape: Number of points along each axis.
    """

    origin_mm: Float[np.ndarray, "3"]
    spacing_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(
        cls, corners_mm: Float[np.ndarray, "n 3"], margin_mm: float, spacing_mm: float
    ) -> "Lattice":
        """Cover the box around points, with a margin on every side."""
        low, high = corners_mm.min(axis=0) - margin_mm, corners_mm.max(axis=0) + margin_mm
        i, j, k = (np.ceil((high - low) / spacing_mm).astype(int) + 1).tolist()
        return cls(low, spacing_mm, (i, j, k))

    def points_mm(self) -> Float[np.ndarray, "i j k 3"]:
        """All points, RAS+ mm."""
        sizes = zip(self.origin_mm.tolist(), self.shape, strict=True)
        axes = (start + self.spacing_mm * np.arange(count) for start, count in sizes)
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def at(
        self, values: Float[np.ndarray, "i j k 3"], points_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        """Interpolate linearly between values at the lattice's points; constant beyond its edge."""
        return _interpolated(values, ((points_mm - self.origin_mm) / self.spacing_mm).T).T


def random_velocity(
    lattice: Lattice, size_mm: float, smooth_mm: float, generator: np.random.Generator
) -> Float[np.ndarray, "i j k 3"]:
    """Draw a smooth velocity: white noise behind a Gaussian filter.

    Args:
        lattice: Where it is needed.
        size_mm: Its root mean square along each axis, mm per unit of time.
        smooth_mm: Standard deviation of the filter.
        generator: Random numbers.
    """
    noise = generator.standard_normal((*lattice.shape, 3))
    sigma = smooth_mm / lattice.spacing_mm
    smooth = ndimage.gaussian_filter(noise, (sigma, sigma, sigma, 0), mode="wrap")
    return np.asarray(size_mm / np.sqrt((smooth**2).mean()) * smooth)


def flow(
    velocity_mm: Float[np.ndarray, "i j k 3"], lattice: Lattice
) -> Float[np.ndarray, "i j k 3"]:
    """Return the displacement, mm, of each point of a lattice after one unit of time."""
    largest = float(np.abs(velocity_mm).max()) / lattice.spacing_mm
    squarings = max(int(np.ceil(np.log2(max(largest, 1e-9) / _SMALL))), 0)
    # In units of the lattice. Going on for as long again doubles the time: u(x) + u(x + u(x)).
    moved = velocity_mm / (lattice.spacing_mm * 2**squarings)
    places = np.stack(np.meshgrid(*map(np.arange, lattice.shape), indexing="ij"))
    for _ in range(squarings):
        there = places + np.moveaxis(moved, -1, 0)
        moved = moved + np.moveaxis(_interpolated(moved, there), 0, -1)
    return np.asarray(moved * lattice.spacing_mm)


def smallest_jacobian(displacement_mm: Float[np.ndarray, "i j k 3"], lattice: Lattice) -> float:
    """Return by how much a motion shrinks volumes at most; 0 or less where it folds."""
    columns = np.gradient(displacement_mm, lattice.spacing_mm, axis=(0, 1, 2))
    jacobian = np.stack(columns, axis=-1) + np.eye(3)
    return float(np.linalg.det(jacobian).min())


def _interpolated(
    values: Float[np.ndarray, "i j k 3"], places: Float[np.ndarray, "3 *n"]
) -> Float[np.ndarray, "3 *n"]:
    return np.stack(
        [
            ndimage.map_coordinates(values[..., axis], places, order=1, mode="nearest")
            for axis in range(3)
        ]
    )
