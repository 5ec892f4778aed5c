"""The VecSet autoencoder.

    surface points ─embed─▶ (anchors look at all points) ─▶ bottleneck = latent set
    latent set ─▶ trunk of self-attention ─▶ tokens;  query points look at tokens ─▶ distances

After 3DShape2VecSet (Zhang et al., arXiv 2301.11445). Each latent is *anchored* at a surface point,
unless the plain form with learnable queries is chosen.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from vecsetx.errors import InputError
from vecsetx.model.attention import Block
from vecsetx.model.bottleneck import NormalizedBottleneck
from vecsetx.model.embedding import LabelledPointEmbedding, PointEmbedding
from vecsetx.model.heads import DistanceHead


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Size and form of the model.

    Attributes:
        queries: ``anchored``: each latent starts as a surface point, and attention knows where its
            tokens lie. ``learnable``: latents start as learned vectors; plain attention.
        latents: Latents in the set. With anchored queries it may be changed at run time.
        latent_channels: Channels per latent.
        width: Channels of the tokens.
        heads: Attention heads.
        layers: Self-attention blocks in the trunk.
        expansion: Hidden channels of the feed-forward layers, in widths.
        frequencies: Octaves of the point embedding.
        decoder_feed_forward: Whether a feed-forward layer follows the query points' attention.
    """

    queries: Literal["anchored", "learnable"] = "anchored"
    latents: PositiveInt = 256
    latent_channels: PositiveInt = 32
    width: PositiveInt = 128
    heads: PositiveInt = 4
    layers: NonNegativeInt = 4
    expansion: PositiveInt = 2
    frequencies: PositiveInt = 8
    decoder_feed_forward: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(f"width {self.width} is no multiple of heads {self.heads}")

    @property
    def anchors(self) -> int:
        """Anchors that a heart needs."""
        return self.latents if self.queries == "anchored" else 0

    def build(self, structure_count: int) -> "VecSetAutoEncoder":
        """The model for K structures, with fresh weights from torch's global generator."""
        return VecSetAutoEncoder(self, structure_count)


@dataclass(frozen=True, slots=True)
class LatentSet:
    """A heart as the model sees it.

    Attributes:
        latents: ``[B, M, Z]``.
        positions: ``[B, M, 3]`` units, where each latent is anchored; None for learnable queries.
    """

    latents: Float[Tensor, "b m z"]
    positions: Float[Tensor, "b m 3"] | None


class VecSetAutoEncoder(nn.Module):
    """Labelled surface points in, a signed distance per structure at any query point out.

    Args:
        spec: Size and form.
        structure_count: K.
    """

    def __init__(self, spec: ModelSpec, structure_count: int) -> None:
        super().__init__()
        self.spec = spec
        self.structure_count = structure_count
        anchored = spec.queries == "anchored"
        self.point_embedding = LabelledPointEmbedding(spec.width, spec.frequencies, structure_count)
        self.query_embedding = PointEmbedding(spec.width, spec.frequencies)
        self.learned = None if anchored else nn.Parameter(torch.randn(spec.latents, spec.width))
        block = (spec.width, spec.heads, spec.expansion, anchored)
        decoder_expansion = spec.expansion if spec.decoder_feed_forward else 0
        self.encoder = Block(*block)
        self.bottleneck = NormalizedBottleneck(spec.width, spec.latent_channels)
        self.trunk = nn.ModuleList(Block(*block) for _ in range(spec.layers))
        self.decoder = Block(spec.width, spec.heads, decoder_expansion, anchored)
        self.head = DistanceHead(spec.width, structure_count)

    def encode(
        self,
        points: Float[Tensor, "b n 3"],
        structure: Int[Tensor, "b n"],
        anchors: Int[Tensor, "b m"],
    ) -> LatentSet:
        """Compress labelled surface points into a latent set.

        Args:
            points: Units.
            structure: Index 0…K−1 of each point's structure.
            anchors: Indices into ``points`` of the anchors (unused with learnable queries).
        """
        context = self.point_embedding(points, structure)
        if self.learned is None:
            positions = points.gather(1, anchors[..., None].expand(-1, -1, 3))
            tokens = context.gather(1, anchors[..., None].expand(-1, -1, context.shape[-1]))
        else:
            positions = None
            tokens = self.learned.expand(len(points), -1, -1)
        tokens = self.encoder(tokens, context, positions, points)
        return LatentSet(self.bottleneck.compress(tokens), positions)

    def refine(self, latent_set: LatentSet) -> Float[Tensor, "b m c"]:
        """The trunk: latents to the tokens that queries look at. Once per heart."""
        tokens = self.bottleneck.expand(latent_set.latents)
        for block in self.trunk:
            tokens = block(tokens, tokens, latent_set.positions, latent_set.positions)
        return tokens

    def query(
        self,
        tokens: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b m 3"] | None,
        points: Float[Tensor, "b q 3"],
    ) -> Float[Tensor, "b q k"]:
        """Signed distances (units, negative inside) at query points (units)."""
        hidden = self.query_embedding(points)
        hidden = self.decoder(hidden, tokens, points, positions)
        return self.head(hidden)

    def decode(
        self, latent_set: LatentSet, points: Float[Tensor, "b q 3"]
    ) -> Float[Tensor, "b q k"]:
        """Signed distances (units, negative inside) of a latent set at query points (units)."""
        return self.query(self.refine(latent_set), latent_set.positions, points)

    def forward(
        self,
        points: Float[Tensor, "b n 3"],
        structure: Int[Tensor, "b n"],
        anchors: Int[Tensor, "b m"],
        queries: Float[Tensor, "b q 3"],
    ) -> Float[Tensor, "b q k"]:
        """Encode and decode."""
        return self.decode(self.encode(points, structure, anchors), queries)
