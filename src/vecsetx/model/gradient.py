"""Exact spatial gradients of a field, in bounded memory.

A loss on gradients needs their derivatives with respect to every weight: second derivatives, which
fused attention does not have. Reverse-mode differentiation twice through unfused attention would
store every attention weight several times, for all points at once.

Forward-mode differentiation (Wengert, CACM 1964) avoids this: it carries values and *tangents*
along a direction e through the decoder together. For attention with logits l, weights
p = softmax(l) and values v,

    o = Σ pₖ vₖ,    ∂o = Σ pₖ (∂lₖ − Σⱼ pⱼ ∂lⱼ) vₖ + Σ pₖ ∂vₖ,

so three directions give the gradients of all structures, and one backward pass through this is
exact. Only the decoder lies between a query point and its distances. Points pass through it in
small chunks, which the backward pass recomputes (Chen et al., arXiv 1604.06174), so that no
activations are stored. Everything is in single precision: bfloat16 errors would be as large as the
gradients.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_CHUNK_POINTS = 64
"""Points per heart that pass through the decoder together."""


def spatial_gradients(
    field: Callable[[Float[Tensor, "b q 3"]], Float[Tensor, "b q d"]],
    points: Float[Tensor, "b q 3"],
    chunk_points: int = _CHUNK_POINTS,
) -> Float[Tensor, "b q d 3"]:
    """Compute gradients of fields at points, differentiable with respect to all that fields use.

    Args:
        field: Maps points to D values, each of which depends on its own point alone. All its
            operations need forward-mode derivatives: unfused attention has them, fused attention
            does not.
        points: Where to evaluate the gradients, in units.
        chunk_points: Points per heart that are computed together.

    Returns:
        The D gradients at each point, per unit.
    """

    def gradients(chunk: Tensor) -> Tensor:
        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(field, (chunk,), (direction.expand_as(chunk),))[1]

        with torch.autocast(chunk.device.type, enabled=False):
            # The three directions together: [B, Q, D] along each, stacked to [B, Q, D, 3].
            axes = torch.eye(3, dtype=chunk.dtype, device=chunk.device)
            return torch.func.vmap(along, out_dims=-1)(axes)

    chunks = points.split(chunk_points, dim=1)
    if not torch.is_grad_enabled():  # validation: there is no backward pass to recompute for
        return torch.cat([gradients(chunk) for chunk in chunks], dim=1)
    checkpointed = [checkpoint(gradients, chunk, use_reentrant=False) for chunk in chunks]
    return torch.cat(checkpointed, dim=1)
