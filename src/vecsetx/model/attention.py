"""Attention, normalisation and feed-forward layers. Kernels are chosen here and nowhere else.

By default, PyTorch's fused kernels compute everything. With ``unfused=True``, attention and
normalisation are written out instead, so that they have derivatives of every kind: fused attention
has no second derivatives (PyTorch issue 116350), and the forward-mode derivative of the fused norm
treats its statistics as constants, so that differentiating it again silently gives wrong gradients.

*Anchored* attention uses the positions of its tokens in three ways, each learned per head.

*Distance bias.* A head adds −α·|x_q − x_k|² to its logits; α ranges from global to local. Since

    −α|x_q − x_k|² = 2α x_q·x_k − α|x_k|² − α|x_q|²

and the last term is the same for every key, no bias tensor is needed: four extra channels in
queries and keys are enough, and every fused kernel works.

*Planes.* Some value channels are not constants but linear functions of the query's position
relative to the key's, v + √α s·(x_q − x_k). Attending to them blends planes by distance, as
implicit moving least squares does with the tangent planes of a point set (Kolluri, "Provably good
moving least squares", SODA 2005). A signed distance near a surface is such a blend. Since

    Σ wₖ (vₖ + √α sₖ·(x_q − xₖ)) = Σ wₖ (vₖ − √α sₖ·xₖ) + (Σ wₖ √α sₖ)·x_q

this, too, works with any kernel.

*Attended position.* Every head also returns where it attended: the mean offset from the query and
the spread around it.

Under autocast, anchored attention runs in float16 on NVIDIA's GPUs
(:mod:`vecsetx.model.half_attention`), and elsewhere in float32.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vecsetx.model.half_attention import anchored_in_half, dot, project_in_half

__all__ = [
    "Attention",
    "Block",
    "FeedForward",
    "LayerNorm",
    "anchored_attention",
    "at_least_single",
    "attend",
]

_ALPHA_RANGE = (1.0, 300.0)
"""Initial values of α, per unit²: from a range of about 0.7 units down to 0.04."""

_CHANNELS_PER_PLANE = 8
"""Channels of a head per plane; each plane takes four of the value's channels."""


class Attention(nn.Module):
    """Multi-head attention from one set of tokens to another, anchored or standard.

    Args:
        width: Channels of the tokens, a multiple of ``heads``.
        heads: Number of heads.
        anchored: Whether attention uses positions; the forward pass then requires them.

    Attributes:
        in_half: Whether anchored attention computes in float16 under autocast; None: on NVIDIA's
            GPUs. It is no part of saved models.
    """

    in_half: bool | None = None
    planes: int

    def __init__(self, width: int, heads: int, anchored: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key_value = nn.Linear(width, 2 * width, bias=False)
        self.planes = width // heads // _CHANNELS_PER_PLANE if anchored else 0
        # Evaluating a plane at the query turns its four channels into one.
        self.to_out = nn.Linear(width - 3 * heads * self.planes, width)
        self.log_alpha: nn.Parameter | None = None
        self.from_offset: nn.Linear | None = None
        if anchored:
            low, high = (math.log(alpha) for alpha in _ALPHA_RANGE)
            # One range per head, from global to local; the logarithm keeps α positive.
            self.log_alpha = nn.Parameter(torch.linspace(low, high, heads))
            self.from_offset = nn.Linear(4 * heads, width, bias=False)

    def forward(
        self,
        tokens: Float[Tensor, "b n c"],
        context: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b n 3"] | None,
        context_positions: Float[Tensor, "b m 3"] | None,
        unfused: bool = False,
    ) -> Float[Tensor, "b n c"]:
        """Attend from ``tokens`` to ``context``.

        Args:
            tokens: N tokens in each of B sets.
            context: M tokens in each.
            positions: Of the tokens, in units; only anchored attention uses them.
            context_positions: Of the context, in units; only anchored attention uses them.
            unfused: As for :func:`attend`.

        Raises:
            ValueError: Anchored attention got no positions.
        """
        query = self._split(self.to_query(tokens))
        key, value = (self._split(part) for part in self.to_key_value(context).chunk(2, dim=-1))
        if self.log_alpha is None or self.from_offset is None:
            attended = attend(query, key, value, 1 / math.sqrt(query.shape[-1]), unfused)
            return self.to_out(self._merge(attended))
        if positions is None or context_positions is None:
            raise ValueError("anchored attention needs positions")
        half = not unfused and self._runs_in_half(tokens.device)
        if not half:
            # Under autocast these are in bf16, which would round positions to several millimetres.
            query, key, value = map(at_least_single, (query, key, value))
        with torch.autocast(tokens.device.type, enabled=False):
            attended, offset = anchored_attention(
                query,
                key,
                value,
                positions,
                context_positions,
                self.log_alpha.exp(),
                self.planes,
                unfused,
                half,
            )
        attended, offset = self._merge(attended), self._merge(offset)
        if half:
            weight = torch.cat([self.to_out.weight, self.from_offset.weight], dim=1)
            return project_in_half(torch.cat([attended, offset], -1), weight, self.to_out.bias)
        return self.to_out(attended) + self.from_offset(offset)

    def _runs_in_half(self, device: torch.device) -> bool:
        if not torch.is_autocast_enabled(device.type):
            return False
        # ROCm's GPUs are named cuda as well.
        on_nvidia = device.type == "cuda" and torch.version.hip is None
        return on_nvidia if self.in_half is None else self.in_half

    def _split(self, features: Tensor) -> Tensor:
        return features.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _merge(self, features: Tensor) -> Tensor:
        return features.transpose(1, 2).flatten(-2)


def attend(
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b h m d"],
    value: Float[Tensor, "b h m v"],
    scale: float,
    unfused: bool = False,
) -> Float[Tensor, "b h n v"]:
    """Compute ``softmax(scale · q kᵀ) v``, with a fused kernel or, if ``unfused``, step by step."""
    if unfused:
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
    unfused: bool = False,
    half: bool = False,
) -> tuple[Float[Tensor, "b h n v"], Float[Tensor, "b h n 4"]]:
    """Attend with logits ``q·k/√d − α|x_q − x_k|²``, in one call of :func:`attend`.

    The module's docstring derives the formulas.

    Args:
        query: Features of N tokens in B sets and H heads.
        key: Features of the M tokens that they attend to.
        value: D channels: ordinary ones, then P heights v, then P slopes s of three channels each.
        query_positions: Units.
        key_positions: Units.
        alpha: α of each head, per unit².
        planes: Number of planes P.
        unfused: As for :func:`attend`.
        half: Whether the call is in float16 (:mod:`vecsetx.model.half_attention`).

    Returns:
        The attended values, ``D − 3P`` channels, the last P of which are the blended planes at the
        query; and, per head, the offset √α·(E[x_k] − x_q) and the spread α·E|x_k − x_q|² under its
        attention weights.
    """
    if half:
        return anchored_in_half(
            attend, query, key, value, query_positions, key_positions, alpha, planes
        )
    alpha = alpha[:, None, None]  # [H, 1, 1]
    root = alpha.sqrt()
    x_q, x_k = query_positions[:, None], key_positions[:, None]
    square = x_k.square().sum(-1, keepdim=True)
    heads = query.shape[1]
    # Distance bias: (2α x_q, 1)·(x_k, −α|x_k|²) is −α|x_q − x_k|² up to a constant of the query,
    # which the softmax cancels.
    query_channels = torch.cat([2 * alpha * x_q, torch.ones_like(alpha * x_q[..., :1])], dim=-1)
    key_channels = torch.cat([x_k.expand(-1, heads, -1, -1), -alpha * square], dim=-1)
    # Attended position: attention averages x_k and |x_k|² like any other value channel.
    value_channels = torch.cat([x_k, square], dim=-1).expand(-1, heads, -1, -1)
    # Planes, key side: each becomes a height at the origin, v − √α s·x_k, and a slope √α s.
    features, height, slope = value.split(
        [value.shape[-1] - 4 * planes, planes, 3 * planes], dim=-1
    )
    slope = root * slope
    height = height - dot(slope, x_k)
    # A single call attends with all channels. The bias must not be scaled, but the features must:
    # they are scaled here, and the call has scale 1.
    attended = attend(
        torch.cat([query / math.sqrt(query.shape[-1]), query_channels], dim=-1),
        torch.cat([key, key_channels], dim=-1),
        torch.cat([features, height, slope, value_channels], dim=-1),
        1.0,
        unfused,
    )
    features, height, slope, mean, mean_square = attended.split(
        [features.shape[-1], planes, 3 * planes, 3, 1], dim=-1
    )
    # Planes, query side: evaluate the blended planes at x_q.
    attended = torch.cat([features, height + dot(slope, x_q)], dim=-1)
    # E|x_k − x_q|² = E|x_k|² − 2 x_q·E[x_k] + |x_q|²
    spread = mean_square + (x_q * (x_q - 2 * mean)).sum(-1, keepdim=True)
    # √α and α make offset and spread relative to the head's range, and so free of units.
    return attended, torch.cat([root * (mean - x_q), alpha * spread], dim=-1)


def at_least_single(values: Tensor) -> Tensor:
    """Convert half-precision values to single precision; leave others unchanged."""
    return values.float() if values.itemsize < 4 else values


class LayerNorm(nn.LayerNorm):
    """Layer normalisation over the channels (Ba et al., arXiv 1607.06450).

    The same as PyTorch's, except that ``unfused=True`` writes it out (see the module's docstring).
    """

    def forward(
        self, tokens: Float[Tensor, "b n c"], unfused: bool = False
    ) -> Float[Tensor, "b n c"]:
        """Normalise each token on its own."""
        if not unfused:
            return super().forward(tokens)
        # As nn.LayerNorm: the variance is the biased one.
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
        """Transform each token on its own."""
        value, gate = self.expand(tokens).chunk(2, dim=-1)
        return self.contract(value * functional.gelu(gate))


class Block(nn.Module):
    """Pre-norm attention to a context (or to the tokens themselves), then a feed-forward layer.

    Args:
        width: Channels of the tokens.
        heads: Number of heads.
        expansion: Hidden channels of the feed-forward layer, as a multiple of ``width``; 0 for no
            feed-forward layer.
        anchored: Whether attention uses positions.
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
        unfused: bool = False,
    ) -> Float[Tensor, "b n c"]:
        """Update ``tokens`` from ``context``; arguments as for :meth:`Attention.forward`."""
        tokens = tokens + self.attention(
            self.norm_tokens(tokens, unfused),
            self.norm_context(context, unfused),
            positions,
            context_positions,
            unfused,
        )
        if self.norm_hidden is None or self.feed_forward is None:
            return tokens
        return tokens + self.feed_forward(self.norm_hidden(tokens, unfused))
