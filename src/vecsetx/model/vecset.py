"""The VecSet autoencoder.

    surface points ─embed─▶ (anchors look at all points) ─▶ bottleneck = latent set
    latent set ─▶ trunk of self-attention ─▶ tokens;  query points look at tokens ─▶ answer

After 3DShape2VecSet (Zhang et al., arXiv 2301.11445), whose plain forms are here as well. By
default each latent is *anchored* at a surface point, and an answer is a distance per structure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vecsetx.errors import InputError
from vecsetx.model.attention import Block
from vecsetx.model.bottleneck import KLBottleneck, NoBottleneck, NormalizedBottleneck
from vecsetx.model.embedding import LabelledPointEmbedding, PointEmbedding
from vecsetx.model.heads import DistanceHead, Head, UnionHead
from vecsetx.model.structure_latents import StructureLatents
from vecsetx.sampling.farthest import anchors_by_structure

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Size and form of the model.

    Attributes:
        queries: ``anchored``: each latent starts as a surface point, and attention knows where its
            tokens lie. ``point``: it starts as a surface point, with plain attention.
            ``learnable``: latents start as learned vectors; plain attention.
        latents: Latents in the set. Unless they are learned, it may be changed at run time.
        structure_latents: Learned latents of each structure beside the anchored ones.
        bottleneck: ``normalized``: few channels of a fixed scale. ``kl``: few channels, near a
            normal distribution. ``none``: the tokens themselves are the latents.
        latent_channels: Channels per latent (unused with bottleneck ``none``).
        field: ``distances``: a signed distance per structure. ``union``: a signed distance to the
            union of all and a class logit per structure.
        normals: Whether the model reads the surface points' normals, where they are known.
        width: Channels of the tokens.
        heads: Attention heads.
        layers: Self-attention blocks in the trunk.
        expansion: Hidden channels of the feed-forward layers, in widths.
        frequencies: Octaves of the point embedding.
        decoder_feed_forward: Whether a feed-forward layer follows the query points' attention.
    """

    queries: Literal["anchored", "point", "learnable"] = "anchored"
    latents: PositiveInt = 256
    structure_latents: NonNegativeInt = 0
    bottleneck: Literal["normalized", "kl", "none"] = "normalized"
    latent_channels: PositiveInt = 32
    field: Literal["distances", "union"] = "distances"
    normals: bool = True
    width: PositiveInt = 128
    heads: PositiveInt = 4
    layers: NonNegativeInt = 4
    expansion: PositiveInt = 2
    frequencies: PositiveInt = 8
    decoder_feed_forward: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.structure_latents and self.queries != "anchored":
            raise InputError(
                f"structure_latents {self.structure_latents} go beside anchored latents, not with "
                f"queries {self.queries!r}"
            )

    @property
    def anchors(self) -> int:
        """Surface points at which a heart's latents start."""
        return 0 if self.queries == "learnable" else self.latents

    def build(self, structure_count: int) -> "VecSetAutoEncoder":
        """The model for K structures, with fresh weights from torch's global generator."""
        return VecSetAutoEncoder(self, structure_count)


@dataclass(frozen=True, slots=True)
class LatentSet:
    """A heart as the model sees it.

    Attributes:
        latents: ``[B, M, Z]``.
        positions: ``[B, M, 3]`` units, where each latent lies; None with plain attention.
        penalty: ``[B]`` the bottleneck's penalty.
    """

    latents: Float[Tensor, "b m z"]
    positions: Float[Tensor, "b m 3"] | None
    penalty: Float[Tensor, " b"]


class VecSetAutoEncoder(nn.Module):
    """Labelled surface points in, a signed distance per structure at any query point out.

    Args:
        spec: Size and form.
        structure_count: K.

    Attributes:
        recompute: Whether training keeps only the tokens between blocks, and computes what lies
            within a block anew in the backward pass (Chen et al., arXiv 1604.06174): a third more
            time, a fraction of the memory.
    """

    def __init__(self, spec: ModelSpec, structure_count: int) -> None:
        super().__init__()
        self.spec = spec
        self.structure_count = structure_count
        self.recompute = False
        anchored = spec.queries == "anchored"
        self.point_embedding = LabelledPointEmbedding(
            spec.width, spec.frequencies, structure_count, spec.normals
        )
        self.query_embedding = PointEmbedding(spec.width, spec.frequencies)
        self.learned = (
            nn.Parameter(torch.randn(spec.latents, spec.width))
            if spec.queries == "learnable"
            else None
        )
        self.of_structures = (
            StructureLatents(spec.structure_latents, structure_count, spec.width)
            if spec.structure_latents
            else None
        )
        block = (spec.width, spec.heads, spec.expansion, anchored)
        decoder_expansion = spec.expansion if spec.decoder_feed_forward else 0
        self.encoder = Block(*block)
        self.bottleneck = _bottleneck(spec)
        self.trunk = nn.ModuleList(Block(*block) for _ in range(spec.layers))
        self.decoder = Block(spec.width, spec.heads, decoder_expansion, anchored)
        head = DistanceHead if spec.field == "distances" else UnionHead
        self.head: Head = head(spec.width, structure_count)

    def encode(
        self,
        points: Float[Tensor, "b n 3"],
        structure: Int[Tensor, "b n"],
        anchors: Int[Tensor, "b m"] | None = None,
        normals: Float[Tensor, "b n 3"] | None = None,
    ) -> LatentSet:
        """Compress labelled surface points into a latent set.

        Args:
            points: Units.
            structure: Index 0…K−1 of each point's structure.
            anchors: Indices into ``points`` of the anchors (unused with learnable queries). None:
                as many as the model has latents, equal shares of every structure's farthest points.
            normals: Unit outward normals, 0 where they are not known; None: nowhere.
        """
        if anchors is None:
            anchors = anchors_by_structure(points, structure, self.spec.anchors)
        tokens, positions = self._kept(self._look, points, structure, anchors, normals)
        compressed = self.bottleneck.compress(tokens)
        return LatentSet(compressed.latents, positions, compressed.penalty)

    def _look(
        self, points: Tensor, structure: Tensor, anchors: Tensor, normals: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The encoder's tokens, and their positions where attention is to know them."""
        context = self.point_embedding(points, structure, normals)
        if self.learned is None:
            at = anchors[..., None]
            positions = points.gather(1, at.expand(-1, -1, 3))
            tokens = context.gather(1, at.expand(-1, -1, context.shape[-1]))
        else:
            positions = None
            tokens = self.learned.expand(len(points), -1, -1)
        if self.spec.queries != "anchored":
            positions = None
        if self.of_structures is None or positions is None:
            return self.encoder(tokens, context, positions, points), positions
        tokens, positions = self.of_structures.beside(tokens, positions)
        tokens = self.encoder(tokens, context, positions, points)
        return tokens, self.of_structures.moved(tokens, positions)

    def process(self, latent_set: LatentSet) -> Float[Tensor, "b m c"]:
        """The trunk: latents to the tokens that queries look at. Once per heart."""
        tokens = self.bottleneck.expand(latent_set.latents)
        for block in self.trunk:
            tokens = self._kept(block, tokens, tokens, latent_set.positions, latent_set.positions)
        return tokens

    def answer(
        self,
        tokens: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b m 3"] | None,
        points: Float[Tensor, "b q 3"],
        plain: bool = False,
    ) -> Float[Tensor, "b q a"]:
        """What the head answers at query points (units).

        Args:
            tokens: From :meth:`process`.
            positions: The latent set's.
            points: Query points.
            plain: Whether to compute in the way that has derivatives of every kind.
        """
        if plain:
            return self._answer(tokens, positions, points, plain)
        return self._kept(self._answer, tokens, positions, points)

    def _answer(
        self, tokens: Tensor, positions: Tensor | None, points: Tensor, plain: bool = False
    ) -> Tensor:
        hidden = self.query_embedding(points)
        hidden = self.decoder(hidden, tokens, points, positions, plain)
        return self.head(hidden, plain)

    def query(
        self,
        tokens: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b m 3"] | None,
        points: Float[Tensor, "b q 3"],
    ) -> Float[Tensor, "b q k"]:
        """Signed distances (units, negative inside) at query points (units)."""
        return self.head.distances(self.answer(tokens, positions, points))

    def decode(
        self, latent_set: LatentSet, points: Float[Tensor, "b q 3"]
    ) -> Float[Tensor, "b q k"]:
        """Signed distances (units, negative inside) of a latent set at query points (units)."""
        return self.query(self.process(latent_set), latent_set.positions, points)

    def forward(
        self,
        points: Float[Tensor, "b n 3"],
        structure: Int[Tensor, "b n"],
        anchors: Int[Tensor, "b m"] | None,
        queries: Float[Tensor, "b q 3"],
        normals: Float[Tensor, "b n 3"] | None = None,
    ) -> Float[Tensor, "b q k"]:
        """Encode and decode."""
        return self.decode(self.encode(points, structure, anchors, normals), queries)

    def compile_blocks(self) -> None:
        """Have PyTorch compile the encoder and the trunk, where nearly all of the work is."""
        for block in (self.encoder, *self.trunk):
            block.compile()

    def _kept(self, part: Callable[..., Result], *inputs: Tensor | None) -> Result:
        """Do a part of the work, keeping of it for the backward pass what was chosen."""
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(part, *inputs, use_reentrant=False)
        return part(*inputs)


def _bottleneck(spec: ModelSpec) -> NormalizedBottleneck | KLBottleneck | NoBottleneck:
    if spec.bottleneck == "none":
        return NoBottleneck()
    kind = NormalizedBottleneck if spec.bottleneck == "normalized" else KLBottleneck
    return kind(spec.width, spec.latent_channels)
