"""Distances to structures that a heart's data set does not annotate, from another model.

Hearts of different data sets look different. A model trained on several of them learns to tell the
data sets apart, and then no longer finds in the hearts of one what only another annotates. So a
teacher, a model trained on hearts with all structures, fills in the missing distances, which are
learned beside the annotated ones. This is distillation, as from single-organ teachers in MS-KD
(Feng et al., MICCAI 2021, arXiv:2108.02559).
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vecsetx.data.batch import Batch, Queries
from vecsetx.errors import InputError
from vecsetx.model.vecset import VecSetAutoEncoder

__all__ = ["Teacher"]

_CANDIDATES = 8
"""Candidate points per point that is placed near an unannotated structure."""

_SPREAD = 0.05
"""Standard deviation, in units, of the candidates about the encoder's input points."""


class Teacher:
    """A trained model that supplies distances during training and learns nothing itself.

    Args:
        network: The model. Its units must have the batches' scale, and its distances must be
            reliable up to the objective's truncation.
        known: Names of the structures that it knows.
        structures: Names of the K structures of the batches.
        device: Device of the batches.

    Raises:
        InputError: It does not know one of them.
    """

    def __init__(
        self,
        network: VecSetAutoEncoder,
        known: tuple[str, ...],
        structures: tuple[str, ...],
        device: torch.device,
    ) -> None:
        if lacking := set(structures) - set(known):
            raise InputError(
                f"it does not know {', '.join(sorted(lacking))}; a teacher must know all "
                "structures of the data set"
            )
        self.network = network.to(device).eval().requires_grad_(False)
        self._columns = torch.tensor([known.index(name) for name in structures], device=device)

    @torch.no_grad()
    def fill_in(self, batch: Batch) -> Batch:
        """The batch with the teacher's distances to unannotated structures.

        The teacher sees the same points as the encoder. Its distances are bounded by the annotated
        ones, since no point is inside two structures; they then count as known. Half of the volume
        points of these hearts are moved near the surfaces that it finds, where there would be few.

        The points are drawn from PyTorch's global generator.
        """
        # An unannotated structure is known nowhere, so that a single point tells.
        taught = torch.isneginf(batch.near.known[:, 0])
        hearts = taught.any(dim=1).nonzero()[:, 0]
        if not len(hearts):
            return batch
        missing = taught[hearts, None]
        # The teacher may know more structures, in another order.
        structure = self._columns[batch.structure[hearts]]
        latent_set = self.network.encode(
            batch.points[hearts], structure, normals=batch.normals[hearts]
        )
        tokens = self.network.process(latent_set)

        def predict(points: Tensor) -> Tensor:
            distances = self.network.query(tokens, latent_set.positions, points)
            return distances[..., self._columns].float()

        batch = self._with_points(batch, hearts, missing, predict)
        groups = list(batch.queries.values())
        predicted = predict(torch.cat([group.points[hearts] for group in groups], dim=1))
        surface, near, volume = predicted.split([group.count for group in groups], dim=1)
        return replace(
            batch,
            surface=replace(batch.surface, **_filled(batch.surface, hearts, missing, surface)),
            near=replace(batch.near, **_filled(batch.near, hearts, missing, near)),
            volume=replace(batch.volume, **_filled(batch.volume, hearts, missing, volume)),
            taught=taught,
        )

    def _with_points(
        self,
        batch: Batch,
        hearts: Tensor,
        missing: Tensor,
        predict: Callable[[Tensor], Tensor],
    ) -> Batch:
        """The batch with volume points near the missing structures' surfaces.

        Candidates are scattered about the encoder's input points; those nearest to each missing
        surface are taken. Only the teacher's distances are known there.
        """
        count = batch.volume.count // 2
        candidates = batch.points[hearts, : _CANDIDATES * count]
        count = min(count, candidates.shape[1])
        candidates = candidates + _SPREAD * torch.randn_like(candidates)
        predicted = predict(candidates)
        order = predicted.abs().argsort(dim=1)  # for each structure
        volume = batch.volume.map(Tensor.clone)
        for row, heart in enumerate(hearts.tolist()):
            columns = missing[row, 0].nonzero()[:, 0]
            nearest = order[row][:, columns].flatten()[:count]  # the structures take turns
            volume.points[heart, :count] = candidates[row, nearest]
            volume.distances[heart, :count] = predicted[row, nearest]
            volume.known[heart, :count] = -torch.inf  # _filled marks the missing ones as known
        return replace(batch, volume=volume)


def _filled(
    queries: Queries, hearts: Tensor, missing: Tensor, predicted: Tensor
) -> dict[str, Tensor]:
    """Fill a group's missing distances with predicted ones, and mark these as known."""
    distances, known = queries.distances.clone(), queries.known.clone()
    # No point is inside two structures: at a depth d inside an annotated one, the distance to all
    # others is at least d.
    others = distances[hearts].masked_fill(missing, torch.inf).amin(dim=2, keepdim=True)
    distances[hearts] = torch.where(missing, predicted.maximum(-others), distances[hearts])
    known[hearts] = torch.where(missing, torch.inf, known[hearts])
    return {"distances": distances, "known": known}
