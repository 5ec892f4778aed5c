"""Bottlenecks: compress tokens to latents between encoder and trunk."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vecsetx.model.attention import at_least_single

__all__ = ["Compressed", "KLBottleneck", "NoBottleneck", "NormalizedBottleneck"]


@dataclass(frozen=True, slots=True)
class Compressed:
    """The output of a bottleneck.

    Attributes:
        latents: ``[B, M, Z]``.
        penalty: ``[B]`` loss for the latents' distance from a prior; 0 without a prior.
    """

    latents: Float[Tensor, "b m z"]
    penalty: Float[Tensor, " b"]


class NormalizedBottleneck(nn.Module):
    """Few channels per latent, normalised to mean 0 and variance 1 over the channels.

    The normalisation fixes the latents' scale, so no penalty is needed to keep them bounded (LaGeM,
    Zhang and Wonka, arXiv 2410.01295).

    Args:
        width: Channels of the tokens.
        channels: Channels of the latents.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.narrow = nn.Linear(width, channels)
        self.widen = nn.Linear(channels, width)

    def compress(self, tokens: Float[Tensor, "b m c"]) -> Compressed:
        """Tokens to latents."""
        latents = functional.layer_norm(self.narrow(tokens), (self.channels,))
        return Compressed(latents, latents.new_zeros(len(latents)))

    def expand(self, latents: Float[Tensor, "b m z"]) -> Float[Tensor, "b m c"]:
        """Latents to tokens."""
        return self.widen(latents)


class KLBottleneck(nn.Module):
    """Few channels per latent, each a normal distribution near the standard one.

    In training mode the latents are sampled, ``μ + σ·ε``; in evaluation mode they are the means μ.
    The penalty is the Kullback–Leibler divergence ``½(μ² + σ² − 1 − ln σ²)``, averaged over
    latents and channels (3DShape2VecSet, Zhang et al., arXiv 2301.11445, eq. 8; Kingma and
    Welling, arXiv 1312.6114).

    Args:
        width: Channels of the tokens.
        channels: Channels of the latents.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, 2 * channels)
        self.widen = nn.Linear(channels, width)

    def compress(self, tokens: Float[Tensor, "b m c"]) -> Compressed:
        """Tokens to latents; in training, with noise from torch's global generator."""
        # Near the prior the penalty's terms nearly cancel, too closely for half precision.
        mean, log_variance = at_least_single(self.narrow(tokens)).chunk(2, dim=-1)
        log_variance = log_variance.clamp(*_LOG_VARIANCES)
        variance = log_variance.exp()
        penalty = 0.5 * (mean.square() + variance - 1 - log_variance).mean(dim=(1, 2))
        if self.training:
            return Compressed(mean + variance.sqrt() * torch.randn_like(mean), penalty)
        return Compressed(mean, penalty)

    def expand(self, latents: Float[Tensor, "b m z"]) -> Float[Tensor, "b m c"]:
        """Latents to tokens."""
        return self.widen(latents)


class NoBottleneck(nn.Module):
    """No compression: the tokens themselves are the latents."""

    def compress(self, tokens: Float[Tensor, "b m c"]) -> Compressed:
        """Return the tokens unchanged, without a penalty."""
        return Compressed(tokens, tokens.new_zeros(len(tokens)))

    def expand(self, latents: Float[Tensor, "b m c"]) -> Float[Tensor, "b m c"]:
        """Return the latents unchanged."""
        return latents


_LOG_VARIANCES = (-30.0, 20.0)  # beyond these, exp overflows or its gradient vanishes
