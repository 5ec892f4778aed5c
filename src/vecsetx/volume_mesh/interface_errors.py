"""How far vertices of interfaces are from where the regions around them meet."""

import numpy as np
from jaxtyping import Float, UInt

from vecsetx.volume_mesh.cleaving import depths

__all__ = ["off_interfaces"]


def off_interfaces(
    distances_mm: Float[np.ndarray, "n k"], around: UInt[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return how far vertices are from where all regions around them meet, mm.

    Half the difference between the distances to the regions around a vertex; of the outer surface,
    the whole difference, as the distance to the background is 0 everywhere, not the opposite.

    Args:
        distances_mm: Signed distances to the K regions at the vertices.
        around: Regions around each as bits; bit 0 is the background.
    """
    values = depths(distances_mm)
    bits = np.uint32(1) << np.arange(values.shape[1], dtype=np.uint32)
    own = (around[:, None] & bits) > 0
    low = np.where(own, values, np.inf).min(axis=1)
    high = np.where(own, values, -np.inf).max(axis=1)
    outer = (around & np.uint32(1)) > 0
    return np.where(outer, high - low, (high - low) / 2).astype(np.float64)
