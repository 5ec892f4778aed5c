"""Embeddings of positions, structures and normals."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class PointEmbedding(nn.Module):
    """Fourier features of a position, projected to the model's width.

    ``(x, sin(2^i π x), cos(2^i π x))``, i = 0…F−1, per coordinate (Mildenhall et al.,
    "NeRF", ECCV 2020; in this form in 3DShape2VecSet, arXiv 2301.11445), then a linear layer.

    Args:
        width: Channels of the embedding.
        frequencies: Number of octaves F.
    """

    frequencies: Tensor

    def __init__(self, width: int, frequencies: int) -> None:
        super().__init__()
        # Plain numbers: on the meta device, powers import PyTorch's compiler, which takes 2 s.
        octaves = torch.tensor([math.pi * 2.0**octave for octave in range(frequencies)])
        # Not persistent: a constant that no saved model needs to contain.
        self.register_buffer("frequencies", octaves, persistent=False)
        self.project = nn.Linear(3 + 6 * frequencies, width)

    def forward(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n c"]:
        """Embed positions in units."""
        # [B, N, 3F]: all octaves of x, then of y, then of z.
        phases = (points[..., None] * self.frequencies).flatten(-2)
        features = torch.cat([points, phases.sin(), phases.cos()], dim=-1)
        return self.project(features)


class LabelledPointEmbedding(nn.Module):
    """Embedding of a surface point: that of its position plus a vector for its structure.

    This equals one linear layer over the position's features and the structure's one-hot code. With
    ``normals``, the layer also reads the outward normal; 0 stands for an unknown normal.

    Args:
        width: Channels of the embedding.
        frequencies: Octaves of the position's features.
        structures: Number of structures K.
        normals: Whether to read normals.
    """

    def __init__(self, width: int, frequencies: int, structures: int, normals: bool) -> None:
        super().__init__()
        self.position = PointEmbedding(width, frequencies)
        self.structure = nn.Embedding(structures, width)
        self.normal = nn.Linear(3, width, bias=False) if normals else None

    def forward(
        self,
        points: Float[Tensor, "b n 3"],
        structure: Int[Tensor, "b n"],
        normals: Float[Tensor, "b n 3"] | None,
    ) -> Float[Tensor, "b n c"]:
        """Embed surface points.

        Args:
            points: Units.
            structure: Index 0…K−1 of each point's structure.
            normals: Unit outward normals, 0 where unknown; None for none at all.
        """
        embedded = self.position(points) + self.structure(structure)
        if self.normal is None or normals is None:
            return embedded
        return embedded + self.normal(normals)
