"""Deterministic farthest-point sampling: a few points that cover a surface evenly."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vecsetx.errors import InputError

__all__ = ["anchors_by_structure"]


@torch.no_grad()
def anchors_by_structure(
    points: Float[Tensor, "b n 3"], structure: Int[Tensor, "b n"], count: int
) -> Int[Tensor, "b m"]:
    """Choose ``count`` anchors of each heart, with equal shares for its structures if possible.

    Within a structure, farthest-point sampling chooses the anchors (Eldar et al., IEEE TIP 1997):
    its first point, then repeatedly the point farthest from those already chosen. If a structure
    has fewer points than its share, all of them are chosen and the other structures share the rest.
    All structures of all hearts are processed in parallel on the points' device.

    Args:
        points: The surface points of B hearts.
        structure: Index of each point's structure, from 0.
        count: Number of anchors M per heart.

    Returns:
        Index of each anchor among its heart's points.

    Raises:
        InputError: There are fewer than ``count`` points.
    """
    hearts, available = structure.shape
    if count > available:
        raise InputError(
            f"{count} latents need at least {count} surface points, not {available}; give more "
            "points or use fewer latents"
        )
    if count == 0:
        return structure[:, :0]
    device = points.device
    # 1. Sort the points by set. A set is one structure of one heart.
    structures = int(structure.max()) + 1
    heart = torch.arange(hearts, device=device)[:, None]
    sets = (structure + structures * heart).flatten()
    order = sets.argsort(stable=True)
    sizes = torch.bincount(sets, minlength=hearts * structures)
    begins = sizes.cumsum(0) - sizes
    # 2. Pad the sets to the same size: a row per set, a column per point.
    row = sets[order]
    column = torch.arange(len(row), device=device) - begins[row]
    placed = points.new_zeros(3, len(sizes), int(sizes.max()))
    placed[:, row, column] = points.flatten(0, 1)[order].T
    nearest = placed.new_full(placed.shape[1:], -1.0)  # padding is never farthest
    nearest[row, column] = torch.inf
    # 3. Choose as many points in every set as the largest share needs. Each point depends only on
    # the earlier ones, so that the first choices of a set are right for any smaller share.
    shares = _shares(sizes.view(hearts, structures), count).view(-1, 1)
    chosen = _farthest(placed, nearest, int(shares.max()))
    # 4. From positions in the sets back to indices among each heart's points.
    taken = torch.arange(chosen.shape[1], device=device) < shares
    anchors = order[(begins[:, None] + chosen)[taken]].view(hearts, count)
    return anchors - available * heart


def _farthest(
    points: Float[Tensor, "3 s n"], nearest: Float[Tensor, "s n"], steps: int
) -> Int[Tensor, "s steps"]:
    """Choose points of all sets in parallel: the first, then the farthest from those chosen so far.

    Args:
        points: The S sets, padded to N points each.
        nearest: Squared distances to the chosen points: infinite for points, −1 for padding.
            Overwritten.
        steps: Number of points to choose per set. Choices beyond a set's size are meaningless.

    Returns:
        Positions of the chosen points in their sets.
    """
    chosen = torch.zeros(points.shape[1], steps, dtype=torch.int64, device=points.device)
    squares = torch.empty_like(points)  # reused in every step, so that nothing is allocated there
    x, y, z = squares
    for step in range(1, steps):
        # Only the last choice can be nearer to a point than the earlier ones are.
        last = chosen[:, step - 1].expand(3, -1)[..., None]
        torch.sub(points, points.gather(2, last), out=squares)
        squares.square_()
        torch.minimum(nearest, x.add_(y).add_(z), out=nearest)
        torch.argmax(nearest, dim=1, out=chosen[:, step])
    return chosen


def _shares(sizes: Int[Tensor, "b k"], count: int) -> Int[Tensor, "b k"]:
    """Return each structure's number of anchors.

    Structures with the fewest points come first: what they cannot use goes to the others.
    """
    ascending, by_size = sizes.sort(dim=1, stable=True)
    left = torch.full_like(sizes[:, 0], count)
    others = (sizes > 0).sum(dim=1)
    shares = torch.zeros_like(sizes)
    for place in range(sizes.shape[1]):
        available = ascending[:, place]
        share = torch.minimum(available, left // others.clamp(min=1))
        shares.scatter_(1, by_size[:, place, None], share[:, None])
        left, others = left - share, others - (available > 0).int()
    return shares
