"""How prepared hearts lie: a reference heart among them, and the rotation of each onto it."""

import logging
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from vecsetx.anatomy.frame import UPRIGHT, Rotation
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.errors import InputError
from vecsetx.geometry.pose import POINTS, ReferenceHeart, centroid_pose, poses
from vecsetx.sampling.samples import SamplesFile

__all__ = ["choose_reference", "rotations_onto"]

_log = logging.getLogger(__name__)

_CANDIDATES = 32
"""Hearts among which the reference is chosen, evenly spaced."""

_READ = 8 * POINTS
"""Surface points that are read of each heart."""


def choose_reference(dataset: DataSet, hearts: Sequence[HeartEntry]) -> ReferenceHeart | None:
    """Choose the heart that the others resemble most in how their chambers lie.

    Args:
        dataset: The data set.
        hearts: Its training hearts.

    Returns:
        None if the centroids of no heart's whole chambers fix its pose: then nothing says how the
        others lie.
    """
    step = max(-(-len(hearts) // _CANDIDATES), 1)
    candidates = [_as_reference(dataset.open(heart)) for heart in hearts[::step]]
    candidates = [one for one in candidates if centroid_pose(one, one.centroids_mm)]
    if not candidates:
        return None
    # Those with the most chambers: any other heart shares more with them.
    most = max(len(one.chambers) for one in candidates)
    candidates = [one for one in candidates if len(one.chambers) == most]
    errors = np.zeros((len(candidates), len(candidates)))
    for i, j in combinations(range(len(candidates)), 2):
        pose = centroid_pose(candidates[i], candidates[j].centroids_mm)
        errors[i, j] = errors[j, i] = np.inf if pose is None else pose.error_mm
    return candidates[int(errors.sum(axis=0).argmin())]


def rotations_onto(
    reference: ReferenceHeart | None, files: Sequence[SamplesFile]
) -> list[Rotation]:
    """Return the rotation that turns each heart as the reference lies.

    Args:
        reference: The reference heart; None: nothing is turned.
        files: The hearts. Those of damaged files are not turned.
    """
    return [UPRIGHT if reference is None else _rotation(reference, file) for file in files]


def _rotation(reference: ReferenceHeart, file: SamplesFile) -> Rotation:
    names = file.info.structures
    surface = _surface(file)
    if surface is None:
        return UPRIGHT
    found = poses(reference, *surface, names, np.isin(names, file.info.cut))
    if not found:
        _log.warning(
            "heart %s: shows no structure of the reference heart, so it is not turned",
            file.info.name,
        )
        return UPRIGHT
    return found[0].rotation


def _as_reference(file: SamplesFile) -> ReferenceHeart:
    """Return a heart as a reference, of its whole structures."""
    surface = _surface(file)
    if surface is None:
        return ReferenceHeart({})
    points_mm, structure = surface
    whole = {
        name: points_mm[structure == index][:POINTS]
        for index, name in enumerate(file.info.structures)
        if name not in file.info.cut
    }
    # Where it lies in its scanner says nothing.
    middle = points_mm.mean(axis=0)
    return ReferenceHeart({name: found - middle for name, found in whole.items() if len(found)})


def _surface(file: SamplesFile) -> tuple[np.ndarray, np.ndarray] | None:
    """Return surface points and their structures; None for a damaged file.

    Whoever draws from that file reports it.
    """
    try:
        surface = file.part((0, min(_READ, file.count("surface"))), (0, 0), (0, 0)).surface
    except InputError:
        return None
    points_mm = np.ascontiguousarray(surface.points_mm)
    if not np.isfinite(points_mm).all():
        return None
    return points_mm, surface.structure.astype(np.int64)
