"""Attention, norms and feed-forward layers: the only place that chooses a kernel.

All of it is computed by PyTorch's fused kernels, unless the caller asks for the *plain* way, which
spells it out and has derivatives of every kind: fused attention has no second derivatives (PyTorch
issue 116350), and the forward-mode derivative of the fused norm takes its statistics for constants,
so that differentiating it again gives wrong gradients without a word.

*Anchored* attention knows where its tokens lie, in three ways, each learned per head.

*Reach.* A head adds −α·|x_q − x_k|² to its logits, with α from global to local. Since

    −α|x_q − x_k|² = 2α x_q·x_k − α|x_k|² − α|x_q|²

and the last term is the same for every key, it needs no bias tensor: four more channels in queries
and keys do it, and every fused kernel works.

*Planes.* Some channels of a value are not numbers but linear functions of the query's position
about the key's, v + √α s·(x_q − x_k). Attending to them blends planes by distance, as implicit
moving least squares does with the tangent planes of a point set (Kolluri, "Provably good moving
least squares", SODA 2005), and a signed distance near a surface is just that. Since

    Σ wₖ (vₖ + √α sₖ·(x_q − xₖ)) = Σ wₖ (vₖ − √α sₖ·xₖ) + (Σ wₖ √α sₖ)·x_q

this again needs nothing of the kernel.

*Place.* Every head also returns where it looked, as an offset from the query and a spread.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

ALPHA_RANGE = (1.0, 300.0)
"""First values of α, per unit²: from a reach of about 0.7 units down to 0.04."""

_CHANNELS_PER_PLANE = 8
"""One plane, which takes four channels of a value, for every so many channels of a head."""


class Attention(nn.Module):
    """Multi-head attention from one set of tokens to another, anchored or plain.

    Args:
        width: Channels of the tokens, a multiple of ``heads``.
        heads: Number of heads.
        anchored: Whether positions take part (they must then be given).
    """

    planes: int

    def __init__(self, width: int, heads: int, anchored: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key_value = nn.Linear(width, 2 * width, bias=False)
        self.planes = width // heads // _CHANNELS_PER_PLANE if anchored else 0
        self.to_out = nn.Linear(width - 3 * heads * self.planes, width)
        self.log_alpha: nn.Parameter | None = None
        self.from_offset: nn.Linear | None = None
        if anchored:
            low, high = (math.log(alpha) for alpha in ALPHA_RANGE)
            self.log_alpha = nn.Parameter(torch.linspace(low, high, heads))
            self.from_offset = nn.Linear(4 * heads, width, bias=False)

    def forward(
        self,
        tokens: Float[Tensor, "b n c"],
        context: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b n 3"] | None,
        context_positions: Float[Tensor, "b m 3"] | None,
        plain: bool = False,
    ) -> Float[Tensor, "b n c"]:
        """Let ``tokens`` look at ``context``; positions are in units."""
        query = self._split(self.to_query(tokens))
        key, value = (self._split(part) for part in self.to_key_value(context).chunk(2, dim=-1))
        if self.log_alpha is None or self.from_offset is None:
            seen = attend(query, key, value, 1 / math.sqrt(query.shape[-1]), plain)
            return self.to_out(self._merge(seen))
        if positions is None or context_positions is None:
            raise ValueError("anchored attention needs positions")
        with torch.autocast(tokens.device.type, enabled=False):
            # bf16 would round positions to 0.4 %, several millimetres; these products stay in fp32.
            seen, offset = anchored_attention(
                at_least_single(query),
                at_least_single(key),
                at_least_single(value),
                positions,
                context_positions,
                self.log_alpha.exp(),
                self.planes,
                plain,
            )
        return self.to_out(self._merge(seen)) + self.from_offset(self._merge(offset))

    def _split(self, features: Tensor) -> Tensor:
        return features.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _merge(self, features: Tensor) -> Tensor:
        return features.transpose(1, 2).flatten(-2)


def attend(
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b h m d"],
    value: Float[Tensor, "b h m v"],
    scale: float,
    plain: bool = False,
) -> Float[Tensor, "b h n v"]:
    """``softmax(scale · q kᵀ) v``, by a fused kernel or, if ``plain``, as it is written here."""
    if plain:
        return (scale * query @ key.mT).softmax(dim=-1) @ value
    return functional.scaled_dot_product_attention(query, key, value, scale=scale)


def anchored_attention(
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b h m d"],
    value: Float[Tensor, "b h m d"],
    query_positions: Float[Tensor, "b n 3"],
    key_positions: Float[Tensor, "b m 3"],
    alpha: Float[Tensor, " h"],
    planes: int,
    plain: bool = False,
) -> tuple[Float[Tensor, "b h n v"], Float[Tensor, "b h n 4"]]:
    """Attention with logits ``q·k/√d − α|x_q − x_k|²``, in one call of :func:`attend`.

    Args:
        query: Features of N tokens in B sets and H heads.
        key: Features of the M tokens that they look at.
        value: D channels: numbers, then ``planes`` heights v, then as many slopes s of three.
        query_positions: Units.
        key_positions: Units.
        alpha: Per head.
        planes: P.
        plain: As for :func:`attend`.

    Returns:
        The attended values, ``D − 3P`` channels of which the last P are the blended planes at the
        query; and for every head the offset √α·(E[x_k] − x_q) and the spread α·E|x_k − x_q|² under
        its attention weights.
    """
    alpha = alpha[:, None, None]
    root = alpha.sqrt()
    x_q, x_k = query_positions[:, None], key_positions[:, None]
    square = x_k.square().sum(-1, keepdim=True)
    heads = query.shape[1]
    query_channels = torch.cat([2 * alpha * x_q, torch.ones_like(alpha * x_q[..., :1])], dim=-1)
    key_channels = torch.cat([x_k.expand(-1, heads, -1, -1), -alpha * square], dim=-1)
    value_channels = torch.cat([x_k, square], dim=-1).expand(-1, heads, -1, -1)
    numbers, height, slope = value.split([value.shape[-1] - 4 * planes, planes, 3 * planes], dim=-1)
    slope = root * slope
    height = height - _dot(slope, x_k)
    seen = attend(
        torch.cat([query / math.sqrt(query.shape[-1]), query_channels], dim=-1),
        torch.cat([key, key_channels], dim=-1),
        torch.cat([numbers, height, slope, value_channels], dim=-1),
        1.0,
        plain,
    )
    numbers, height, slope, mean, mean_square = seen.split(
        [numbers.shape[-1], planes, 3 * planes, 3, 1], dim=-1
    )
    attended = torch.cat([numbers, height + _dot(slope, x_q)], dim=-1)
    # E|x_k − x_q|² = E|x_k|² − 2 x_q·E[x_k] + |x_q|²
    spread = mean_square + (x_q * (x_q - 2 * mean)).sum(-1, keepdim=True)
    return attended, torch.cat([root * (mean - x_q), alpha * spread], dim=-1)


def at_least_single(values: Tensor) -> Tensor:
    """Half-precision numbers in single precision; others as they are."""
    return values.float() if values.itemsize < 4 else values


def _dot(slopes: Float[Tensor, "b h n s"], positions: Float[Tensor, "b 1 n 3"]) -> Tensor:
    """Product of every slope (three channels each) with the position, ``[B, H, N, S / 3]``."""
    return (slopes.unflatten(-1, (-1, 3)) * positions[..., None, :]).sum(-1)


class LayerNorm(nn.LayerNorm):
    """Mean 0 and variance 1 over the channels, then scale and shift (Ba et al., 1607.06450)."""

    def forward(
        self, tokens: Float[Tensor, "b n c"], plain: bool = False
    ) -> Float[Tensor, "b n c"]:
        """Normalise each token by itself."""
        if not plain:
            return super().forward(tokens)
        centred = tokens - tokens.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred * (variance + self.eps).rsqrt() * self.weight + self.bias


class FeedForward(nn.Module):
    """Gated feed-forward, ``W₂(a · gelu(b))`` with ``a, b = W₁x`` (Shazeer, arXiv 2002.05202)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * expansion * width)
        self.contract = nn.Linear(expansion * width, width)

    def forward(self, tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Transform each token by itself."""
        value, gate = self.expand(tokens).chunk(2, dim=-1)
        return self.contract(value * functional.gelu(gate))


class Block(nn.Module):
    """Pre-norm attention to a context (or to the tokens themselves), then a feed-forward layer.

    An ``expansion`` of 0 leaves the feed-forward layer out.
    """

    def __init__(self, width: int, heads: int, expansion: int, anchored: bool) -> None:
        super().__init__()
        self.norm_tokens = LayerNorm(width)
        self.norm_context = LayerNorm(width)
        self.attention = Attention(width, heads, anchored)
        self.norm_hidden = LayerNorm(width) if expansion else None
        self.feed_forward = FeedForward(width, expansion) if expansion else None

    def forward(
        self,
        tokens: Float[Tensor, "b n c"],
        context: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b n 3"] | None,
        context_positions: Float[Tensor, "b m 3"] | None,
        plain: bool = False,
    ) -> Float[Tensor, "b n c"]:
        """Refine ``tokens`` by what they see in ``context``."""
        tokens = tokens + self.attention(
            self.norm_tokens(tokens, plain),
            self.norm_context(context, plain),
            positions,
            context_positions,
            plain,
        )
        if self.norm_hidden is None or self.feed_forward is None:
            return tokens
        return tokens + self.feed_forward(self.norm_hidden(tokens, plain))
