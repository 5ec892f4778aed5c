"""The frame: the only place where millimetres become the model's unit space and back.

Millimetres are RAS+ (x, y and z grow towards the patient's Right, Anterior and Superior), as NIfTI
affines give them. Unit space keeps the heart's true size: the same number of millimetres per unit
for every heart, unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsetx.errors import InputError

MM_PER_UNIT = 80.0
"""Default scale: a whole adult heart with its great vessels lies within about ±1 unit."""

DOMAIN = 1.25
"""Half the edge, in units, of the cube about the centre in which models are trained and used."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a heart lies in the patient and how long a unit is.

    Attributes:
        center_mm: RAS+ millimetres of the unit space's origin.
        mm_per_unit: Millimetres per unit, the same along every axis.
    """

    center_mm: tuple[float, float, float]
    mm_per_unit: float = MM_PER_UNIT

    def __post_init__(self) -> None:
        if not (np.isfinite([*self.center_mm, self.mm_per_unit]).all() and self.mm_per_unit > 0):
            raise InputError(f"a frame needs finite numbers and a positive scale, not {self}")

    @classmethod
    def around(cls, points_mm: np.ndarray, mm_per_unit: float = MM_PER_UNIT) -> Frame:
        """The frame of what is observed: centred on the box around ``points_mm`` ``[N, 3]``."""
        if len(points_mm) == 0:
            raise InputError("a frame cannot be laid around no points")
        low, high = points_mm.min(axis=0), points_mm.max(axis=0)
        x, y, z = ((low + high) / 2).tolist()
        return cls((x, y, z), mm_per_unit)

    def to_unit(self, points_mm: Any) -> Any:
        """Points ``[..., 3]`` from RAS+ mm to units."""
        return (points_mm - self._center_like(points_mm)) / self.mm_per_unit

    def to_mm(self, points: Any) -> Any:
        """Points ``[..., 3]`` from units to RAS+ mm."""
        return points * self.mm_per_unit + self._center_like(points)

    def length_to_unit(self, length_mm: Any) -> Any:
        """Lengths and distances of any shape, from mm to units."""
        return length_mm / self.mm_per_unit

    def length_to_mm(self, length: Any) -> Any:
        """Lengths and distances of any shape, from units to mm."""
        return length * self.mm_per_unit

    def domain_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner ``[3]`` of the domain, RAS+ mm."""
        corner = np.full(3, DOMAIN)
        return self.to_mm(-corner), self.to_mm(corner)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for metadata; :meth:`from_dict` reads it back."""
        return {"center_mm": list(self.center_mm), "mm_per_unit": self.mm_per_unit}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Frame:
        """Read what :meth:`to_dict` wrote."""
        center: Sequence[float] = data["center_mm"]
        return cls((center[0], center[1], center[2]), data["mm_per_unit"])

    def _center_like(self, points: Any) -> Any:
        # Promoted, because whole-number points would round the center to whole numbers.
        if isinstance(points, np.ndarray):
            return np.asarray(self.center_mm, dtype=np.result_type(points, np.float32))
        import torch  # here, because those who sample hearts shall not wait for it

        dtype = torch.promote_types(points.dtype, torch.float32)
        return points.new_tensor(self.center_mm, dtype=dtype)
