"""Weights to start a training from: those of another model, as far as both know a structure."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from vecsetx.errors import InputError
from vecsetx.model.vecset import ModelSpec, VecSetAutoEncoder

__all__ = ["Started", "start_from"]


@dataclass(frozen=True, slots=True)
class Started:
    """What a model took over.

    Attributes:
        known: Structures whose weights were copied.
        new: Structures that the other model does not know: their weights are random, as without it.
    """

    known: tuple[str, ...]
    new: tuple[str, ...]


@torch.no_grad()
def start_from(
    model: VecSetAutoEncoder,
    structures: tuple[str, ...],
    other: VecSetAutoEncoder,
    others: tuple[str, ...],
) -> Started:
    """Copy another model's weights.

    Weights that belong to a structure (its embedding, its row of the head, its own latents) are
    copied for the structures that both know. All other weights are copied as they are.

    Args:
        model: The model to train, whose weights are overwritten.
        structures: Names of its structures.
        other: The model to start from, on the CPU.
        others: Names of its structures.

    Raises:
        InputError: The models differ in more than the number of latents, or no structure is known.
    """
    _check_alike(model.spec, other.spec)
    known = tuple(name for name in structures if name in others)
    if not known:
        raise InputError(f"it knows none of {', '.join(structures)}; choose another model")
    to = torch.tensor([structures.index(name) for name in known])
    source = torch.tensor([others.index(name) for name in known])
    weights, found = model.state_dict(), other.state_dict()
    for name, tensor in weights.items():
        rows = _rows_per_structure(name, model.spec)
        if rows is None:
            tensor.copy_(found[name])
            continue
        first = 1 if name.startswith("head.") and model.spec.field == "union" else 0
        tensor[:first] = found[name][:first]  # the union's distance is of no structure
        tensor[first + _indices(to, rows)] = found[name][first + _indices(source, rows)]
    return Started(known, tuple(name for name in structures if name not in others))


def _check_alike(spec: ModelSpec, other: ModelSpec) -> None:
    mine, its = asdict(spec), asdict(other)
    # Anchored latents are surface points, of which any number has the same weights.
    free = {"latents"} if spec.queries != "learnable" else set()
    differ = [key for key in mine if mine[key] != its[key] and key not in free]
    if differ:
        raise InputError(
            "has other weights: "
            + ", ".join(f"model.{key}={its[key]}, not {mine[key]}" for key in differ)
            + "; leave model options out, which are then the model's own"
        )


def _rows_per_structure(name: str, spec: ModelSpec) -> int | None:
    """Number of consecutive rows of a weight that belong to each structure; None: to none."""
    if name in ("point_embedding.structure.weight", "head.project.weight", "head.project.bias"):
        return 1
    if name in ("of_structures.tokens", "of_structures.places"):
        return spec.structure_latents
    return None


def _indices(structures: Tensor, rows: int) -> Tensor:
    return (structures[:, None] * rows + torch.arange(rows)).flatten()
