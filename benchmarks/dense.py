"""The slow, obvious twin of the octree: a descent that evaluates every voxel."""

import numpy as np

from vecsetx.anatomy import sign
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import ExclusiveOctree, Level, evaluate_dense


def dense_octree(field: DistanceField, grid: Grid) -> ExclusiveOctree:
    """What :func:`evaluate_exclusive` would be if it asked for every voxel: the reference it is held to."""
    distances = evaluate_dense(field, grid)
    labels = sign.label_of(distances).astype(np.uint8)
    exclusive = exclusive_distances(distances.reshape(grid.voxels, -1))
    blocks = np.argwhere(np.ones(grid.shape, dtype=bool)).astype(np.int32)
    level = Level(np.ones(3, dtype=int), blocks, labels.ravel(), exclusive)
    return ExclusiveOctree(grid, field.structures, (level,), labels)
