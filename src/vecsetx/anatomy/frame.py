"""The frame: the only conversion between millimetres and the model's unit space.

Millimetres are RAS+ (x, y and z grow towards the patient's Right, Anterior and Superior), as in
NIfTI affines. Unit space keeps the heart's true size: by default, every heart has the same number
of millimetres per unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsetx.errors import InputError

MM_PER_UNIT = 80.0
"""Default scale, with which an adult heart and its great vessels fit into about ±1 unit."""

DOMAIN = 1.25
"""Half the edge length, in units, of the cube in which models are trained and used."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The position and scale of a heart's unit space in the patient.

    Attributes:
        center_mm: Origin of the unit space, RAS+ mm.
        mm_per_unit: Millimetres per unit, the same along every axis.

    Raises:
        InputError: A number is not finite, or the scale is not positive.
    """

    center_mm: tuple[float, float, float]
    mm_per_unit: float = MM_PER_UNIT

    def __post_init__(self) -> None:
        if not (np.isfinite([*self.center_mm, self.mm_per_unit]).all() and self.mm_per_unit > 0):
            raise InputError(f"a frame needs finite numbers and a positive scale: {self}")

    @classmethod
    def around(cls, points_mm: np.ndarray, mm_per_unit: float = MM_PER_UNIT) -> Frame:
        """Return the frame centred on the bounding box of the observed points.

        Args:
            points_mm: ``[N, 3]`` RAS+ mm.
            mm_per_unit: Millimetres per unit.

        Raises:
            InputError: There are no points.
        """
        if len(points_mm) == 0:
            raise InputError("cannot build a frame: no points")
        low, high = points_mm.min(axis=0), points_mm.max(axis=0)
        x, y, z = ((low + high) / 2).tolist()
        return cls((x, y, z), mm_per_unit)

    def to_unit(self, points_mm: Any) -> Any:
        """Convert points ``[..., 3]`` from RAS+ mm to units."""
        return (points_mm - self._center_like(points_mm)) / self.mm_per_unit

    def to_mm(self, points: Any) -> Any:
        """Convert points ``[..., 3]`` from units to RAS+ mm."""
        return points * self.mm_per_unit + self._center_like(points)

    def length_to_unit(self, length_mm: Any) -> Any:
        """Convert lengths or distances (any array shape) from mm to units."""
        return length_mm / self.mm_per_unit

    def length_to_mm(self, length: Any) -> Any:
        """Convert lengths or distances (any array shape) from units to mm."""
        return length * self.mm_per_unit

    def domain_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest corner ``[3]`` of the domain, RAS+ mm."""
        corner = np.full(3, DOMAIN)
        return self.to_mm(-corner), self.to_mm(corner)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for metadata."""
        return {"center_mm": list(self.center_mm), "mm_per_unit": self.mm_per_unit}

    def _center_like(self, points: Any) -> Any:
        # Promote the type, because integer points would truncate the centre to integers.
        if isinstance(points, np.ndarray):
            return np.asarray(self.center_mm, dtype=np.result_type(points, np.float32))
        import torch  # here, because sampling does not need it and it is slow to import

        dtype = torch.promote_types(points.dtype, torch.float32)
        return points.new_tensor(self.center_mm, dtype=dtype)
