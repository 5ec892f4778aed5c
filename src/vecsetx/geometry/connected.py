"""Connected pieces of label maps and masks."""

import cc3d
import numpy as np
from jaxtyping import Bool, Integer

__all__ = ["number_pieces"]

_FEW_VOXELS = 27


def number_pieces(
    labels: Integer[np.ndarray, "x y z"] | Bool[np.ndarray, "x y z"],
) -> tuple[Integer[np.ndarray, "x y z"], int]:
    """Number the 26-connected pieces: voxels of one label that touch, if only at a corner.

    Args:
        labels: Labels, or a mask; 0 is background.

    Returns:
        The number of each voxel's piece, 0 in the background, and the number of pieces.
    """
    if labels.size <= _FEW_VOXELS:
        # cc3d fails on three voxels in a row of which the middle one is background.
        numbers, count = cc3d.connected_components(
            np.pad(labels, 1), connectivity=26, return_N=True
        )
        return numbers[1:-1, 1:-1, 1:-1], int(count)
    numbers, count = cc3d.connected_components(labels, connectivity=26, return_N=True)
    return numbers, int(count)
