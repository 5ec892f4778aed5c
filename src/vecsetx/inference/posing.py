"""Turn a heart into the pose in which a model was trained."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch

from vecsetx.anatomy.frame import UPRIGHT, Frame, Rotation
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.pose import CHAMBERS, Pose, poses
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe

__all__ = ["pose_remarks", "rotation_of"]

_UNUSUAL_DEG = 60.0
"""Scans are taken at smaller angles to each other: kcl, MM-WHS and the Visible Human at 17 to
28°."""


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


def pose_remarks(frame: Frame, shown: Collection[str]) -> tuple[str, ...]:
    """Return what the user should know of a heart's pose.

    Args:
        frame: The frame in which the heart was encoded.
        shown: Names of the structures that it shows.
    """
    # Fewer chambers may have two poses that differ by more.
    if frame.angle_deg < _UNUSUAL_DEG or len(set(CHAMBERS) & set(shown)) < 3:
        return ()
    return (
        f"lies turned by {frame.angle_deg:.0f}° from the model's training hearts; the model is "
        "shown it turned back, and the results lie as the input does: check that its header names "
        "the right axes",
    )


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
