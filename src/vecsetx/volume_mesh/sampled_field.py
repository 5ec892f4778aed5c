"""Signed distances near interfaces, kept on a grid: many quick looks for one slow one."""

from collections.abc import Callable
from itertools import product

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["Field", "SampledField"]

Field = Callable[[np.ndarray], np.ndarray]
"""Points ``[N, 3]`` mm → signed distances to the K regions, ``[N, K]`` float32 mm."""

_CORNERS = np.array(list(product((0, 1), repeat=3)))


class SampledField:
    """A field at the nodes of a grid that lie near interfaces, linear along each axis between them.

    Args:
        field: What is sampled.
        near_mm: Points around which it will be asked for.
        spacing_mm: Distance of neighbouring nodes.
        reach: How many nodes around each point are sampled, in each direction.
    """

    def __init__(
        self, field: Field, near_mm: Float[np.ndarray, "n 3"], spacing_mm: float, reach: int
    ) -> None:
        self.spacing_mm = spacing_mm
        self._low_mm = near_mm.min(axis=0) - (reach + 2) * spacing_mm
        shape = np.ceil((near_mm.max(axis=0) - self._low_mm) / spacing_mm).astype(int) + reach + 3
        wanted = np.zeros(shape, dtype=bool)
        cells = np.unique(np.floor((near_mm - self._low_mm) / spacing_mm).astype(np.int32), axis=0)
        for step in product(range(-reach, reach + 2), repeat=3):
            wanted[tuple((cells + step).T)] = True
        nodes = np.argwhere(wanted)
        self._row = np.full(shape, -1, dtype=np.int32)
        self._row[wanted] = np.arange(len(nodes), dtype=np.int32)
        self._values = field(self._low_mm + nodes * spacing_mm).astype(np.float32)

    def at(
        self, points_mm: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k 3"], Bool[np.ndarray, " n"]]:
        """Return distances, their gradients, and which points lie among the nodes (others: NaN)."""
        at = (points_mm - self._low_mm) / self.spacing_mm
        cell = np.floor(at).astype(np.int64).clip(0, np.array(self._row.shape) - 2)
        weights = np.stack([1 - (at - cell), at - cell])  # [2, n, 3]
        rows = np.stack([self._row[tuple((cell + corner).T)] for corner in _CORNERS])
        known = np.logical_and.reduce(rows >= 0, axis=0)
        count = self._values.shape[1]
        values = np.zeros((len(at), count), np.float32)
        slopes = np.zeros((len(at), count, 3), np.float32)
        for corner, row in zip(_CORNERS, rows, strict=True):
            node = self._values[row]
            x, y, z = (weights[corner[axis], :, axis].astype(np.float32) for axis in range(3))
            values += (x * y * z)[:, None] * node
            signs = np.where(corner, 1.0, -1.0).astype(np.float32) / self.spacing_mm
            for axis, others in enumerate((y * z, x * z, x * y)):
                slopes[:, :, axis] += (signs[axis] * others)[:, None] * node
        values[~known] = np.nan
        return values, slopes, known
