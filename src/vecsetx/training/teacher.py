"""Where structures are that a heart's data set does not annotate, as another model sees them.

Hearts of different data sets do not look alike. Left to itself, a model that learns from all of
them comes to tell them apart, and forgets in some what it is only asked for in others. So a model
that was trained on hearts with those structures says where they are, and its answers are learned
beside what is annotated, as in distillation from teachers of single organs (Feng et al., MS-KD,
MICCAI 2021, arXiv:2108.02559).
"""

from dataclasses import replace

import torch
from torch import Tensor

from vecsetx.data.batch import QUERY_GROUPS, Batch
from vecsetx.errors import InputError
from vecsetx.model.vecset import VecSetAutoEncoder


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
        self._network = network.to(device).eval().requires_grad_(False)
        self._columns = torch.tensor([known.index(name) for name in structures], device=device)

    @torch.no_grad()
    def completed(self, batch: Batch) -> Batch:
        """The batch with its own distances wherever its hearts are not annotated.

        It is shown what the batch shows. No point is inside two structures, so that what is
        annotated bounds its answer; that is then as good as known.
        """
        own = {group: torch.isneginf(getattr(batch, f"{group}_known")) for group in QUERY_GROUPS}
        hearts = own["near"].any(dim=(1, 2)).nonzero()[:, 0]
        if not len(hearts):
            return batch
        queries = [getattr(batch, group)[hearts] for group in QUERY_GROUPS]
        shown = self._columns[batch.structure[hearts]]
        answer = self._network(
            batch.points[hearts], shown, None, torch.cat(queries, dim=1), batch.normals[hearts]
        )[..., self._columns].float()
        answers = answer.split([of.shape[1] for of in queries], dim=1)
        changes: dict[str, Tensor] = {}
        for group, found in zip(QUERY_GROUPS, answers, strict=True):
            distances, known = (
                getattr(batch, f"{group}_{w}").clone() for w in ("distances", "known")
            )
            asked = own[group][hearts]
            annotated = distances[hearts].masked_fill(asked, torch.inf).amin(dim=2, keepdim=True)
            distances[hearts] = torch.where(asked, found.maximum(-annotated), distances[hearts])
            known[hearts] = torch.where(asked, torch.inf, known[hearts])
            changes |= {f"{group}_distances": distances, f"{group}_known": known}
        return replace(batch, **changes)
