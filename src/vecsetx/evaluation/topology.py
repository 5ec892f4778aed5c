"""Topology, which distances do not measure: connected pieces and centrelines of vessels."""

import numpy as np
from jaxtyping import Bool
from skimage.morphology import skeletonize

from vecsetx.errors import InputError
from vecsetx.geometry.connected import number_pieces


def piece_count(inside: Bool[np.ndarray, "i j k"]) -> int:
    """Count the pieces of a structure; voxels that share a corner are connected (26)."""
    return number_pieces(inside)[1]


def centreline_dice(
    truth: Bool[np.ndarray, "i j k"], prediction: Bool[np.ndarray, "i j k"]
) -> float:
    """Compute the centreline Dice (clDice) of two vessels (Shit et al., CVPR 2021).

    It measures the agreement of course and branching: the harmonic mean of the share of the
    prediction's centreline inside the truth and the share of the truth's centreline inside the
    prediction, both in voxels.

    Args:
        truth: Voxels of the vessel, at least one.
        prediction: The same on the same grid.

    Raises:
        InputError: One of them is empty and has no centreline.
    """
    if not (truth.any() and prediction.any()):
        raise InputError("clDice is undefined: truth or prediction lacks the vessel; skip it")
    precision = truth[centreline(prediction)].mean()
    sensitivity = prediction[centreline(truth)].mean()
    both = precision + sensitivity
    return float(2 * precision * sensitivity / both) if both else 0.0


def centreline(inside: Bool[np.ndarray, "i j k"]) -> Bool[np.ndarray, "i j k"]:
    """Thin a structure to its centreline (Lee, Kashyap and Chu, CVGIP 1994).

    A piece that thinning removes altogether is its own centreline: scikit-image removes
    straight pieces with an even square cross-section (its issue 3757).
    """
    thinned = skeletonize(inside)
    pieces, count = number_pieces(inside)
    vanished = np.ones(count + 1, dtype=bool)
    vanished[0] = False
    vanished[pieces[thinned]] = False
    line: np.ndarray = thinned | vanished[pieces]
    return line
