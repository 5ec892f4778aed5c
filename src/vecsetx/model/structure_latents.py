"""Latents that belong to structures and not to points of theirs.

Anchored latents lie where a heart is observed. A structure without any observed point has none, and
what a model knows of it has to travel in those of its neighbours. *Structure latents* give it a
place of its own, whether it is observed or not, as the learned tokens of each structure do in
VecHeart (arXiv 2604.19403).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_FARTHEST = 0.5
"""Where they lie at first, at most so many units from the centre along each axis."""


class StructureLatents(nn.Module):
    """A few learned tokens of each structure, at places that follow what is observed.

    A token starts with learned features at a learned place, looks at the observed points like any
    other latent of the set, and then moves by a linear function of what it saw.

    Args:
        each: Tokens of a structure.
        structures: K.
        width: Channels of the tokens.
    """

    def __init__(self, each: int, structures: int, width: int) -> None:
        super().__init__()
        count = each * structures
        self.tokens = nn.Parameter(torch.randn(count, width))
        self.places = nn.Parameter((2 * torch.rand(count, 3) - 1) * _FARTHEST)
        self.to_shift = nn.Linear(width, 3)
        nn.init.zeros_(self.to_shift.weight)
        nn.init.zeros_(self.to_shift.bias)

    def beside(
        self, tokens: Float[Tensor, "b m c"], positions: Float[Tensor, "b m 3"]
    ) -> tuple[Float[Tensor, "b n c"], Float[Tensor, "b n 3"]]:
        """Anchored tokens and their positions (units), and then the structures' own."""
        hearts = len(tokens)
        return (
            torch.cat([tokens, self.tokens.to(tokens).expand(hearts, -1, -1)], dim=1),
            torch.cat([positions, self.places.to(positions).expand(hearts, -1, -1)], dim=1),
        )

    def moved(
        self, tokens: Float[Tensor, "b n c"], positions: Float[Tensor, "b n 3"]
    ) -> Float[Tensor, "b n 3"]:
        """Positions once all tokens have looked: the structures' own have moved."""
        anchored = tokens.shape[1] - len(self.tokens)
        shift = self.to_shift(tokens[:, anchored:]).to(positions)
        return torch.cat([positions[:, :anchored], positions[:, anchored:] + shift], dim=1)
