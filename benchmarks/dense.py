"""The slow, obvious twin of the octree: a descent that evaluates every voxel."""

import numpy as np

from vecsetx.anatomy import sign
from vecsetx.reconstruction.distance_field import DistanceField, exclusive_distances
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import Descent, Level, evaluate_dense


def dense_descent(field: DistanceField, grid: Grid) -> Descent:
    """What :func:`descend` would be if it asked for every voxel: the reference it is held to."""
    distances = evaluate_dense(field, grid)
    labels = sign.label_of(distances).astype(np.uint8)
    exclusive = exclusive_distances(distances.reshape(grid.voxels, -1))
    blocks = np.argwhere(np.ones(grid.shape, dtype=bool)).astype(np.int32)
    level = Level(np.ones(3, dtype=int), blocks, labels.ravel(), exclusive)
    return Descent(grid, field.structures, (level,), labels)
