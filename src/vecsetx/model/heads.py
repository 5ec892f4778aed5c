"""From a query point's features to distances: what a field is made of."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vecsetx.anatomy.sign import inside_logit
from vecsetx.model.attention import LayerNorm, at_least_single

FIRST_DISTANCE = 0.05
"""A new model says "outside" by this many units: most of space is outside most structures."""

LOGITS_PER_UNIT = 40.0
"""How many logits of a class a unit of distance is worth, where a field gives no distance."""


class Head(nn.Module, ABC):
    """Turns features into an *answer* of A numbers per point, the first D of them distances.

    The rest says how an answer is to be understood, and what is asked of it.
    """

    @abstractmethod
    def forward(
        self, features: Float[Tensor, "b q c"], plain: bool = False
    ) -> Float[Tensor, "b q a"]:
        """The answer, in single precision at least; distances in units, negative inside."""

    @abstractmethod
    def distances(self, answer: Float[Tensor, "b q a"]) -> Float[Tensor, "b q k"]:
        """A signed distance to each structure, in units."""

    @abstractmethod
    def fields(self, answer: Float[Tensor, "b q a"]) -> Float[Tensor, "b q d"]:
        """The D distances that are learned as such."""

    @abstractmethod
    def inside_logits(
        self, answer: Float[Tensor, "b q a"], sharpness: float
    ) -> Float[Tensor, "b q k"]:
        """Logits of being inside each structure."""

    @abstractmethod
    def truth(self, distances: Float[Tensor, "b q k"]) -> Float[Tensor, "b q d"]:
        """What the D distances should be, from the true ones (or up to where these are known)."""

    @abstractmethod
    def smooth(self, distances: Float[Tensor, "b q k"], within: float) -> Bool[Tensor, "b q d"]:
        """Where the D distances are surely differentiable: nearer than ``within`` to a surface."""

    @abstractmethod
    def field_of(self, structure: Int[Tensor, "b q"]) -> Int[Tensor, "b q"]:
        """Which of the D distances describes the surface of a structure."""


class DistanceHead(Head):
    """One signed distance per structure: A = D = K.

    Args:
        width: Channels of the features.
        structures: K.
    """

    def __init__(self, width: int, structures: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.project = nn.Linear(width, structures)
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            self.project.bias.fill_(FIRST_DISTANCE)

    def forward(
        self, features: Float[Tensor, "b q c"], plain: bool = False
    ) -> Float[Tensor, "b q k"]:
        """Distances in units."""
        return at_least_single(self.project(self.norm(features, plain)))

    def distances(self, answer: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
        """The answer itself."""
        return answer

    def fields(self, answer: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
        """The answer itself."""
        return answer

    def inside_logits(
        self, answer: Float[Tensor, "b q k"], sharpness: float
    ) -> Float[Tensor, "b q k"]:
        """Distances, so many logits per unit."""
        return inside_logit(answer, sharpness)

    def truth(self, distances: Float[Tensor, "b q k"]) -> Float[Tensor, "b q k"]:
        """The true distances themselves."""
        return distances

    def smooth(self, distances: Float[Tensor, "b q k"], within: float) -> Bool[Tensor, "b q k"]:
        """Near each structure's surface."""
        return distances.abs() <= within

    def field_of(self, structure: Int[Tensor, "b q"]) -> Int[Tensor, "b q"]:
        """The structure's own."""
        return structure


class UnionHead(Head):
    """The field of the original multi-class VecSetX: one distance to the union, and class logits.

    A = 1 + K, D = 1. The union's distance is the smallest of the structures', which is 0 on the
    walls between them. A structure is where the union is and its logit is the largest:
    ``d_k = max(u, (max_{j≠k} l_j − l_k) / (2 · LOGITS_PER_UNIT))``.

    Args:
        width: Channels of the features.
        structures: K.
    """

    def __init__(self, width: int, structures: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width)
        self.project = nn.Linear(width, 1 + structures)
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            self.project.bias.fill_(inside_logit(FIRST_DISTANCE, LOGITS_PER_UNIT))
            self.project.bias[0] = FIRST_DISTANCE

    def forward(
        self, features: Float[Tensor, "b q c"], plain: bool = False
    ) -> Float[Tensor, "b q a"]:
        """The union's distance in units, then the K logits."""
        return at_least_single(self.project(self.norm(features, plain)))

    def distances(self, answer: Float[Tensor, "b q a"]) -> Float[Tensor, "b q k"]:
        """Distances whose zero is the structure's surface; elsewhere they are rough."""
        union, logits = answer[..., :1], answer[..., 1:]
        if logits.shape[-1] == 1:
            return union
        largest = logits.topk(2, dim=-1)
        first, second = largest.values.split(1, dim=-1)
        is_winner = torch.arange(logits.shape[-1], device=logits.device) == largest.indices[..., :1]
        rival = torch.where(is_winner, second, first)
        return torch.maximum(union, (rival - logits) / (2 * LOGITS_PER_UNIT))

    def fields(self, answer: Float[Tensor, "b q a"]) -> Float[Tensor, "b q 1"]:
        """The union's distance."""
        return answer[..., :1]

    def inside_logits(
        self, answer: Float[Tensor, "b q a"], sharpness: float
    ) -> Float[Tensor, "b q k"]:
        """The logits as they are."""
        return answer[..., 1:]

    def truth(self, distances: Float[Tensor, "b q k"]) -> Float[Tensor, "b q 1"]:
        """The smallest distance."""
        return distances.amin(dim=-1, keepdim=True)

    def smooth(self, distances: Float[Tensor, "b q k"], within: float) -> Bool[Tensor, "b q 1"]:
        """Near the surface of one structure only; between two, the smallest has a crease."""
        return (distances.abs() <= within).sum(dim=-1, keepdim=True) == 1

    def field_of(self, structure: Int[Tensor, "b q"]) -> Int[Tensor, "b q"]:
        """The only one."""
        return torch.zeros_like(structure)
