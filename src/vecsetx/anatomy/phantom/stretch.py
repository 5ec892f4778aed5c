"""One heart is longer, broader or more oblique than another."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Stretch:
    """An affine movement of places about a point that stays.

    Attributes:
        matrix: ``[3, 3]``, not singular.
        middle_mm: The point that stays, ``[3]``.
    """

    matrix: np.ndarray
    middle_mm: np.ndarray

    def places(self, points_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Where places go, in mm."""
        return np.asarray((points_mm - self.middle_mm) @ self.matrix.T + self.middle_mm)

    def normal(self, normal: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
        """The unit normal of a plane that had this one."""
        turned = np.linalg.solve(self.matrix.T, normal)
        return np.asarray(turned / np.linalg.norm(turned))
