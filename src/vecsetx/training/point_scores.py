"""How well sides are told at sample points. Diagnostics: shapes are scored on voxel grids."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from vecsetx.anatomy.sign import inside
from vecsetx.data.batch import Batch
from vecsetx.model.vecset import VecSetAutoEncoder


def confusion(model: VecSetAutoEncoder, batch: Batch) -> Int[Tensor, "k 4"]:
    """Near and volume points per structure: truly inside, wrongly inside, missed, truly outside.

    Points whose side is not known are left out.
    """
    latent_set = model.encode(batch.points, batch.structure, normals=batch.normals)
    tokens = model.process(latent_set)
    queries = torch.cat([batch.near, batch.volume], dim=1)
    predicted = inside(model.query(tokens, latent_set.positions, queries).float())
    truth = inside(torch.cat([batch.near_distances, batch.volume_distances], dim=1))
    known = torch.cat([batch.near_known, batch.volume_known], dim=1) > 0
    kinds = (truth & predicted, ~truth & predicted, truth & ~predicted, ~truth & ~predicted)
    return torch.stack([(kind & known).sum(dim=(0, 1)) for kind in kinds], dim=-1).cpu()


def point_scores(
    counts: Int[Tensor, "k 4"], structures: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Dice, IoU and accuracy per structure from :func:`confusion`.

    Structures that are neither there nor said to be have only an accuracy; those of which nothing
    is known have nothing.
    """
    found: dict[str, dict[str, float]] = {}
    for name, (both, wrong, missed, outside) in zip(structures, counts.tolist(), strict=True):
        if not (total := both + wrong + missed + outside):
            continue
        found[name] = {"accuracy": (both + outside) / total}
        if said := both + wrong + missed:
            found[name] |= {"dice": 2 * both / (said + both), "iou": both / said}
    return found


def mean_terms(terms: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means of loss terms over hearts."""
    return {name: sum(t[name] for t in terms) / len(terms) for name in (terms[0] if terms else {})}
