"""Latents that belong to a structure instead of a surface point.

Anchored latents lie where a heart is observed. A structure without observed points has none, so
that only its neighbours' latents can encode it. *Structure latents* give every structure latents of
its own, observed or not, like the learned tokens per structure of VecHeart (arXiv 2604.19403).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_FARTHEST = 0.5
"""Initial positions lie within this distance of the centre along each axis, units."""


class StructureLatents(nn.Module):
    """A few learned tokens per structure, whose positions adapt to the observation.

    Each token starts with learned features at a learned position, attends to the observed points
    like any other latent, and then moves by a linear function of its features.

    Args:
        per_structure: Number of tokens per structure.
        structures: Number of structures K.
        width: Channels of the tokens.
    """

    def __init__(self, per_structure: int, structures: int, width: int) -> None:
        super().__init__()
        count = per_structure * structures
        self.tokens = nn.Parameter(torch.randn(count, width))
        self.places = nn.Parameter((2 * torch.rand(count, 3) - 1) * _FARTHEST)
        self.to_shift = nn.Linear(width, 3)
        # Without a shift at first, the positions start where they were drawn.
        nn.init.zeros_(self.to_shift.weight)
        nn.init.zeros_(self.to_shift.bias)

    def append_to(
        self, tokens: Float[Tensor, "b m c"], positions: Float[Tensor, "b m 3"]
    ) -> tuple[Float[Tensor, "b n c"], Float[Tensor, "b n 3"]]:
        """Append the structures' tokens and positions to the anchored ones.

        Args:
            tokens: M anchored tokens of each heart.
            positions: Their positions, units.

        Returns:
            Tokens and positions of all latents, the N − M structure latents last.
        """
        hearts = len(tokens)
        return (
            torch.cat([tokens, self.tokens.to(tokens).expand(hearts, -1, -1)], dim=1),
            torch.cat([positions, self.places.to(positions).expand(hearts, -1, -1)], dim=1),
        )

    def move(
        self, tokens: Float[Tensor, "b n c"], positions: Float[Tensor, "b n 3"]
    ) -> Float[Tensor, "b n 3"]:
        """Return all positions, with those of the structure latents moved.

        Args:
            tokens: All tokens after they attended to the observed points.
            positions: Their positions before, units.
        """
        anchored = tokens.shape[1] - len(self.tokens)
        shift = self.to_shift(tokens[:, anchored:]).to(positions)
        return torch.cat([positions[:, :anchored], positions[:, anchored:] + shift], dim=1)
