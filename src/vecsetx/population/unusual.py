"""How unusual a heart is among those of a shape space's cohort.

A heart is placed by the leading modes, and judged by what all modes leave of it. The cohort's own
hearts are no measure of that, as the modes were fitted to them: in a space of N hearts and N − 1
modes, all of them are equally far from the mean. So each is placed in the space of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vecsetx.population.shape_space import ShapeSpace
from vecsetx.population.surface_distance import surface_distance
from vecsetx.progress import counted_parts

__all__ = ["Placement", "left_out", "percentile"]

_MOST_MODES = 256
"""Leading modes of the whole cohort within which hearts are left out; further ones hold little."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a heart lies among those of a cohort.

    Attributes:
        coordinates: In standard deviations along the modes.
        distance: Mahalanobis distance from the mean along the leading modes.
        distance_percentile: Percentage of the cohort's hearts with a smaller one.
        residual_mm: Mean distance of the surfaces of the nearest heart of the space from its own.
        residual_percentile: Percentage of the cohort's hearts with a smaller one.
        nearest: The hearts of the cohort that are most like it, the nearest first.
        nearest_mm: Mean distances of its surfaces from theirs.
    """

    coordinates: tuple[float, ...]
    distance: float
    distance_percentile: float
    residual_mm: float
    residual_percentile: float
    nearest: tuple[str, ...]
    nearest_mm: tuple[float, ...]


def left_out(
    space: ShapeSpace,
    coordinates: Float[np.ndarray, "n k"],
    positions: Float[np.ndarray, "n m 3"],
    normals: Float[np.ndarray, "n m 3"],
    structure: Int[np.ndarray, " m"],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Place each heart of a cohort in the space of the others.

    Args:
        space: The space of all.
        coordinates: The hearts', in standard deviations.
        positions: Their anchors, units; NaN where there is none.
        normals: Their unit normals there.
        structure: Index of each anchor's structure.

    Returns:
        Mahalanobis distances along the leading modes, and mean distances of the nearest heart of
        the others' space, units.
    """
    kept = min(len(space.sd), _MOST_MODES)
    offsets = (coordinates * space.sd)[:, :kept]
    basis = space.modes[:kept, :, :3].reshape(kept, -1) / space.weight[0]
    leading = min(space.leading, len(offsets) - 2)
    distances, residuals = [], []
    for heart in counted_parts(range(len(offsets)), "leaving out each heart in turn"):
        others = np.delete(offsets, heart, axis=0)
        own = offsets[heart] - others.mean(axis=0)
        _, singular, modes = np.linalg.svd(others - others.mean(axis=0), full_matrices=False)
        modes = modes[singular > 1e-9 * max(singular.max(), 1e-12)]
        sd = singular[: len(modes)] / np.sqrt(len(others) - 1)
        along = modes @ own
        distances.append(float(np.linalg.norm(along[:leading] / sd[:leading])))
        rest = ((own - along @ modes) @ basis).reshape(-1, 3)
        nearest = positions[heart] - rest
        residuals.append(surface_distance(nearest, positions[heart], normals[heart], structure))
    return np.array(distances), np.array(residuals)


def percentile(value: float, of: Float[np.ndarray, " n"] | Sequence[float]) -> float:
    """Return the percentage of values below one; of equal ones, half count."""
    values = np.asarray(of)
    return float(100 * ((values < value).mean() + (values == value).mean() / 2))
