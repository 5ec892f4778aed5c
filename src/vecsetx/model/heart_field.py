"""One heart as a field: signed distances in mm at any point of the scanner's space."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vecsetx.anatomy.frame import DOMAIN, Frame
from vecsetx.model.vecset import LatentSet, VecSetAutoEncoder
from vecsetx.sampling.farthest import anchors_by_structure
from vecsetx.sampling.sampler import Observation

CHUNK_POINTS = 16_384
"""Query points decoded at once."""

_RELIABLE = 0.875  # of the truncation: a network does not turn level at once


@dataclass(frozen=True, slots=True)
class Gain:
    """What refining a latent set brought.

    Attributes:
        loss_before, loss_after: The loss at observed points that it was not refined on.
        steps: Steps until the best.
    """

    loss_before: float
    loss_after: float
    steps: int


@dataclass(frozen=True, slots=True)
class HeartField:
    """A latent set, decoded where asked.

    Attributes:
        model: The model, in evaluation mode.
        structures: Names of the K structures, in the order of the distances.
        frame: mm ↔ unit.
        latent_set: The heart's latent set, a batch of one.
        tokens: What the trunk makes of it, ``[1, M, C]``.
        truncation: Units up to which the distances are reliable.
        domain: The frame about whose centre the model is asked, up to the edges of its domain;
            beyond, every structure is outside. As encoded, that of what is shown.
        gain: What refining brought, if it was refined.
    """

    model: VecSetAutoEncoder
    structures: tuple[str, ...]
    frame: Frame
    latent_set: LatentSet
    tokens: Float[Tensor, "1 m c"]
    truncation: float
    domain: Frame
    gain: Gain | None = None

    @classmethod
    @torch.no_grad()
    def encode(
        cls,
        model: VecSetAutoEncoder,
        structures: tuple[str, ...],
        observation: Observation,
        truncation: float,
        latents: int | None = None,
    ) -> "HeartField":
        """Encode what is observed of a heart.

        Args:
            model: The model; must be in evaluation mode, on its device.
            structures: Names of its K structures.
            observation: Labelled surface points.
            truncation: Units up to which the model's distances are reliable.
            latents: Latents in the set; None for as many as in training. Models with
                learned queries cannot change it.
        """
        device = next(model.parameters()).device
        points = torch.from_numpy(observation.frame.to_unit(observation.points_mm))[None].to(device)
        structure = torch.from_numpy(observation.structure)[None].to(device)
        normals = observation.normals
        latent_set = model.encode(
            points,
            structure,
            anchors_by_structure(points, structure, latents or model.spec.anchors),
            None if normals is None else torch.from_numpy(normals)[None].to(device),
        )
        tokens = model.process(latent_set)
        frame = observation.frame
        return cls(model, structures, frame, latent_set, tokens, truncation, domain=frame)

    @property
    def reach_mm(self) -> float:
        """Up to here the distances' magnitude can be relied on: a little below the truncation."""
        return float(_RELIABLE * self.frame.length_to_mm(self.truncation))

    @torch.no_grad()
    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Signed distances, negative inside, at RAS+ mm points; float32 mm.

        Reliable up to the truncation of the training; farther away they only tell the side. Beyond
        the domain, where the model was never trained, every structure is outside.
        """
        distances = np.empty((len(points_mm), len(self.structures)), dtype=np.float32)
        for start in range(0, len(points_mm), CHUNK_POINTS):
            chunk = slice(start, start + CHUNK_POINTS)
            points = torch.from_numpy(self.frame.to_unit(points_mm[chunk]).astype(np.float32))
            within = torch.from_numpy(self.domain.to_unit(points_mm[chunk]).astype(np.float32))
            units = self.model.query(
                self.tokens, self.latent_set.positions, points[None].to(self.tokens.device)
            )
            beyond = (within.abs() - DOMAIN).amax(dim=-1, keepdim=True)
            units = torch.where(beyond > 0, self.truncation + beyond, units[0].cpu())
            distances[chunk] = self.frame.length_to_mm(units).numpy()
        return distances
