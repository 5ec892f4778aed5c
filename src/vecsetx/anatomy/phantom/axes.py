"""The heart's anatomical axes, and the centres and axes of its valves.

All coordinates are RAS+ mm, for a heart of size 1 in its default orientation, with the origin at
the centre of the left ventricle. The values are means over the four-chamber CT atlas of Rodero et
al., PLoS Comput Biol 2021;17(4):e1008851, scaled to 86%.
"""

import numpy as np
from scipy.spatial.transform import Rotation

TO_BASE = np.array([0.523, -0.533, 0.665])
"""Unit vector of the long axis, from the apex to the base."""
TO_BASE /= np.linalg.norm(TO_BASE)

_TO_RV = np.array([0.72, 0.70, -0.02])
# Gram–Schmidt: at right angles to the long axis.
_TO_RV -= (_TO_RV @ TO_BASE) * TO_BASE
_TO_RV /= np.linalg.norm(_TO_RV)
"""Unit vector through the septum, from the left to the right ventricle."""

_TO_FRONT = np.cross(TO_BASE, _TO_RV)
"""Unit vector towards the left ventricle's anterior wall (up, left and forward)."""

_AXES = np.stack([_TO_RV, _TO_FRONT, TO_BASE], axis=1)
"""The three axes as columns: maps (septal, anterior, long-axis) mm to RAS mm."""

# Centres of the four valves; then unit vectors through three of them.
MITRAL = np.array([15.0, -16.5, 16.5])
AORTIC = np.array([25.0, 0.5, 27.5])
TRICUSPID = np.array([45.5, 8.5, 1.5])
PULMONARY = np.array([15.0, 23.0, 39.0])
TO_AORTA = np.array([0.56, 0.37, 0.74])
TO_AORTA /= np.linalg.norm(TO_AORTA)
TO_RA = np.array([0.61, -0.58, 0.53])
TO_RA /= np.linalg.norm(TO_RA)
TO_PA = np.array([0.05, -0.25, 0.97])
TO_PA /= np.linalg.norm(TO_PA)

_HINGE_MM = np.array([6.0, 0.0, 25.0])  # septal, anterior, long axis: the centre of the base


class VentricleFrame:
    """Coordinates in the ventricles, which may be tilted slightly against the heart's base."""

    def __init__(self, tilt_deg: tuple[float, float, float]) -> None:
        """Tilt about the septal, anterior and long axes, around the centre of the base."""
        local = Rotation.from_rotvec(np.radians(tilt_deg)).as_matrix()
        self.axes = _AXES @ local
        self._hinge = _AXES @ _HINGE_MM

    def to_ras(self, septal: float, anterior: float, long_axis: float) -> np.ndarray:
        """Return the RAS mm of a point given in mm along the heart's axes."""
        local = np.array([septal, anterior, long_axis]) - _HINGE_MM
        return np.asarray(self._hinge + self.axes @ local)
