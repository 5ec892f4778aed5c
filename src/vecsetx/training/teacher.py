"""Where structures are that a heart's data set does not annotate, as another model sees them.

Hearts of different data sets do not look alike. Left to itself, a model that learns from all of
them comes to tell them apart, and forgets in some what it is only asked for in others. So a model
that was trained on hearts with those structures says where they are, and its answers are learned
beside what is annotated, as in distillation from teachers of single organs (Feng et al., MS-KD,
MICCAI 2021, arXiv:2108.02559).
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vecsetx.data.batch import QUERY_GROUPS, Batch
from vecsetx.errors import InputError
from vecsetx.model.vecset import VecSetAutoEncoder

CANDIDATES = 8
"""Points that are looked at for each that is taken near a structure that is missing."""

ABOUT = 0.05
"""Standard deviation, in units, with which they lie about points that are shown."""


class Teacher:
    """A trained model that is asked during training, and learns nothing itself.

    Args:
        network: The model, of the same scale as the batches, and reliable as far as they are
            learned.
        known: Names of the structures that it knows.
        structures: Names of the K structures of the batches.
        device: Of the batches.

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
    def completed(self, batch: Batch) -> Batch:
        """The batch with its own distances wherever its hearts are not annotated.

        It is shown what the batch shows. No point is inside two structures, so that what is
        annotated bounds its answer; that is then as good as known. Half of these hearts' volume
        points give way to others near the surfaces that it sees, of which there would be few.

        The points are drawn from PyTorch's own generator.
        """
        taught = torch.isneginf(batch.near_known[:, 0])
        hearts = taught.any(dim=1).nonzero()[:, 0]
        if not len(hearts):
            return batch
        missing = taught[hearts, None]
        shown = self._columns[batch.structure[hearts]]
        latent_set = self.network.encode(batch.points[hearts], shown, normals=batch.normals[hearts])
        tokens = self.network.process(latent_set)

        def answer(points: Tensor) -> Tensor:
            found = self.network.query(tokens, latent_set.positions, points)
            return found[..., self._columns].float()

        batch = self._with_points(batch, hearts, missing, answer)
        changes: dict[str, Tensor] = {}
        found = answer(torch.cat([getattr(batch, group)[hearts] for group in QUERY_GROUPS], dim=1))
        counts = [getattr(batch, group).shape[1] for group in QUERY_GROUPS]
        for group, said in zip(QUERY_GROUPS, found.split(counts, dim=1), strict=True):
            distances = getattr(batch, f"{group}_distances").clone()
            known = getattr(batch, f"{group}_known").clone()
            others = distances[hearts].masked_fill(missing, torch.inf).amin(dim=2, keepdim=True)
            distances[hearts] = torch.where(missing, said.maximum(-others), distances[hearts])
            known[hearts] = torch.where(missing, torch.inf, known[hearts])
            changes |= {f"{group}_distances": distances, f"{group}_known": known}
        return replace(batch, taught=taught, **changes)

    def _with_points(
        self,
        batch: Batch,
        hearts: Tensor,
        missing: Tensor,
        answer: Callable[[Tensor], Tensor],
    ) -> Batch:
        """The batch with points near what is missing, at which nothing else is known.

        They are those of many about what is shown that lie nearest to the surface of each missing
        structure. Distances there are what the teacher says of the other structures.
        """
        count = batch.volume.shape[1] // 2
        about = batch.points[hearts, : CANDIDATES * count]
        count = min(count, about.shape[1])
        about = about + ABOUT * torch.randn_like(about)
        said = answer(about)
        order = said.abs().argsort(dim=1)  # for each structure
        volume, distances, known = (
            getattr(batch, name).clone() for name in ("volume", "volume_distances", "volume_known")
        )
        for row, heart in enumerate(hearts.tolist()):
            columns = missing[row, 0].nonzero()[:, 0]
            nearest = order[row][:, columns].flatten()[:count]  # each structure's, in turn
            volume[heart, :count] = about[row, nearest]
            distances[heart, :count] = said[row, nearest]
            known[heart, :count] = -torch.inf
        return replace(batch, volume=volume, volume_distances=distances, volume_known=known)
