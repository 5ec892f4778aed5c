"""Recycling: feed a model's reconstruction of a partial heart back to it.

Where a model is uncertain, for example about the course of a thin vessel, its completion of a
partial heart has gaps. It has learned to close gaps in its input, so it closes its own gaps when it
receives its completion as input. The idea is the recycling of AlphaFold (Jumper et al., Nature
2021;596:583-589).
"""

import numpy as np

from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import find_extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe

_VOXEL_MM = 1.25
"""Voxel size of the grid on which the reconstruction is meshed."""

_MARGIN_VOXELS = 4
"""Margin around the heart, so that no structure reaches the edge of the grid."""


def recycle(
    observation: Observation,
    observed: Geometry | Observation,
    field: HeartField,
    trained: TrainedModel,
    seed: int,
) -> Observation:
    """Return a model's input with additional points on the parts that it inferred.

    Inferred parts get as many points as they would have if they were observed. If the input was
    sampled from structures in space, the added points replace as many observed ones; if it is
    labelled points, all of these remain.

    Args:
        observation: The model's input.
        observed: The observation that the input was sampled from.
        field: The model's field of this heart.
        trained: The model.
        seed: Seed of the added points.

    Returns:
        The new input; the same input if nothing was inferred, or if the field is empty.
    """
    # 1. The reconstruction, on a grid: where there is geometry, it keeps the observed surfaces.
    reconstruction: DistanceField = field
    found_mm = find_extent_mm(field, *field.domain.domain_mm())
    if found_mm is None:
        return observation
    corners_mm = [*found_mm]
    if isinstance(observed, Geometry):
        reconstruction = CompletedField.of(field, observed)
        visibility = reconstruction.visibility
        corners_mm += [*reconstruction.corners_mm()]
    else:
        visibility = Visibility.of_points(observation.structure, len(trained.structures))
    margin_mm = _MARGIN_VOXELS * _VOXEL_MM
    low_mm, high_mm = np.min(corners_mm, axis=0) - margin_mm, np.max(corners_mm, axis=0) + margin_mm
    label_map = rasterize(reconstruction, Grid.around(low_mm, high_mm, _VOXEL_MM))
    if not label_map.labels.any():
        return observation
    # 2. Sample the whole reconstruction as if it were observed; keep the points on inferred parts.
    whole = Geometry.of_label_map(label_map, len(trained.structures))
    count, rotation = len(observation.points_mm), observation.frame.rotation
    sampled = observe(whole, count, trained.mm_per_unit, seed, rotation)
    inferred = ~visibility.observed_points(sampled.points_mm, sampled.structure)
    if not inferred.any():
        return observation
    # 3. Join them with the input, whose points are in random order, so that any first part of it
    #    is a random choice.
    kept = slice(None if isinstance(observed, Observation) else int((~inferred).sum()))
    points_mm = np.concatenate([observation.points_mm[kept], sampled.points_mm[inferred]])
    structure = np.concatenate([observation.structure[kept], sampled.structure[inferred]])
    normals = None
    if observation.normals is not None and sampled.normals is not None:
        normals = np.concatenate([observation.normals[kept], sampled.normals[inferred]])
    order = np.random.default_rng(seed).permutation(len(points_mm))
    return Observation(
        points_mm[order],
        structure[order],
        None if normals is None else normals[order],
        sampled.frame,
    )
