"""Heads: from a query point's features to signed distances."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vecsetx.anatomy.sign import inside_logit
from vecsetx.model.attention import LayerNorm, at_least_single

__all__ = ["LOGITS_PER_UNIT", "DistanceHead", "Head", "UnionHead"]

_INITIAL_DISTANCE = 0.05
"""Distance that an untrained model predicts, units: most of space is outside most structures."""

LOGITS_PER_UNIT = 40.0
"""Class logits per unit of distance, where the head predicts logits instead of distances."""


class Head(nn.Module, ABC):
    """Maps features to an *output*: A values per point, the first D of which are distances.

    The other methods interpret an output and define its training targets.
    """

    @abstractmethod
    def forward(
        self, features: Float[Tensor, "b q c"], unfused: bool = False
    ) -> Float[Tensor, "b q a"]:
        """Compute the output, at least in single precision; distances in units, negative inside."""

    @abstractmethod
    def distances(self, output: Float[Tensor, "b q a"]) -> Float[Tensor, "b q k"]:
        """Return the signed distance to each of the K structures, in units."""

    @abstractmethod
    def fields(self, output: Float[Tensor, "b q a"]) -> Float[Tensor, "b q d"]:
        """Return the D distances that are trained directly, in units."""

    @abstractmethod
    def inside_logits(
        self, output: Float[Tensor, "b q a"], sharpness: float
    ) -> Float[Tensor, "b q k"]:
        """Return the logits of being inside each structure; ``sharpness`` is in logits per unit."""

    @abstractmethod
    def targets(self, distances: Float[Tensor, "b q k"]) -> Float[Tensor, "b q d"]:
        """Return targets for the D distances, from the true ones (or from their known limits)."""

    @abstractmethod
    def differentiable(
        self, distances: Float[Tensor, "b q k"], within: float
    ) -> Bool[Tensor, "b q d"]:
        """Mark where the D true distances are differentiable: within ``within`` of a surface."""

    @abstractmethod
    def field_index(self, structure: Int[Tensor, "b q"]) -> Int[Tensor, "b q"]:
        """Return the index 0…D−1 of the distance that describes each structure's surface."""


class DistanceHead(Head):
    """One signed distance per structure: A = D = K.

    Args:
        width: Channels of the features.
        structures: Number of structures K.
    """

    def __init__(self, width: int, structures: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.project = nn.Linear(width, structures)
        # With small weights, the first predictions are close to the bias everywhere.
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            self.project.bias.fill_(_INITIAL_DISTANCE)

    def forward(
        self, features: Float[Tensor, "b q c"], unfused: bool = False
    ) -> Float[Tensor, "b q k"]:
        """Compute distances in units."""
        return at_least_single(self.project(self.norm(features, unfused)))

    def distances(self, output: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
        """Return the output unchanged."""
        return output

    def fields(self, output: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
        """Return the output unchanged."""
        return output

    def inside_logits(
        self, output: Float[Tensor, "b q k"], sharpness: float
    ) -> Float[Tensor, "b q k"]:
        """Scale the distances to logits."""
        return inside_logit(output, sharpness)

    def targets(self, distances: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
        """Return the true distances unchanged."""
        return distances

    def differentiable(
        self, distances: Float[Tensor, "b q k"], within: float
    ) -> Bool[Tensor, "b q k"]:
        """Mark points near each structure's surface."""
        return distances.abs() <= within

    def field_index(self, structure: Int[Tensor, "b q"]) -> Int[Tensor, "b q"]:
        """Return the structure's own index."""
        return structure


class UnionHead(Head):
    """The head of the original multi-class VecSetX: one distance to the union, and class logits.

    A = 1 + K, D = 1. The union's distance u is the smallest of the structures' distances, which is
    0 on the walls between them. A point is inside structure k if it is inside the union and the
    logit l_k is the largest: ``d_k = max(u, (max_{j≠k} l_j − l_k) / (2 · LOGITS_PER_UNIT))``.

    Args:
        width: Channels of the features.
        structures: Number of structures K.
    """

    def __init__(self, width: int, structures: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.project = nn.Linear(width, 1 + structures)
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            # The logits start equal, so that no structure is preferred.
            self.project.bias.fill_(inside_logit(_INITIAL_DISTANCE, LOGITS_PER_UNIT))
            self.project.bias[0] = _INITIAL_DISTANCE

    def forward(
        self, features: Float[Tensor, "b q c"], unfused: bool = False
    ) -> Float[Tensor, "b q a"]:
        """Compute the union's distance in units, then the K logits."""
        return at_least_single(self.project(self.norm(features, unfused)))

    def distances(self, output: Float[Tensor, "b q a"]) -> Float[Tensor, "b q k"]:
        """Return distances that are 0 on each structure's surface and approximate elsewhere."""
        union, logits = output[..., :1], output[..., 1:]
        if logits.shape[-1] == 1:  # without rivals, the structure is the union
            return union
        # The rival of the largest logit is the second largest; of all others, the largest.
        largest = logits.topk(2, dim=-1)
        first, second = largest.values.split(1, dim=-1)
        is_winner = torch.arange(logits.shape[-1], device=logits.device) == largest.indices[..., :1]
        rival = torch.where(is_winner, second, first)
        return torch.maximum(union, (rival - logits) / (2 * LOGITS_PER_UNIT))

    def fields(self, output: Float[Tensor, "b q a"]) -> Float[Tensor, "b q 1"]:
        """Return the union's distance."""
        return output[..., :1]

    def inside_logits(
        self, output: Float[Tensor, "b q a"], sharpness: float
    ) -> Float[Tensor, "b q k"]:
        """Return the logits unchanged."""
        return output[..., 1:]

    def targets(self, distances: Float[Tensor, "b q k"]) -> Float[Tensor, "b q 1"]:
        """Return the smallest distance."""
        return distances.amin(dim=-1, keepdim=True)

    def differentiable(
        self, distances: Float[Tensor, "b q k"], within: float
    ) -> Bool[Tensor, "b q 1"]:
        """Mark points near one structure's surface; between two, the minimum has a crease."""
        return (distances.abs() <= within).sum(dim=-1, keepdim=True) == 1

    def field_index(self, structure: Int[Tensor, "b q"]) -> Int[Tensor, "b q"]:
        """Return 0, the index of the only distance."""
        return torch.zeros_like(structure)
