"""What is kept of a latent set between encoder and trunk."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class NormalizedBottleneck(nn.Module):
    """Few channels per latent, normalised to mean 0 and variance 1 over the channels.

    The latent's scale is fixed, so that no penalty is needed to keep it bounded (LaGeM, Zhang and
    Wonka, arXiv 2410.01295).
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.narrow = nn.Linear(width, channels)
        self.widen = nn.Linear(channels, width)

    def compress(self, tokens: Float[Tensor, "b m c"]) -> Float[Tensor, "b m z"]:
        """Tokens to latents."""
        return functional.layer_norm(self.narrow(tokens), (self.channels,))

    def expand(self, latents: Float[Tensor, "b m z"]) -> Float[Tensor, "b m c"]:
        """Latents to tokens."""
        return self.widen(latents)
