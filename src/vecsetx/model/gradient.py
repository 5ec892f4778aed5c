"""Exact gradients of a field in space, in bounded memory.

A term of the loss that asks for a gradient needs the derivative of that gradient by every weight:
second derivatives, which fused attention does not have. Differentiating backwards twice through
attention that is written out keeps every weight of it, several times over, for all points at once.

Here the gradient comes out forwards instead. Along a direction e, values and *tangents* are carried
through the decoder together (forward-mode differentiation, Wengert, CACM 1964): for attention with
logits l, weights p = softmax(l) and values v

    o = Σ pₖ vₖ,    ∂o = Σ pₖ (∂lₖ − Σⱼ pⱼ ∂lⱼ) vₖ + Σ pₖ ∂vₖ,

and three directions give the gradients of all structures. One backward pass through this is exact.
Only the decoder lies between a query point and its distances; a few points at a time go through it,
and are computed anew in the backward pass (Chen et al., arXiv 1604.06174), so that nothing of it is
kept. It is computed in single precision: bfloat16 would leave errors as large as the gradient.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_POINTS = 64
"""Points of each heart that go through the decoder together."""


def spatial_gradients(
    field: Callable[[Float[Tensor, "b q 3"]], Float[Tensor, "b q d"]],
    points: Float[Tensor, "b q 3"],
    chunk_points: int = CHUNK_POINTS,
) -> Float[Tensor, "b q d 3"]:
    """Gradients of fields at points, differentiable by everything the fields depend on.

    Args:
        field: D values at each point, which depend on that point alone; computed by operations that
            have forward-mode derivatives, as plain attention has and fused attention has not.
        points: Where.
        chunk_points: Points of each heart that are computed together.
    """

    def gradients(chunk: Tensor) -> Tensor:
        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(field, (chunk,), (direction.expand_as(chunk),))[1]

        with torch.autocast(chunk.device.type, enabled=False):
            axes = torch.eye(3, dtype=chunk.dtype, device=chunk.device)
            return torch.func.vmap(along, out_dims=-1)(axes)

    chunks = points.split(chunk_points, dim=1)
    if not torch.is_grad_enabled():
        return torch.cat([gradients(chunk) for chunk in chunks], dim=1)
    kept = [checkpoint(gradients, chunk, use_reentrant=False) for chunk in chunks]
    return torch.cat(kept, dim=1)
