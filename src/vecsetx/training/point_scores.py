"""Point scores: Dice, IoU and accuracy of being inside at sample points.

They help to follow a training run. Shapes are scored on voxel grids
(:mod:`vecsetx.evaluation.scores`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from vecsetx.anatomy.sign import inside
from vecsetx.data.batch import Batch
from vecsetx.model.vecset import VecSetAutoEncoder

__all__ = ["confusion", "mean_terms", "point_scores"]


def confusion(model: VecSetAutoEncoder, batch: Batch) -> Int[Tensor, "k 4"]:
    """Confusion counts of being inside each structure, at near and volume points.

    Points whose true side is unknown are left out.

    Returns:
        ``[K, 4]`` true positives, false positives, false negatives, true negatives.
    """
    latent_set = model.encode(batch.points, batch.structure, normals=batch.normals)
    tokens = model.process(latent_set)
    queries = torch.cat([batch.near.points, batch.volume.points], dim=1)
    predicted = inside(model.query(tokens, latent_set.positions, queries).float())
    truth = inside(torch.cat([batch.near.distances, batch.volume.distances], dim=1))
    known = torch.cat([batch.near.known, batch.volume.known], dim=1) > 0
    kinds = (truth & predicted, ~truth & predicted, truth & ~predicted, ~truth & ~predicted)
    return torch.stack([(kind & known).sum(dim=(0, 1)) for kind in kinds], dim=-1).cpu()


def point_scores(
    counts: Int[Tensor, "k 4"], structures: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Dice, IoU and accuracy per structure, 0…1, from the counts of :func:`confusion`.

    A structure that is neither present nor predicted has only an accuracy; one without any known
    point is left out.
    """
    found: dict[str, dict[str, float]] = {}
    for name, (tp, fp, fn, tn) in zip(structures, counts.tolist(), strict=True):
        if not (total := tp + fp + fn + tn):
            continue
        found[name] = {"accuracy": (tp + tn) / total}
        if union := tp + fp + fn:
            found[name] |= {"dice": 2 * tp / (union + tp), "iou": tp / union}
    return found


def mean_terms(terms: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each loss term over hearts; empty without hearts."""
    return {name: sum(t[name] for t in terms) / len(terms) for name in (terms[0] if terms else {})}
