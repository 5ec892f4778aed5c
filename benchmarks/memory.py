"""Memory that a training step stores for its backward pass, compared with VecSetX's predecessor.

    python benchmarks/memory.py [--queries 10240] [--preset large] [--json FILE]

Steps run on fake tensors (``vecsetx.training.memory``), in bfloat16 where the training loop uses
it, with the Eikonal term; every storage alive between forward and backward pass counts. All methods
get the same model, surface points and query points:

* ours: fused attention; gradients in chunks that are recomputed in the backward pass, at the few
  points that the recipe specifies and, for a fair comparison, at all query points;
* the predecessor's: unfused attention; gradients at all query points by reverse-mode
  differentiation twice. It has only the distance to the union, hence one gradient; ours has one
  for each of ten structures.

It prints a table and writes JSON. It takes a few minutes on one core.
"""

import argparse
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from vecsetx.model.gradient import spatial_gradients
from vecsetx.presets import preset
from vecsetx.recipe import Recipe
from vecsetx.training.memory import measure
from vecsetx.training.step_spec import StepSpec

STRUCTURES = 10
MB = 10**6
CHUNK_POINTS = 2048
"""Chunk size for gradients at all points; activations are never stored, whatever the size."""

Field = Callable[[Tensor], Tensor]


def unfused(query: Tensor, key: Tensor, value: Tensor, scale: float, _: bool = False) -> Tensor:
    """Attention that stores every weight; a GPU's autocast computes softmax in fp32."""
    return (scale * query @ key.mT).softmax(dim=-1, dtype=torch.float32) @ value


def backwards_twice(field: Field, points: Tensor) -> Tensor:
    """Compute gradients that can be differentiated again, because their graph is kept."""
    points = points.detach().requires_grad_()
    values = field(points)
    found = [
        torch.autograd.grad(values[..., k].sum(), points, create_graph=True)[0]
        for k in range(values.shape[-1])
    ]
    return torch.stack(found, dim=-2)


def in_large_chunks(field: Field, points: Tensor) -> Tensor:
    return spatial_gradients(field, points, CHUNK_POINTS)


def kept_mb(recipe: Recipe, recompute: bool, **replaced: Any) -> float:
    """Measure megabytes stored per heart, with some of the package's functions replaced."""
    parts = (recipe.model, recipe.batch, recipe.objective, recipe.optimizer)
    training = replace(recipe.training, recompute=recompute)
    places = {
        "attend": "vecsetx.model.attention.attend",
        "spatial_gradients": "vecsetx.training.objective.spatial_gradients",
    }
    with ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(patch(places[name], function))
        return measure(StepSpec(*parts, training, STRUCTURES)).kept_per_heart() / MB


def methods(recipe: Recipe, queries: int) -> dict[str, float]:
    """Measure megabytes stored per heart, for each method."""
    third = -(-queries // 3)
    rest = queries - 2 * third
    batch = replace(recipe.batch, surface=third, near=third, volume=rest)
    few = replace(recipe, batch=batch, objective=replace(recipe.objective, eikonal=0.1))
    all_points = replace(few, objective=replace(few.objective, gradient_points=queries))
    union = replace(all_points, model=replace(all_points.model, field="union"))
    chunks = {"spatial_gradients": in_large_chunks}
    return {
        "ours, recompute": kept_mb(few, True),
        "ours": kept_mb(few, False),
        "ours, recompute, gradients at all points": kept_mb(all_points, True, **chunks),
        "ours, gradients at all points": kept_mb(all_points, False, **chunks),
        "predecessor's": kept_mb(union, False, attend=unfused, spatial_gradients=backwards_twice),
    }


def show(results: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Stored for the backward pass, preset {results['preset']}, with Eikonal")
    table.add_column("")
    for heading in ("MB per heart", "predecessor's / this"):
        table.add_column(heading, justify="right")
    for method, kept in results["kept_mb"].items():
        table.add_row(method, f"{kept:,.0f}", f"{results['ratio'][method]:.1f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="large")
    parser.add_argument("--queries", type=int, default=10_240, help="query points per heart")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/memory.json"))
    options = parser.parse_args()
    kept = methods(preset(options.preset), options.queries)
    results = {
        "preset": options.preset,
        "queries": options.queries,
        "torch": torch.__version__,
        "kept_mb": kept,
        "ratio": {name: kept["predecessor's"] / found for name, found in kept.items()},
    }
    show(results, Console())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
