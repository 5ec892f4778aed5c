"""Anchored attention in half precision: float16 channels for a fused kernel, and their gradients.

On a GPU's tensor cores, fused kernels multiply 16-bit numbers exactly, sum in float32, and round
their output to 16 bits. float16 has 11 significant bits, bfloat16 has 8. Even float16 is too coarse
for positions as they are. Below, u = 2⁻¹¹ is the largest relative error of a rounded number, and R
is half the extent of the keys along an axis.

*Logits.* Positions are taken from the middle of the keys. With a power of two p near √α, a query
has the channels A = 2αx_q/p, p and m = −α|x_q|²/p, a key has X = p·x_k, n = −α|x_k|²/p and p:

    A·X + p·n + m·p = −α|x_q − x_k|²

with α√d in place of α, as the kernel divides all logits by √d. A, X, n and m are each the sum of a
rounded number and its rounded remainder, so that they err by u², and the logit by at most
u²α(|x_q| + |x_k|)² + 2u²α|x_q||x_k|: 0.0004 for α = 300 and distances of 1 from the middle, beside
the rounding of float32. The features, in bfloat16, err by 0.01. The softmax does not need m, but
the gradients of positions and α do: a query's ∂l should sum to zero over the keys and do so only up
to rounding, which m multiplies by α|x_q − x_k|² instead of α|x|².

*Offset and spread.* The mean position E[x_k] would be rounded to u·R, and α·E|x_k|² to α·u·R²: at
α = 300, a tenth of the spread itself. So the keys' extent is divided into :data:`CELLS` cells per
axis, and the values are x_k − t and (x_k − t)² for the middle t of *each* cell. A query reads the
cell that it lies in. If it attends within this cell, as local heads do, the error is at most
√α·u·R/4 of the offset and α·u·(R/4)²·3 per axis of the spread: 0.002 and 0.03 at α = 300 and
R = 1. Heads of a wide range have small α.

*Planes.* The values are heights v/√α − s·x_k and slopes s. The query multiplies the plane by √α, so
that its error is at most u(|v| + 2√α|s|R).

The layer that reads what was attended also works in float16, where bfloat16 would round more than
the kernel did (:func:`project_in_half`).

*Gradients* would underflow in float16. The backward pass is linear in them: it multiplies those of
each set and head by a power of two, and divides its results by the same power, which rounds
nothing. The power is the largest with which nothing can overflow, and is never read from the GPU.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float16, Float32
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["CELLS", "anchored_in_half", "dot", "project_in_half"]

CELLS = 4
"""Cells per axis for offset and spread."""

_LARGEST = 2.0**15
"""Bound of scaled gradients; float16 ends at 65504."""

_SMALLEST = 2.0**-100
"""Bound from which on gradients count as zero."""

_MULTIPLE = 8
"""Fused kernels need a multiple of this number of channels, equal for queries, keys and values."""


class _Enter(torch.autograd.Function):
    """Rounds the channels of each head to float16, and unscales their gradients.

    The last output is zero; its gradient is the power of two by which :class:`_Leave` scales.
    """

    @staticmethod
    def forward(ctx: Any, heads: int, *values: Tensor) -> tuple[Tensor, ...]:
        ctx.of = [(value.shape, value.dtype) for value in values]
        # What is alike for all heads becomes an output of each, as their gradients differ.
        entered = [value.half().expand(-1, heads, -1, -1) for value in values]
        return *entered, values[0].new_zeros(len(values[0]), heads, 1, 1, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *scaled: Tensor) -> tuple[Tensor | None, ...]:
        *gradients, power = scaled
        # Divided in float32, and before the heads are summed: each has its own power.
        return None, *(
            (gradient.float() / power).sum_to_size(shape).to(dtype)
            for gradient, (shape, dtype) in zip(gradients, ctx.of, strict=True)
        )


class _Leave(torch.autograd.Function):
    """Converts what was attended to float32, and scales its gradient for the kernel."""

    @staticmethod
    def forward(
        ctx: Any,
        attended: Tensor,
        power: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float,
    ) -> Tensor:
        ctx.save_for_backward(query, key, value)  # the kernel keeps them anyway
        ctx.scale = scale
        return attended.float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        power = _power(gradient, query, key, value, ctx.scale)
        return (gradient * power).half(), power, None, None, None, None


# The classes' own methods have no types.
_enter: Callable[..., tuple[Tensor, ...]] = _Enter.apply
_leave: Callable[..., Tensor] = _Leave.apply


def _power(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """The largest power of two by which a backward pass can be scaled without overflow.

    For the gradient g_q of a query's output, its weights p_k and logits l_k, with v̂ = max |v_k|:

        ∂l_k = p_k g_q·(v_k − o_q), so |∂l_k| ≤ 2 v̂|g_q| p_k ≤ 2 v̂|g_q|

    With the scale s of the logits, keys sum s·∂l_k q and values p_k g_q over the queries, and
    queries sum s·∂l_k k over the keys. So no entry exceeds Σ_q|g_q| · max(1, 2s v̂ max(|q|∞, |k|∞)).
    """
    entries = [torch.linalg.vector_norm(x, torch.inf, (-2, -1), True) for x in (query, key)]
    longest = torch.linalg.vector_norm(value, 2, -1, True, dtype=torch.float32).amax(-2, True)
    factor = (2 * scale * longest * torch.maximum(*entries).float()).clamp(min=1)
    total = torch.linalg.vector_norm(gradient, 2, -1, True).sum(-2, True)
    return (_LARGEST / (factor * total).clamp(min=_SMALLEST)).log2().floor().exp2()


def anchored_in_half(
    attend: Callable[[Tensor, Tensor, Tensor, float], Tensor],
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b h m d"],
    value: Float[Tensor, "b h m d"],
    query_positions: Float[Tensor, "b n 3"],
    key_positions: Float[Tensor, "b m 3"],
    alpha: Float[Tensor, " h"],
    planes: int,
) -> tuple[Float32[Tensor, "b h n v"], Float32[Tensor, "b h n 4"]]:
    """:func:`~vecsetx.model.attention.anchored_attention` by a kernel in float16.

    Args:
        attend: The kernel: queries, keys, values and scale to what is attended.
        query: As there, in half precision, too; numbers beyond 65504 become infinite.
        key: As there.
        value: As there.
        query_positions: Units.
        key_positions: Units.
        alpha: α of each head, per unit².
        planes: Number of planes.

    Returns:
        As there, in float32.
    """
    x_q, x_k, cells = _from_the_middle(query_positions, key_positions)
    alpha = alpha[:, None, None]  # [H, 1, 1]
    root = alpha.sqrt()
    # 1. The channels of the kernel.
    counts = [value.shape[-1] - 4 * planes, planes, 3 * planes, 6 * CELLS]
    features, height, slope = value.split(counts[:3], dim=-1)
    height = height / root - dot(slope, x_k)
    from_cells = (x_k[..., None] - cells).flatten(-2)  # [B, 1, M, 3 CELLS]
    moments = torch.cat([from_cells, from_cells.square()], dim=-1)
    # The kernel scales all channels, but the bias must not be scaled.
    scale = 1 / math.sqrt(query.shape[-1])
    positions = _PositionChannels.of(x_q, x_k, alpha / scale)
    *values, query, key, a, x, n, m, power = _enter(
        query.shape[1],
        *(features, height, slope, moments),
        *(query, key),
        *(positions.a, positions.x, positions.n, positions.m),
    )
    query, key, value = _padded(*positions.appended(query, key, a, x, n, m), values)
    # 2. The kernel.
    attended = _leave(attend(query, key, value, scale), power, query, key, value, scale)
    features, height, slope, moments, _ = attended.split(
        [*counts, attended.shape[-1] - sum(counts)], dim=-1
    )
    # 3. What it returned, read at the query.
    plane = root * (height + dot(slope, x_q))
    offset, spread = _offset_and_spread(moments, x_q, cells)
    return torch.cat([features, plane], dim=-1), torch.cat([root * offset, alpha * spread], dim=-1)


def project_in_half(
    features: Float32[Tensor, "b n c"], weight: Float[Tensor, "d c"], bias: Float[Tensor, " d"]
) -> Float[Tensor, "b n d"]:
    """A linear layer that computes in float16 and returns what autocast would.

    Its backward pass computes in the returned precision, as autocast's does: gradients in bfloat16
    do not underflow.
    """
    device = features.device.type
    kind = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        return _project(features, weight, bias, kind)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, kind: torch.dtype
    ) -> Tensor:
        half, half_weight = features.half(), weight.half()
        ctx.save_for_backward(half, half_weight)
        ctx.dtypes = features.dtype, weight.dtype, bias.dtype
        return functional.linear(half, half_weight, bias.half()).to(kind)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        features, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        rows = gradient.flatten(0, -2)
        found = gradient @ weight, rows.mT @ features.flatten(0, -2), rows.float().sum(0)
        of_features, of_weight, of_bias = (
            x.to(dtype) for x, dtype in zip(found, ctx.dtypes, strict=True)
        )
        return of_features, of_weight, of_bias, None


_project: Callable[..., Tensor] = _Projection.apply


def dot(slopes: Float[Tensor, "b h n s"], positions: Float[Tensor, "b 1 n 3"]) -> Tensor:
    """Dot product of each slope (three channels) with the position, ``[B, H, N, S / 3]``."""
    return (slopes.unflatten(-1, (-1, 3)) * positions[..., None, :]).sum(-1)


def _from_the_middle(
    query_positions: Float[Tensor, "b n 3"], key_positions: Float[Tensor, "b m 3"]
) -> tuple[
    Float32[Tensor, "b 1 n 3"], Float32[Tensor, "b 1 m 3"], Float32[Tensor, "b 1 1 3 cells"]
]:
    """Positions of queries and keys from the middle of the keys, and the middles of the cells."""
    lowest, highest = key_positions.detach().float().aminmax(dim=1, keepdim=True)
    middle, size = (lowest + highest) / 2, (highest - lowest) / CELLS
    steps = torch.arange(CELLS, device=size.device) - (CELLS - 1) / 2
    cells = size[:, :, None, :, None] * steps
    return (query_positions - middle)[:, None], (key_positions - middle)[:, None], cells


@dataclass(frozen=True, slots=True)
class _PositionChannels:
    """The channels A, X, n, m and p of positions, which the module's docstring defines."""

    a: Float32[Tensor, "b h n 3"]
    x: Float32[Tensor, "b h m 3"]
    n: Float32[Tensor, "b h m 1"]
    m: Float32[Tensor, "b h n 1"]
    p: Float16[Tensor, "h 1 1"]

    @classmethod
    def of(
        cls,
        x_q: Float32[Tensor, "b 1 n 3"],
        x_k: Float32[Tensor, "b 1 m 3"],
        alpha: Float32[Tensor, "h 1 1"],
    ) -> "_PositionChannels":
        # In float16, so that it is the same number everywhere, whatever exp2 rounds.
        half_p = (alpha.detach().log2() / 2).round().exp2().half()
        p = half_p.float()
        n, m = (-alpha / p * x.square().sum(-1, keepdim=True) for x in (x_k, x_q))
        return cls(2 * alpha / p * x_q, p * x_k, n, m, half_p)

    def appended(
        self,
        query: Float16[Tensor, "b h n d"],
        key: Float16[Tensor, "b h m d"],
        a: Float16[Tensor, "b h n 3"],
        x: Float16[Tensor, "b h m 3"],
        n: Float16[Tensor, "b h m 1"],
        m: Float16[Tensor, "b h n 1"],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The features of queries and keys, followed by these channels, given rounded."""
        # The rounded numbers carry the gradients; to these, their remainders are constants.
        a_rest, x_rest, n_rest, m_rest = (
            (exact - rounded).half().detach()
            for exact, rounded in ((self.a, a), (self.x, x), (self.n, n), (self.m, m))
        )
        p_q, p_k = (self.p.expand(*features.shape[:-1], 2) for features in (query, key))
        return [query, a, a, a_rest, a_rest, p_q, m, m_rest], [
            key,
            x,
            x_rest,
            x,
            x_rest,
            n,
            n_rest,
            p_k,
        ]


def _padded(*parts: list[Tensor]) -> list[Tensor]:
    """Join the channels of each list, and pad all to one number that fused kernels take."""
    counts = [sum(part.shape[-1] for part in channels) for channels in parts]
    most = -(-max(counts) // _MULTIPLE) * _MULTIPLE
    return [
        torch.cat(
            [*channels, channels[0].new_zeros(1).expand(*channels[0].shape[:-1], most - count)], -1
        )
        for channels, count in zip(parts, counts, strict=True)
    ]


def _offset_and_spread(
    moments: Float32[Tensor, "b h n m"],
    x_q: Float32[Tensor, "b 1 n 3"],
    cells: Float32[Tensor, "b 1 1 3 cells"],
) -> tuple[Float32[Tensor, "b h n 3"], Float32[Tensor, "b h n 1"]]:
    """``E[x_k] − x_q`` and ``E|x_k − x_q|²``, from the moments about the middle of every cell."""
    from_cells = x_q[..., None] - cells  # [B, 1, N, 3, CELLS]
    nearest = from_cells.detach().abs().argmin(dim=-1, keepdim=True)
    here = torch.arange(CELLS, device=nearest.device) == nearest
    first, second = (
        (moment.unflatten(-1, (3, CELLS)) * here).sum(-1) for moment in moments.chunk(2, dim=-1)
    )
    query = (from_cells * here).sum(-1)
    # E|x_k − x_q|² = E|x_k − t|² − 2 (x_q − t)·E[x_k − t] + |x_q − t|², per axis
    return first - query, (second + query * (query - 2 * first)).sum(-1, keepdim=True)
