"""Showing a model again what it made of a heart.

Where it is not sure, as of the course of a thin vessel, what it makes of a part of a heart has
gaps. It learned to fill those of what it is shown, and so fills its own: the recycling of
Jumper et al., Highly accurate protein structure prediction with AlphaFold, Nature 2021;596:583-589.
"""

import numpy as np

from vecsetx.inference.completion import CompletedField
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import find_extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.sampler import Observation, observe

VOXEL_MM = 1.25
"""Grid on which what the model made becomes surfaces."""

_ROOM_VOXELS = 4
"""Around the heart, so that no structure reaches the edge of the grid."""


def recycle(
    observation: Observation,
    shown: Geometry | Observation,
    field: HeartField,
    trained: TrainedModel,
    seed: int,
) -> Observation:
    """What a model was shown of a heart, with points on what it inferred.

    Points on what is observed stay as they are, but for as many as are added, if ``shown`` is
    structures in space; labelled points all stay. What is inferred has as many points as it would
    have if it were observed.

    Args:
        observation: What the model was shown.
        shown: What that was drawn from.
        field: What the model made of it.
        trained: The model.
        seed: Seed of the draw.

    Returns:
        The observation itself if nothing was inferred, or nothing was made at all.
    """
    made: DistanceField = field
    found_mm = find_extent_mm(field, *field.domain.domain_mm())
    if found_mm is None:
        return observation
    corners_mm = [*found_mm]
    if isinstance(shown, Geometry):
        made = CompletedField.of(field, shown)
        visibility = made.visibility
        corners_mm += [*made.corners_mm()]
    else:
        visibility = Visibility.of_points(observation.structure, len(trained.structures))
    room_mm = _ROOM_VOXELS * VOXEL_MM
    low_mm, high_mm = np.min(corners_mm, axis=0) - room_mm, np.max(corners_mm, axis=0) + room_mm
    label_map = rasterize(made, Grid.around(low_mm, high_mm, VOXEL_MM))
    if not label_map.labels.any():
        return observation
    whole = Geometry.of_label_map(label_map, len(trained.structures))
    drawn = observe(whole, len(observation.points_mm), trained.mm_per_unit, seed)
    inferred = ~visibility.observed_points(drawn.points_mm, drawn.structure)
    if not inferred.any():
        return observation
    kept = slice(None if isinstance(shown, Observation) else int((~inferred).sum()))
    points_mm = np.concatenate([observation.points_mm[kept], drawn.points_mm[inferred]])
    structure = np.concatenate([observation.structure[kept], drawn.structure[inferred]])
    normals = None
    if observation.normals is not None and drawn.normals is not None:
        normals = np.concatenate([observation.normals[kept], drawn.normals[inferred]])
    order = np.random.default_rng(seed).permutation(len(points_mm))
    return Observation(
        points_mm[order],
        structure[order],
        None if normals is None else normals[order],
        drawn.frame,
    )
