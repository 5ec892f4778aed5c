"""A batch of hearts: surface points for the encoder, and query points with their true distances.

All positions and distances are in units of the hearts' frames.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["QUERY_GROUPS", "Batch", "Queries", "SurfaceQueries"]

_QueriesT = TypeVar("_QueriesT", bound="Queries")

QUERY_GROUPS = ("surface", "near", "volume")
"""The groups of query points, in the order in which models answer them."""


@dataclass(frozen=True, slots=True)
class Queries:
    """A group of query points of B hearts, with their distances to K structures.

    Attributes:
        points: ``[B, Q, 3]`` positions.
        distances: ``[B, Q, K]`` true signed distances, negative inside; ``+inf`` for a structure
            that the heart does not have.
        known: ``[B, Q, K]`` the absolute value up to which the true distance is known: ``+inf`` for
            a complete structure, less where the field of view cuts it, ``-inf`` for a structure
            that the heart's data set does not annotate.
    """

    points: Float[Tensor, "b q 3"]
    distances: Float[Tensor, "b q k"]
    known: Float[Tensor, "b q k"]

    @property
    def count(self) -> int:
        """Q, the number of query points per heart."""
        return self.points.shape[1]

    def map(self: _QueriesT, function: Callable[[Tensor], Tensor]) -> _QueriesT:
        """Apply a function to every tensor."""
        return replace(self, **{f.name: function(getattr(self, f.name)) for f in fields(self)})

    def select(self: _QueriesT, rows: slice | Int[Tensor, " r"]) -> _QueriesT:
        """The same rows of the Q query points of every heart."""
        return self.map(lambda values: values[:, rows])


@dataclass(frozen=True, slots=True)
class SurfaceQueries(Queries):
    """Query points on the surfaces of structures.

    Attributes:
        structure: ``[B, Q]`` index 0…K−1 of the structure on whose surface each point lies.
        normals: ``[B, Q, 3]`` unit normals, outward from that structure.
    """

    structure: Int[Tensor, "b q"]
    normals: Float[Tensor, "b q 3"]


@dataclass(frozen=True, slots=True)
class Batch:
    """B hearts of K structures.

    Attributes:
        points: ``[B, N, 3]`` surface points, the encoder's input.
        structure: ``[B, N]`` index 0…K−1 of each input point's structure.
        normals: ``[B, N, 3]`` unit normals, outward from that structure; 0 where they are withheld
            from the encoder.
        surface: Query points on the surfaces.
        near: Query points near the surfaces.
        volume: Query points anywhere in the heart's surroundings.
        taught: ``[B, K]`` whether a structure's distances are a teacher's answers.
    """

    points: Float[Tensor, "b n 3"]
    structure: Int[Tensor, "b n"]
    normals: Float[Tensor, "b n 3"]
    surface: SurfaceQueries
    near: Queries
    volume: Queries
    taught: Bool[Tensor, "b k"]

    @property
    def queries(self) -> dict[str, Queries]:
        """The query points of each group, in the order of :data:`QUERY_GROUPS`."""
        return {"surface": self.surface, "near": self.near, "volume": self.volume}

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to every tensor, as ``lambda values: values[:2]`` for two hearts."""
        return Batch(
            points=function(self.points),
            structure=function(self.structure),
            normals=function(self.normals),
            surface=self.surface.map(function),
            near=self.near.map(function),
            volume=self.volume.map(function),
            taught=function(self.taught),
        )

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device; from pinned memory without waiting for the copy."""
        return self.map(lambda values: values.to(device, non_blocking=True))
