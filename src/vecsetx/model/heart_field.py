"""An encoded heart as a field: signed distances in mm at any point in scanner space."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vecsetx.anatomy.frame import DOMAIN, Frame
from vecsetx.model.anchors import anchors_by_structure
from vecsetx.model.vecset import LatentSet, VecSetAutoEncoder
from vecsetx.progress import counted_parts
from vecsetx.sampling.observation import Observation

_CHUNK_POINTS = 16_384
"""Number of query points decoded at once."""

_RELIABLE = 0.875  # of the truncation: a network's distances level off gradually


@dataclass(frozen=True, slots=True)
class RefinementResult:
    """How much refinement improved a heart's latent set.

    Attributes:
        loss_before, loss_after: Loss at held-out observed points, before and after.
        steps: Number of steps until the lowest loss.
        error_mm_before, error_mm_after: Mean distance between the reconstruction and those of
            these points that lie on observed surfaces; None if there are none.
    """

    loss_before: float
    loss_after: float
    steps: int
    error_mm_before: float | None
    error_mm_after: float | None


@dataclass(frozen=True, slots=True)
class HeartField:
    """A latent set with its decoder: one heart's distance field.

    It is a :class:`~vecsetx.reconstruction.distance_field.DistanceField`.

    Attributes:
        model: The model, in evaluation mode.
        structures: Names of the K structures, in the order of the distances.
        frame: Converts mm ↔ units.
        latent_set: The heart's latent set, a batch of one.
        tokens: The trunk's output for it, ``[1, M, C]``.
        truncation: Units up to which the distances are reliable.
        domain: Frame whose box bounds the field: outside that box, every structure is outside.
            After encoding, it is the frame of the observation.
        refinement: How much refinement improved the latent set; None if it was not refined.
        lacks: What the observation lacks of a whole heart, in words; empty if it is whole.
        limit: Changes the distances, mm, at points, RAS+ mm, by what is known of the heart beside
            the latent set; None: they are the decoder's.
        anchors: The points that latents were put on; None if they are not known.
    """

    model: VecSetAutoEncoder
    structures: tuple[str, ...]
    frame: Frame
    latent_set: LatentSet
    tokens: Float[Tensor, "1 m c"]
    truncation: float
    domain: Frame
    refinement: RefinementResult | None = None
    lacks: str = ""
    limit: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    anchors: Observation | None = None

    @classmethod
    @torch.no_grad()
    def encode(
        cls,
        model: VecSetAutoEncoder,
        structures: tuple[str, ...],
        observation: Observation,
        truncation: float,
        latents: int | None = None,
        anchors: Int[np.ndarray, " m"] | None = None,
    ) -> "HeartField":
        """Encode the observed part of a heart.

        Args:
            model: The model, in evaluation mode, on its device.
            structures: Names of its K structures.
            observation: Labelled surface points.
            truncation: Units up to which the model's distances are reliable.
            latents: Number of latents; None for the number in training. Models with learned queries
                cannot change it.
            anchors: Indices of the points that latents are put on; None: they are chosen evenly.
        """
        device = next(model.parameters()).device
        points = torch.from_numpy(observation.frame.to_unit(observation.points_mm))[None].to(device)
        structure = torch.from_numpy(observation.structure)[None].to(device)
        normals = observation.normals
        if normals is not None:
            normals = observation.frame.to_axes(normals)
        if anchors is None:
            chosen = anchors_by_structure(points, structure, latents or model.spec.anchors)
        else:
            chosen = torch.from_numpy(anchors)[None].to(device)
        latent_set = model.encode(
            points,
            structure,
            chosen,
            None if normals is None else torch.from_numpy(normals)[None].to(device),
        )
        tokens = model.process(latent_set)
        frame, rows = observation.frame, chosen[0].cpu().numpy()
        on = Observation(observation.points_mm[rows], observation.structure[rows], None, frame)
        return cls(
            model, structures, frame, latent_set, tokens, truncation, domain=frame, anchors=on
        )

    @property
    def reach_mm(self) -> float:
        """Distances are reliable up to this magnitude, slightly less than the truncation."""
        return float(_RELIABLE * self.frame.length_to_mm(self.truncation))

    @torch.no_grad()
    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Compute signed distances, negative inside; float32, mm.

        They are reliable up to :attr:`reach_mm`; beyond that, only their sign is. Outside the
        domain, where the model was never trained, every structure is outside.

        Args:
            points_mm: RAS+ mm.
        """
        distances = np.empty((len(points_mm), len(self.structures)), dtype=np.float32)
        for start in counted_parts(range(0, len(points_mm), _CHUNK_POINTS)):
            chunk = slice(start, start + _CHUNK_POINTS)
            points = torch.from_numpy(self.frame.to_unit(points_mm[chunk]).astype(np.float32))
            # The domain may have been moved since encoding, so it is not the frame's own box.
            in_domain = torch.from_numpy(self.domain.to_unit(points_mm[chunk]).astype(np.float32))
            units = self.model.query(
                self.tokens, self.latent_set.positions, points[None].to(self.tokens.device)
            )
            # Outside it, distances grow from the truncation up: no surface near there.
            beyond = (in_domain.abs() - DOMAIN).amax(dim=-1, keepdim=True)
            units = torch.where(beyond > 0, self.truncation + beyond, units[0].cpu())
            distances[chunk] = self.frame.length_to_mm(units).numpy()
        return distances if self.limit is None else self.limit(points_mm, distances)
