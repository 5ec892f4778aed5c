"""From a query point's features to its distances."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

FIRST_DISTANCE = 0.05
"""A new model says "outside" by this many units: most of space is outside most structures."""


class DistanceHead(nn.Module):
    """One signed distance per structure, in units, negative inside."""

    def __init__(self, width: int, structure_count: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, structure_count)
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            self.project.bias.fill_(FIRST_DISTANCE)

    def forward(self, features: Float[Tensor, "b q c"]) -> Float[Tensor, "b q k"]:
        """Distances in units."""
        return self.project(self.norm(features)).float()
