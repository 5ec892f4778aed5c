"""Farthest-point selection: few points that cover a surface evenly. Deterministic."""

import fpsample
import numpy as np
from jaxtyping import Float, Int, Integer

from vecsetx.errors import InputError


def farthest_points(points: Float[np.ndarray, "n 3"], count: int) -> Int[np.ndarray, " m"]:
    """Indices of ``count`` points: the first, then always the one farthest from those before it.

    Farthest point sampling (Eldar et al., IEEE TIP 1997). All points if there are no more.
    """
    if count >= len(points) or count == 0:
        return np.arange(min(count, len(points)))
    chosen = fpsample.fps_sampling(
        np.ascontiguousarray(points, dtype=np.float32), count, start_idx=0
    )
    return chosen.astype(np.int64)


def anchors_by_structure(
    points: Float[np.ndarray, "n 3"], structure: Integer[np.ndarray, " n"], count: int
) -> Int[np.ndarray, " m"]:
    """Indices of ``count`` anchors: as equal a share as possible for every structure present.

    Within a structure the anchors are farthest points. A structure with fewer points than its share
    gives all of them, and the others take over the rest.

    Raises:
        InputError: Fewer than ``count`` points.
    """
    if count > len(points):
        raise InputError(
            f"{count} latents need as many surface points at least, not {len(points)}; ask for "
            "more points or fewer latents"
        )
    present, available = np.unique(structure, return_counts=True)
    shares = np.zeros(len(present), dtype=np.int64)
    for left in range(len(present), 0, -1):  # those with the fewest points first
        k = np.argsort(available, kind="stable")[len(present) - left]
        shares[k] = min(available[k], (count - shares.sum()) // left)
    chosen = []
    for label, share in zip(present, shares, strict=True):
        of_structure = np.flatnonzero(structure == label)
        chosen.append(of_structure[farthest_points(points[of_structure], int(share))])
    return np.concatenate(chosen)
