"""The VecSet autoencoder.

    surface points ─embed─▶ (anchors attend to all points) ─▶ bottleneck = latent set
    latent set ─▶ trunk of self-attention ─▶ tokens
    query points ─embed─▶ (they attend to the tokens) ─▶ head ─▶ distances

It follows 3DShape2VecSet (Zhang et al., arXiv 2301.11445), whose original variants are available,
too. By default, each latent is *anchored* at a surface point, and the head predicts a signed
distance to each structure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vecsetx.errors import InputError
from vecsetx.model.anchors import anchors_by_structure
from vecsetx.model.attention import Block
from vecsetx.model.bottleneck import KLBottleneck, NoBottleneck, NormalizedBottleneck
from vecsetx.model.embedding import LabelledPointEmbedding, PointEmbedding
from vecsetx.model.heads import DistanceHead, Head, UnionHead
from vecsetx.model.structure_latents import StructureLatents
from vecsetx.model.without_values import WithoutValues

Result = TypeVar("Result")

# Beyond these no model was ever useful, and a mistyped or hostile size would take all memory.
_Channels = Annotated[int, Field(ge=1, le=2**15)]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Size and architecture of the model.

    Attributes:
        queries: ``anchored``: each latent starts as a surface point, and attention uses the tokens'
            positions. ``point``: latents start as surface points; standard attention.
            ``learnable``: latents start as learned vectors; standard attention.
        latents: Number of latents in the set. Unless they are learned, it can change at run time.
        structure_latents: Number of learned latents per structure, besides the anchored ones.
        bottleneck: ``normalized``: few channels of fixed scale. ``kl``: few channels, close to a
            normal distribution. ``none``: the tokens themselves are the latents.
        latent_channels: Channels per latent (unused with bottleneck ``none``).
        field: ``distances``: a signed distance per structure. ``union``: a signed distance to the
            union of all structures and a class logit per structure.
        normals: Whether the model reads the surface points' normals, where known.
        width: Channels of the tokens.
        heads: Number of attention heads.
        layers: Number of self-attention blocks in the trunk.
        expansion: Hidden channels of the feed-forward layers, as a multiple of ``width``.
        frequencies: Octaves of the point embedding.
        decoder_feed_forward: Whether a feed-forward layer follows the query points' attention.
    """

    queries: Literal["anchored", "point", "learnable"] = "anchored"
    latents: Annotated[int, Field(ge=1, le=2**17)] = 256
    structure_latents: Annotated[int, Field(ge=0, le=2**12)] = 0
    bottleneck: Literal["normalized", "kl", "none"] = "normalized"
    latent_channels: _Channels = 32
    field: Literal["distances", "union"] = "distances"
    normals: bool = True
    width: _Channels = 128
    heads: _Channels = 4
    layers: Annotated[int, Field(ge=0, le=256)] = 4
    expansion: Annotated[int, Field(ge=1, le=64)] = 2
    frequencies: Annotated[int, Field(ge=1, le=32)] = 8
    decoder_feed_forward: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InputError(
                f"width {self.width} is not a multiple of heads {self.heads}; change one of them"
            )
        if self.structure_latents and self.queries != "anchored":
            raise InputError(
                f"structure_latents {self.structure_latents} needs anchored latents, not "
                f"queries {self.queries!r}; set structure_latents to 0 or queries to 'anchored'"
            )

    @property
    def anchors(self) -> int:
        """Number of surface points that a heart's latents start from; 0 for learned latents."""
        return 0 if self.queries == "learnable" else self.latents

    def build(self, structure_count: int) -> "VecSetAutoEncoder":
        """Build the model for K structures; torch's global generator initialises the weights."""
        return VecSetAutoEncoder(self, structure_count)

    def weight_shapes(self, structure_count: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights by name, without allocating any."""
        with torch.device("meta"), WithoutValues():
            weights = self.build(structure_count).state_dict()
        return {name: tuple(tensor.shape) for name, tensor in weights.items()}


@dataclass(frozen=True, slots=True)
class LatentSet:
    """The latent sets of a batch of hearts.

    Attributes:
        latents: ``[B, M, Z]``.
        positions: ``[B, M, 3]`` position of each latent, units; None with standard attention.
        penalty: ``[B]`` the bottleneck's penalty.
    """

    latents: Float[Tensor, "b m z"]
    positions: Float[Tensor, "b m 3"] | None
    penalty: Float[Tensor, " b"]


class VecSetAutoEncoder(nn.Module):
    """Encodes labelled surface points; decodes a signed distance per structure at query points.

    Args:
        spec: Size and architecture.
        structure_count: Number of structures K.

    Attributes:
        recompute: Whether training stores only the tokens between blocks and recomputes all other
            activations in the backward pass (Chen et al., arXiv 1604.06174). A step then takes a
            third longer and a fraction of the memory.
    """

    def __init__(self, spec: ModelSpec, structure_count: int) -> None:
        super().__init__()
        self.spec = spec
        self.structure_count = structure_count
        self.recompute = False
        anchored = spec.queries == "anchored"
        # The modules draw their initial weights in this order: changing it changes all results.
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
        """Encode labelled surface points into a latent set.

        Args:
            points: Units.
            structure: Index 0…K−1 of each point's structure.
            anchors: Indices of the anchors in ``points`` (unused with learnable queries). None: one
                per latent, by farthest point sampling with equal shares of all structures.
            normals: Unit outward normals, 0 where unknown; None for none at all.
        """
        if anchors is None:
            anchors = anchors_by_structure(points, structure, self.spec.anchors)
        # The anchors are chosen above, so that recomputation does not choose them again.
        tokens, positions = self._checkpointed(self._attend, points, structure, anchors, normals)
        compressed = self.bottleneck.compress(tokens)
        return LatentSet(compressed.latents, positions, compressed.penalty)

    def _attend(
        self, points: Tensor, structure: Tensor, anchors: Tensor, normals: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the encoder's tokens and, for anchored attention, their positions."""
        context = self.point_embedding(points, structure, normals)
        # Latents start as the embeddings of their anchors, or as learned vectors.
        if self.learned is None:
            at = anchors[..., None]
            positions = points.gather(1, at.expand(-1, -1, 3))
            tokens = context.gather(1, at.expand(-1, -1, context.shape[-1]))
        else:
            positions = None
            tokens = self.learned.expand(len(points), -1, -1)
        if self.spec.queries != "anchored":  # standard attention uses no positions
            positions = None
        if self.of_structures is None or positions is None:
            return self.encoder(tokens, context, positions, points), positions
        # Structure latents attend together with the anchored ones, and then move.
        tokens, positions = self.of_structures.append_to(tokens, positions)
        tokens = self.encoder(tokens, context, positions, points)
        return tokens, self.of_structures.move(tokens, positions)

    def process(self, latent_set: LatentSet) -> Float[Tensor, "b m c"]:
        """Apply the trunk: latents to the tokens that queries attend to. Needed once per heart."""
        tokens = self.bottleneck.expand(latent_set.latents)
        for block in self.trunk:
            positions = latent_set.positions
            tokens = self._checkpointed(block, tokens, tokens, positions, positions)
        return tokens

    def head_output(
        self,
        tokens: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b m 3"] | None,
        points: Float[Tensor, "b q 3"],
        unfused: bool = False,
    ) -> Float[Tensor, "b q a"]:
        """Compute the head's output at query points (see :class:`~vecsetx.model.heads.Head`).

        Args:
            tokens: From :meth:`process`.
            positions: Of the latent set, units.
            points: Query points, units.
            unfused: Whether to use operations that have derivatives of every kind (see
                :mod:`~vecsetx.model.attention`).
        """
        if unfused:  # for spatial gradients, which recompute activations themselves
            return self._head_output(tokens, positions, points, unfused)
        return self._checkpointed(self._head_output, tokens, positions, points)

    def _head_output(
        self, tokens: Tensor, positions: Tensor | None, points: Tensor, unfused: bool = False
    ) -> Tensor:
        hidden = self.query_embedding(points)
        hidden = self.decoder(hidden, tokens, points, positions, unfused)
        return self.head(hidden, unfused)

    def query(
        self,
        tokens: Float[Tensor, "b m c"],
        positions: Float[Tensor, "b m 3"] | None,
        points: Float[Tensor, "b q 3"],
    ) -> Float[Tensor, "b q k"]:
        """Compute signed distances (units, negative inside) at query points (units).

        Args:
            tokens: From :meth:`process`.
            positions: Of the latent set, units.
            points: Query points, units.
        """
        return self.head.distances(self.head_output(tokens, positions, points))

    def decode(
        self, latent_set: LatentSet, points: Float[Tensor, "b q 3"]
    ) -> Float[Tensor, "b q k"]:
        """Decode a latent set: signed distances (units, negative inside) at points (units)."""
        return self.query(self.process(latent_set), latent_set.positions, points)

    def forward(
        self,
        points: Float[Tensor, "b n 3"],
        structure: Int[Tensor, "b n"],
        anchors: Int[Tensor, "b m"] | None,
        queries: Float[Tensor, "b q 3"],
        normals: Float[Tensor, "b n 3"] | None = None,
    ) -> Float[Tensor, "b q k"]:
        """Encode and decode; arguments as for :meth:`encode`, ``queries`` in units."""
        return self.decode(self.encode(points, structure, anchors, normals), queries)

    def compile_blocks(self) -> None:
        """Compile the encoder and the trunk, which take nearly all of the time."""
        for block in (self.encoder, *self.trunk):
            block.compile()

    def _checkpointed(self, part: Callable[..., Result], *inputs: Tensor | None) -> Result:
        """Run a part of the model; with :attr:`recompute`, store only its inputs."""
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(part, *inputs, use_reentrant=False)
        return part(*inputs)


def _bottleneck(spec: ModelSpec) -> NormalizedBottleneck | KLBottleneck | NoBottleneck:
    if spec.bottleneck == "none":
        return NoBottleneck()
    kind = NormalizedBottleneck if spec.bottleneck == "normalized" else KLBottleneck
    return kind(spec.width, spec.latent_channels)
