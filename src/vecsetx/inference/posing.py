"""Turn a heart into the pose in which a model was trained."""

from dataclasses import replace

import numpy as np
import torch

from vecsetx.anatomy.frame import UPRIGHT, Frame, Rotation
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.pose import Pose, poses
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.sampler import Observation, observe

__all__ = ["rotation_of"]


def rotation_of(
    observed: Geometry | Observation,
    trained: TrainedModel,
    seed: int,
) -> Rotation:
    """Return the rotation of a heart's frame.

    If the heart may lie in several poses, because too few of its structures are shown, it is
    encoded in each of them. The pose counts in which the model reconstructs best what it was not
    shown of the observed surfaces.

    Args:
        observed: The observed heart: structures in space, or labelled surface points.
        trained: The model.
        seed: Seed of the points.
    """
    if trained.pose is None:
        return UPRIGHT
    points, cut = _points(observed, trained, seed)
    found = poses(trained.pose, points.points_mm, points.structure, trained.structures, cut)
    if not found:
        return UPRIGHT
    if len(found) > 1:
        found.sort(key=lambda pose: _error(points, trained, pose))
    return found[0].rotation


def _points(
    observed: Geometry | Observation, trained: TrainedModel, seed: int
) -> tuple[Observation, np.ndarray | None]:
    if isinstance(observed, Observation):
        return observed, None
    return observe(observed, 2 * trained.points, trained.mm_per_unit, seed), observed.cut


@torch.no_grad()
def _error(points: Observation, trained: TrainedModel, pose: Pose) -> float:
    """Mean distance of observed points from their own surfaces, mm; half of the points is shown."""
    shown, tested = slice(None, None, 2), slice(1, None, 2)
    scale = points.frame.mm_per_unit
    part = replace(
        points,
        points_mm=points.points_mm[shown],
        structure=points.structure[shown],
        normals=None if points.normals is None else points.normals[shown],
        frame=Frame.around(points.points_mm, scale, pose.rotation),
    )
    spec = trained.network.spec
    latents = min(spec.anchors, len(part.points_mm)) if spec.queries != "learnable" else None
    distances = trained.encode(part, latents).distances_mm(points.points_mm[tested])
    own = points.structure[tested]
    return float(np.abs(distances[np.arange(len(own)), own]).mean())
