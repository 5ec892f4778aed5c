"""Volume, surface, axes and sphericity of a closed surface."""

import numpy as np
from jaxtyping import Float, Int
from trimesh.triangles import mass_properties

from vecsetx.measures.measured import Measured

__all__ = ["SOLID", "measure_solid"]

SOLID = (
    "volume_ml",
    "surface_mm2",
    "long_axis_mm",
    "middle_axis_mm",
    "short_axis_mm",
    "sphericity",
)
"""Names of the numbers of a solid."""


def measure_solid(
    vertices_mm: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> dict[str, Measured]:
    """Measure what a closed surface encloses.

    The axes are those of the ellipsoid with the same second moments: exact for an ellipsoid, and
    independent of the pose. The sphericity is the surface of the ball with the same volume, as a
    share of the solid's own: 1 for a ball, less for everything else (Wadell, "Volume, shape, and
    roundness of quartz particles", 1935).

    Args:
        vertices_mm: RAS+ mm.
        faces: Outward-facing triangles.

    Returns:
        The numbers of :data:`SOLID`.
    """
    # Near the origin, differences of large products would lose digits.
    triangles = (vertices_mm - vertices_mm[faces[0, 0]])[faces].astype(np.float64)
    found = mass_properties(triangles)
    volume_mm3 = float(found.volume)
    edges = triangles[:, 1:] - triangles[:, :1]
    surface_mm2 = float(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1).sum() / 2)
    # An inertia tensor is tr(C) 1 − C, where C is the volume's second moments: C = tr(I)/2 1 − I.
    inertia = np.linalg.eigvalsh(np.asarray(found.inertia))
    moments = np.maximum(inertia.sum() / 2 - inertia, 0.0) / volume_mm3
    # Along a semi-axis a of an ellipsoid, the second moment is a²/5 of its volume.
    long_mm, middle_mm, short_mm = np.sort(2 * np.sqrt(5 * moments))[::-1].tolist()
    ball_mm2 = (36 * np.pi * volume_mm3**2) ** (1 / 3)
    values = (volume_mm3 / 1000, surface_mm2, long_mm, middle_mm, short_mm, ball_mm2 / surface_mm2)
    return {name: Measured(float(value)) for name, value in zip(SOLID, values, strict=True)}
