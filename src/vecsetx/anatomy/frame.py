"""The frame: the only conversion between millimetres and the model's unit space.

Millimetres are RAS+ (x, y and z grow towards the patient's Right, Anterior and Superior), as in
NIfTI affines. Unit space keeps the heart's true size: by default, every heart has the same number
of millimetres per unit. A rotation brings the heart into the pose in which a model was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from vecsetx.errors import InputError

MM_PER_UNIT = 80.0
"""Default scale, with which an adult heart and its great vessels fit into about ±1 unit."""

DOMAIN = 1.25
"""Half the edge length, in units, of the cube in which models are trained and used."""


Row = tuple[float, float, float]

Rotation = tuple[Row, Row, Row]
"""A rotation as the rows of its matrix."""

UPRIGHT: Rotation = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""No rotation: the axes of the unit space are the patient's."""

_ROUNDING = 1e-6
"""How far the product of a rotation and its transpose may be from the identity."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The position, scale and orientation of a heart's unit space in the patient.

    Attributes:
        center_mm: Origin of the unit space, RAS+ mm.
        mm_per_unit: Millimetres per unit, the same along every axis.
        rotation: Its rows are the axes of the unit space, in RAS+.

    Raises:
        InputError: A number is not finite, the scale is not positive, or the matrix is no rotation
            (a mirror, for example).
    """

    center_mm: tuple[float, float, float]
    mm_per_unit: float = MM_PER_UNIT
    rotation: Rotation = UPRIGHT

    def __post_init__(self) -> None:
        if not (np.isfinite([*self.center_mm, self.mm_per_unit]).all() and self.mm_per_unit > 0):
            raise InputError(f"a frame needs finite numbers and a positive scale: {self}")
        if self.is_turned and not _is_rotation(self.matrix):
            raise InputError(f"a frame needs a rotation, without mirror or stretch: {self}")

    @classmethod
    def around(
        cls,
        points_mm: np.ndarray,
        mm_per_unit: float = MM_PER_UNIT,
        rotation: Rotation = UPRIGHT,
    ) -> Frame:
        """Return the frame centred on the bounding box, along its axes, of the observed points.

        Args:
            points_mm: ``[N, 3]`` RAS+ mm.
            mm_per_unit: Millimetres per unit.
            rotation: The axes of the unit space, in RAS+.

        Raises:
            InputError: There are no points.
        """
        if len(points_mm) == 0:
            raise InputError("cannot build a frame: no points")
        low, high = corners_mm(points_mm, rotation)
        x, y, z = ((low + high) / 2).tolist()
        return cls((x, y, z), mm_per_unit, rotation)

    @property
    def is_turned(self) -> bool:
        """Whether the axes of the unit space are others than the patient's."""
        return self.rotation != UPRIGHT

    @property
    def angle_deg(self) -> float:
        """Angle by which the axes of the unit space are turned from the patient's, 0° to 180°."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.matrix) - 1) / 2, -1, 1))))

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """The rotation from the patient's axes to those of the unit space, float64."""
        return np.array(self.rotation, dtype=np.float64)

    def to_unit(self, points_mm: Any) -> Any:
        """Convert points ``[..., 3]`` from RAS+ mm to units."""
        return self.to_axes(points_mm - self._like(points_mm, self.center_mm)) / self.mm_per_unit

    def to_mm(self, points: Any) -> Any:
        """Convert points ``[..., 3]`` from units to RAS+ mm."""
        scaled = points * self.mm_per_unit
        if self.is_turned:
            scaled = scaled @ self._like(points, self.rotation)
        return scaled + self._like(points, self.center_mm)

    def to_axes(self, directions: Any) -> Any:
        """Rotate directions ``[..., 3]``, such as normals, from RAS+ to the unit space's axes."""
        if not self.is_turned:
            return directions
        return directions @ self._like(directions, self.rotation).T

    def length_to_unit(self, length_mm: Any) -> Any:
        """Convert lengths or distances (any array shape) from mm to units."""
        return length_mm / self.mm_per_unit

    def length_to_mm(self, length: Any) -> Any:
        """Convert lengths or distances (any array shape) from units to mm."""
        return length * self.mm_per_unit

    def domain_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest corner ``[3]`` of a box around the domain, RAS+ mm.

        The box is the domain itself, unless its axes are turned.
        """
        # Each axis of the box receives the magnitudes of all three edges of the domain.
        half = DOMAIN * self.mm_per_unit * np.abs(self.matrix).sum(axis=0)
        return self.center_mm - half, self.center_mm + half

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for metadata."""
        rotation = [list(row) for row in self.rotation]
        center_mm = list(self.center_mm)
        return {"center_mm": center_mm, "mm_per_unit": self.mm_per_unit, "rotation": rotation}

    @staticmethod
    def _like(points: Any, values: tuple[Any, ...]) -> Any:
        # Promote the type, because integer points would truncate the values to integers.
        if isinstance(points, np.ndarray):
            return np.asarray(values, dtype=np.result_type(points, np.float32))
        import torch  # here, because sampling does not need it and it is slow to import

        dtype = torch.promote_types(points.dtype, torch.float32)
        return points.new_tensor(values, dtype=dtype)


def corners_mm(
    points_mm: Float[np.ndarray, "n 3"], rotation: Rotation = UPRIGHT
) -> Float[np.ndarray, "2 3"]:
    """Return the lowest and the highest corner of the box around points along turned axes.

    Args:
        points_mm: One or more, RAS+ mm.
        rotation: The axes, in RAS+.
    """
    axes = Frame((0.0, 0.0, 0.0), 1.0, rotation)
    along = axes.to_unit(points_mm)
    found: Float[np.ndarray, "2 3"] = axes.to_mm(np.stack([along.min(axis=0), along.max(axis=0)]))
    return found


def _is_rotation(matrix: Float[np.ndarray, "3 3"]) -> bool:
    if not np.isfinite(matrix).all():
        return False
    orthonormal = np.allclose(matrix @ matrix.T, np.eye(3), rtol=0, atol=_ROUNDING)
    return bool(orthonormal and np.linalg.det(matrix) > 0)
