"""What distances do not see: whether vessels hang together, and in how many pieces."""

import cc3d
import numpy as np
from jaxtyping import Bool
from skimage.morphology import skeletonize

from vecsetx.errors import InputError


def component_count(inside: Bool[np.ndarray, "i j k"]) -> int:
    """Pieces of a structure; voxels that share a corner hang together (26-connected)."""
    roomy = np.pad(inside, 1)  # cc3d fails on some arrays of very few voxels
    _, count = cc3d.connected_components(roomy, connectivity=26, return_N=True)
    return int(count)


def centreline_dice(
    truth: Bool[np.ndarray, "i j k"], prediction: Bool[np.ndarray, "i j k"]
) -> float:
    """How well two vessels agree in course and branching (Shit et al., CVPR 2021).

    The harmonic mean of two shares, both in voxels: of the prediction's centreline that lies in the
    truth, and of the truth's centreline that lies in the prediction.

    Args:
        truth: Voxels of the vessel, at least one.
        prediction: The same on the same grid.

    Raises:
        InputError: One of them is empty and has no centreline.
    """
    if not (truth.any() and prediction.any()):
        raise InputError("only where truth and prediction have the vessel is there a clDice")
    precision = truth[centreline(prediction)].mean()
    sensitivity = prediction[centreline(truth)].mean()
    both = precision + sensitivity
    return float(2 * precision * sensitivity / both) if both else 0.0


def centreline(inside: Bool[np.ndarray, "i j k"]) -> Bool[np.ndarray, "i j k"]:
    """The voxels that thinning leaves (Lee, Kashyap, Chu, CVGIP 1994).

    A piece that the thinning removes altogether is its own centreline: scikit-image's does that to
    straight pieces of an even square section (its issue 3757).
    """
    thinned = skeletonize(inside)
    pieces, count = cc3d.connected_components(inside, connectivity=26, return_N=True)
    vanished = np.ones(count + 1, dtype=bool)
    vanished[0] = False
    vanished[pieces[thinned]] = False
    line: np.ndarray = thinned | vanished[pieces]
    return line
