"""What a training step sees: hearts side by side, in units."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

QUERY_GROUPS = ("surface", "near", "volume")
"""The kinds of query points."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B hearts of K structures, all positions and distances in units.

    Attributes:
        points: ``[B, N, 3]`` surface points, the model's input.
        structure: ``[B, N]`` index 0…K−1 of each point's structure.
        normals: ``[B, N, 3]`` unit, out of that structure; 0 where they are not shown.
        surface, near, volume: ``[B, Q, 3]`` query points of each kind.
        surface_distances, near_distances, volume_distances: ``[B, Q, K]`` their true distances.
        surface_known, near_known, volume_known: ``[B, Q, K]`` up to what size the true distances
            are known: ``+inf`` for a complete structure, less where the scan cuts it, ``-inf`` for
            one that the heart's data set does not annotate.
        surface_structure: ``[B, Q]`` index 0…K−1 of the structure whose surface was drawn from.
        surface_normals: ``[B, Q, 3]`` unit, out of that structure.
        taught: ``[B, K]`` whether a structure's distances are what a teacher says.
    """

    points: Float[Tensor, "b n 3"]
    structure: Int[Tensor, "b n"]
    normals: Float[Tensor, "b n 3"]
    surface: Float[Tensor, "b qs 3"]
    surface_distances: Float[Tensor, "b qs k"]
    near: Float[Tensor, "b qn 3"]
    near_distances: Float[Tensor, "b qn k"]
    volume: Float[Tensor, "b qv 3"]
    volume_distances: Float[Tensor, "b qv k"]
    surface_known: Float[Tensor, "b qs k"]
    near_known: Float[Tensor, "b qn k"]
    volume_known: Float[Tensor, "b qv k"]
    surface_structure: Int[Tensor, "b qs"]
    surface_normals: Float[Tensor, "b qs 3"]
    taught: Bool[Tensor, "b k"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})
