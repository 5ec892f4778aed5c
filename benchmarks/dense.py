"""The octree's slow, simple counterpart, which evaluates every voxel."""

import numpy as np

from vecsetx.anatomy import sign
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import ExclusiveOctree, Level, evaluate_dense


def dense_octree(field: DistanceField, grid: Grid) -> ExclusiveOctree:
    """Evaluate every voxel: the reference for ``evaluate_exclusive``."""
    distances = evaluate_dense(field, grid)
    labels = sign.label_of(distances).astype(np.uint8)
    exclusive = exclusive_distances(distances.reshape(grid.voxels, -1))
    blocks = np.argwhere(np.ones(grid.shape, dtype=bool)).astype(np.int32)
    level = Level(np.ones(3, dtype=int), blocks, labels.ravel(), exclusive)
    return ExclusiveOctree(grid, field.structures, (level,), labels)
