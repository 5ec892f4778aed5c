"""From a distance field to a label map on any grid."""

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.progress import stage
from vecsetx.reconstruction.distance_field import DistanceField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_exclusive


def rasterize(field: DistanceField, like: Grid | LabelMap) -> LabelMap:
    """Label every voxel with the structure that its centre is deepest inside.

    Args:
        field: The field to rasterize.
        like: The grid, or a label map on that grid (usually the input).

    Returns:
        Labels 1…K in the order of the field's structures, 0 for background, uint8.
    """
    grid = Grid.of(like) if isinstance(like, LabelMap) else like
    with stage("label map"):
        return LabelMap(evaluate_exclusive(field, grid).labels, grid.affine)
