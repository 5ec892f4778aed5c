"""The heart's own axes, and the places of its valves.

Everything is in RAS+ mm for a heart of size 1 in its usual attitude, with the origin in the middle
of the left ventricle. The numbers are means over the four-chamber CT atlas of Rodero et al., PLoS
Comput Biol 2021;17(4):e1008851, at 86 % of its size.
"""

import numpy as np
from scipy.spatial.transform import Rotation

TO_BASE = np.array([0.523, -0.533, 0.665])
"""Unit vector of the long axis, from the apex to the base."""
TO_BASE /= np.linalg.norm(TO_BASE)

TO_RV = np.array([0.72, 0.70, -0.02])
TO_RV -= (TO_RV @ TO_BASE) * TO_BASE
TO_RV /= np.linalg.norm(TO_RV)
"""Unit vector through the septum, from the left to the right ventricle."""

TO_FRONT = np.cross(TO_BASE, TO_RV)
"""Unit vector to the left ventricle's anterior wall (up, left and forward)."""

AXES = np.stack([TO_RV, TO_FRONT, TO_BASE], axis=1)
"""The three as columns: a place in (septal, anterior, long axis) mm times this is RAS mm."""

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


class VentricleFrame:
    """Places in the ventricles, which may be tilted a little against the base of the heart."""

    def __init__(self, tilt_deg: tuple[float, float, float]) -> None:
        """Tilt about the septal, anterior and long axis, hinged at the middle of the base."""
        local = Rotation.from_rotvec(np.radians(tilt_deg)).as_matrix()
        self.axes = AXES @ local
        self._hinge = AXES @ np.array([6.0, 0.0, 25.0])

    def place(self, septal: float, anterior: float, long_axis: float) -> np.ndarray:
        """RAS mm of a place given along the heart's own axes."""
        local = np.array([septal, anterior, long_axis]) - np.array([6.0, 0.0, 25.0])
        return np.asarray(self._hinge + self.axes @ local)
