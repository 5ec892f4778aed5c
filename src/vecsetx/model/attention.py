"""Attention, the only place that chooses a kernel, and the feed-forward layer.

*Anchored* attention knows where its tokens lie: every head adds −α·|x_q − x_k|² to its logits, with
α learned per head, from global to local. Since

    −α|x_q − x_k|² = 2α x_q·x_k − α|x_k|² − α|x_q|²

and the last term is the same for every key, it needs no bias tensor: four more channels in queries
and keys do it, and every fused kernel works. The same four channels in the values return what each
head looked at, as an offset from the query and a spread.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

ALPHA_RANGE = (1.0, 300.0)
"""First values of α, per unit²: from a reach of about 0.7 units down to 0.04."""


class Attention(nn.Module):
    """Multi-head attention from one set of tokens to another, anchored or plain.

    Args:
        width: Channels of the tokens, a multiple of ``heads``.
        heads: Number of heads.
        anchored: Whether positions take part (they must then be given).
    """

    def __init__(self, width: int, heads: int, anchored: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key_value = nn.Linear(width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width)
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
    ) -> Float[Tensor, "b n c"]:
        """Let ``tokens`` look at ``context``; positions are in units."""
        query = self._split(self.to_query(tokens))
        key, value = (self._split(part) for part in self.to_key_value(context).chunk(2, dim=-1))
        if self.log_alpha is None or self.from_offset is None:
            seen = functional.scaled_dot_product_attention(query, key, value)
            return self.to_out(self._merge(seen))
        if positions is None or context_positions is None:
            raise ValueError("anchored attention needs positions")
        with torch.autocast(tokens.device.type, enabled=False):
            # bf16 would round positions to 0.4 %, several millimetres; these products stay in fp32.
            seen, offset = anchored_attention(
                query.float(),
                key.float(),
                value.float(),
                positions.float(),
                context_positions.float(),
                self.log_alpha.exp(),
            )
        return self.to_out(self._merge(seen)) + self.from_offset(self._merge(offset))

    def _split(self, features: Tensor) -> Tensor:
        return features.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _merge(self, features: Tensor) -> Tensor:
        return features.transpose(1, 2).flatten(-2)


def anchored_attention(
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b h m d"],
    value: Float[Tensor, "b h m d"],
    query_positions: Float[Tensor, "b n 3"],
    key_positions: Float[Tensor, "b m 3"],
    alpha: Float[Tensor, " h"],
) -> tuple[Float[Tensor, "b h n d"], Float[Tensor, "b h n 4"]]:
    """Attention with logits ``q·k/√d − α|x_q − x_k|²``, in one call of a fused kernel.

    Returns:
        The attended values, and for every head the offset √α·(E[x_k] − x_q) and the spread
        α·E|x_k − x_q|² under its attention weights.
    """
    alpha = alpha[:, None, None]
    x_q, x_k = query_positions[:, None], key_positions[:, None]
    square = x_k.square().sum(-1, keepdim=True)
    heads = query.shape[1]
    query_channels = torch.cat([2 * alpha * x_q, torch.ones_like(alpha * x_q[..., :1])], dim=-1)
    key_channels = torch.cat([x_k.expand(-1, heads, -1, -1), -alpha * square], dim=-1)
    value_channels = torch.cat([x_k, square], dim=-1).expand(-1, heads, -1, -1)
    seen = functional.scaled_dot_product_attention(
        torch.cat([query / math.sqrt(query.shape[-1]), query_channels], dim=-1),
        torch.cat([key, key_channels], dim=-1),
        torch.cat([value, value_channels], dim=-1),
        scale=1.0,
    )
    attended, mean, mean_square = seen.split([value.shape[-1], 3, 1], dim=-1)
    # E|x_k − x_q|² = E|x_k|² − 2 x_q·E[x_k] + |x_q|²
    spread = mean_square + (x_q * (x_q - 2 * mean)).sum(-1, keepdim=True)
    return attended, torch.cat([alpha.sqrt() * (mean - x_q), alpha * spread], dim=-1)


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
        self.norm_tokens = nn.LayerNorm(width)
        self.norm_context = nn.LayerNorm(width)
        self.attention = Attention(width, heads, anchored)
        self.feed_forward = (
            nn.Sequential(nn.LayerNorm(width), FeedForward(width, expansion)) if expansion else None
        )

    def forward(
        self,
        tokens: Float[Tensor, "b n c"],
        context: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b n 3"] | None,
        context_positions: Float[Tensor, "b m 3"] | None,
    ) -> Float[Tensor, "b n c"]:
        """Refine ``tokens`` by what they see in ``context``."""
        tokens = tokens + self.attention(
            self.norm_tokens(tokens), self.norm_context(context), positions, context_positions
        )
        return tokens if self.feed_forward is None else tokens + self.feed_forward(tokens)
