"""Speed of training steps on one device: hearts per second, memory, share of the peak FLOP/s.

    python benchmarks/gpu.py [--minutes 7] [--rows base,small] [--kernel both] [--profile]
        [--quick] [--json FILE]

Rows are presets with their own batches, and the predecessor as it was trained: attention written
out, gradients at all query points by reverse-mode differentiation twice, single precision. Hearts
are concentric balls, whose distances are exact, so that nothing need be prepared; a step includes
their copy to the device. Anchored presets are measured with the kernel in float16 and, on the same
card, with the float32 kernel that it replaces (``--kernel half``, ``single`` or ``both``). What
does not fit the memory is reported, and so is what the minutes do not suffice for.

FLOPs are those of the model: three times the matrix products of a forward pass, without gradient
terms, recomputation and padding. Their share is of the card's published dense bfloat16 peak
(float16 without bfloat16) and of a large matrix product measured here.

It also trains 50 steps with each kernel and with two seeds: the kernels' losses should differ by no
more than those of the seeds; and the half-precision kernel twice, deterministically: these losses
should be equal.

``--quick`` measures models and batches of about a hundredth of the size, which takes seconds on a
CPU and says nothing about a GPU. ``--profile`` adds each row's operations by time.
"""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from memory import backwards_twice, unfused
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from vecsetx.data.batch import Batch, Queries, SurfaceQueries
from vecsetx.data.draw import BatchSpec
from vecsetx.model.attention import Attention
from vecsetx.model.weights import parameter_count
from vecsetx.presets import preset
from vecsetx.recipe import Recipe
from vecsetx.training.memory import zero_batch
from vecsetx.training.meters import GB, peak_bytes
from vecsetx.training.ranks import Ranks, precision_on
from vecsetx.training.step import Stepper

STRUCTURES = 7
WARM_UP, MOST_STEPS, SECONDS_PER_ROW = 3, 40, 15.0
LOSS_STEPS = 50
WIDTH = 120
"""Width of the table, in columns."""

PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A40": 150e12,
    "A10G": 70e12,
    "A10": 125e12,
    "4090": 165e12,
    "3090": 71e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""Published dense FLOP/s of tensor cores in half precision, by a part of the card's name.

The first part that occurs in it counts, so that longer ones come first.
"""


@dataclass(frozen=True)
class Row:
    """A measurement.

    Attributes:
        name: Its name.
        recipe: What is trained.
        in_half: Whether anchored attention computes in float16; None where there is none.
        predecessor: Whether attention and gradients are the predecessor's.
    """

    name: str
    recipe: Recipe
    in_half: bool | None = None
    predecessor: bool = False


def rows(kernel: str, quick: bool, compiled: bool) -> list[Row]:
    """All rows; those that matter most come first, as the minutes may not suffice for all."""
    made = []
    kernels = {"half": [True], "single": [False], "both": [True, False]}[kernel]
    for name in ("small", "base", "tiny"):
        recipe = preset(name)
        made += [Row(f"{name}, {_kernel(half)}", recipe, half) for half in kernels]
    eikonal = preset("large").changed({"objective": {"eikonal": 0.1}}, "benchmark")
    made.append(Row("large, Eikonal, recomputing", eikonal))
    kept = eikonal.changed({"batch": {"hearts": 32}, "training": {"recompute": False}}, "benchmark")
    made.append(Row("large, Eikonal", kept))
    made.append(Row("predecessor", _predecessor(eikonal), predecessor=True))
    if compiled:
        small = preset("small").changed({"training": {"compile": True}}, "benchmark")
        made += [Row(f"small compiled, {_kernel(half)}", small, half) for half in kernels]
    return [replace(row, recipe=_reduced(row.recipe)) for row in made] if quick else made


def _kernel(in_half: bool) -> str:
    return "half" if in_half else "single"


def _predecessor(large: Recipe) -> Recipe:
    batch = large.batch
    queries = batch.surface + batch.near + batch.volume
    changes = {
        "model": {"field": "union"},
        "batch": {"hearts": 2},
        "objective": {"gradient_points": queries},
        "training": {"recompute": False, "precision": "fp32"},
    }
    return large.changed(changes, "benchmark")


def _reduced(recipe: Recipe) -> Recipe:
    """About a hundredth of a recipe's size, in autocast even on a CPU, so that all is tried."""
    batch = recipe.batch
    changes = {
        "model": {"width": 32, "heads": 2, "latents": 16, "layers": 1, "expansion": 2},
        "batch": {"hearts": min(batch.hearts, 2), "points": 64}
        | dict.fromkeys(("surface", "near", "volume"), 16),
        "objective": {"gradient_points": 6},
        "training": {"precision": "bf16" if recipe.training.precision == "auto" else "fp32"},
    }
    return recipe.changed(changes, "benchmark")


def balls(spec: BatchSpec, seed: int) -> Batch:
    """Hearts of concentric balls: structure k is the ball of radius 0.1 (k + 1) units."""
    generator = torch.Generator().manual_seed(seed)
    radii = 0.1 * (1 + torch.arange(STRUCTURES))

    def drawn(count: int, spread: float) -> tuple[Tensor, Tensor, Tensor]:
        structure = torch.randint(STRUCTURES, (spec.hearts, count), generator=generator)
        normals = torch.randn(spec.hearts, count, 3, generator=generator)
        normals = functional.normalize(normals, dim=-1)
        shift = spread * torch.randn(spec.hearts, count, 1, generator=generator)
        return normals * (radii[structure][..., None] + shift), structure, normals

    def known(points: Tensor) -> tuple[Tensor, Tensor]:
        distances = points.norm(dim=-1, keepdim=True) - radii
        return distances, torch.full_like(distances, torch.inf)

    points, structure, normals = drawn(spec.points, 0.0)
    surface, of_surface, normals_there = drawn(spec.surface, 0.0)
    near, volume = drawn(spec.near, 0.02)[0], drawn(spec.volume, 0.2)[0]
    return Batch(
        points=points,
        structure=structure,
        normals=normals,
        surface=SurfaceQueries(surface, *known(surface), of_surface, normals_there),
        near=Queries(near, *known(near)),
        volume=Queries(volume, *known(volume)),
        taught=torch.zeros(spec.hearts, STRUCTURES, dtype=torch.bool),
    )


@contextmanager
def kernels_of(row: Row) -> Iterator[None]:
    """Compute with the row's attention and gradients while the block runs."""
    with ExitStack() as stack:
        if row.in_half is not None:
            stack.enter_context(patch.object(Attention, "in_half", row.in_half))
        if row.predecessor:
            stack.enter_context(patch("vecsetx.model.attention.attend", unfused))
            gradients = "vecsetx.training.objective.spatial_gradients"
            stack.enter_context(patch(gradients, backwards_twice))
        yield


def stepper_of(recipe: Recipe, device: torch.device, seed: int = 0) -> Stepper:
    torch.manual_seed(seed)
    model = recipe.model.build(STRUCTURES).to(device).train()
    model.recompute = recipe.training.recompute
    if recipe.training.compile:
        model.compile_blocks()
    optimizers = recipe.optimizer.build(model)
    clip, precision = recipe.optimizer.clip, recipe.training.precision
    return Stepper(model, recipe.objective, optimizers, clip, precision, Ranks(0, 1, device))


def measured(
    row: Row, device: torch.device, until: float, profiled: bool, quick: bool
) -> dict[str, Any]:
    """Measure a row's steps, until a time (of time.monotonic) at the latest."""
    recipe = row.recipe
    batches = [balls(recipe.batch, seed) for seed in range(4)]
    peak_bytes(device)
    with kernels_of(row):
        stepper = stepper_of(recipe, device)
        seconds: list[float] = []
        warm_up, most = (1, 2) if quick else (WARM_UP, MOST_STEPS)
        for step in range(warm_up + most):
            began = time.monotonic()
            stepper.step([batches[step % len(batches)]], False)
            _wait(device)
            ended = time.monotonic()
            seconds.append(ended - began)
            timed = seconds[warm_up:]
            if len(timed) >= 2 and (sum(timed) > SECONDS_PER_ROW or ended > until):
                break
        by_time = _operations(stepper, batches[0], device) if profiled else None
    step_s = statistics.median(timed)
    flops = 3 * recipe.batch.hearts * forward_flops(recipe)
    return {
        "weights": parameter_count(stepper._model),
        "hearts": recipe.batch.hearts,
        "precision": precision_on(device, recipe.training.precision),
        "steps": len(timed),
        "first_step_s": seconds[0],
        "step_s": step_s,
        "hearts_per_s": recipe.batch.hearts / step_s,
        "memory_gb": peak_bytes(device) / GB,
        "model_flops_per_s": flops / step_s,
        **({"operations": by_time} if by_time else {}),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _operations(stepper: Stepper, batch: Batch, device: torch.device) -> list[str]:
    """The operations of one step that take most time, as the profiler tabulates them."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as found:
        stepper.step([batch], False)
        _wait(device)
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    return found.key_averages().table(sort_by=order, row_limit=25).splitlines()


def forward_flops(recipe: Recipe) -> int:
    """FLOPs of the matrix products of one heart's forward pass, without computing it."""
    with FakeTensorMode():
        model = recipe.model.build(STRUCTURES).eval()
        batch = zero_batch(recipe.batch, 1, STRUCTURES)
        anchors = torch.zeros(1, recipe.model.anchors, dtype=torch.int64)
        queries = torch.cat([group.points for group in batch.queries.values()], dim=1)
        with (
            FlopCounterMode(display=False) as counter,
            patch("vecsetx.model.attention.attend", unfused),
        ):
            model(batch.points, batch.structure, anchors, queries, batch.normals)
    return counter.get_total_flops()


def peak_flops(device: torch.device, size: int) -> dict[str, float | None]:
    """The published peak of a GPU, if it is known, and that of a large matrix product, FLOP/s."""
    published = None
    kind = torch.float32
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        published = next((peak for part, peak in PEAKS.items() if part in name), None)
        has_bf16 = precision_on(device, "auto") == "bf16"
        kind = torch.bfloat16 if has_bf16 else torch.float16
    matrix = torch.randn(size, size, device=device, dtype=kind)
    best = float("inf")
    for _ in range(5):
        _wait(device)
        began = time.monotonic()
        for _ in range(4):
            matrix @ matrix
        _wait(device)
        best = min(best, (time.monotonic() - began) / 4)
    return {"published": published, "matrix_product": 2 * size**3 / best}


def losses(
    recipe: Recipe, device: torch.device, in_half: bool, seed: int, steps: int
) -> list[float]:
    """Train from new weights; the loss of each step."""
    with patch.object(Attention, "in_half", in_half):
        stepper = stepper_of(recipe, device, seed)
        for optimizer, rate in zip(
            stepper._optimizers, recipe.optimizer.peak_rates(recipe.batch.hearts), strict=True
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate / 4
        return [
            sum(stepper.step([balls(recipe.batch, 1000 * seed + step)], False).terms.values())
            for step in range(steps)
        ]


def losses_of_kernels(quick: bool, device: torch.device) -> dict[str, Any]:
    """Losses of 50 steps with both kernels and two seeds, and whether a seed gives them again."""
    recipe = preset("tiny")
    recipe = _reduced(recipe) if quick else recipe
    steps = 2 if quick else LOSS_STEPS
    found = {
        f"{_kernel(in_half)}, seed {seed}": losses(recipe, device, in_half, seed, steps)
        for in_half in (True, False)
        for seed in (0, 1)
    }
    torch.use_deterministic_algorithms(True)
    try:
        once, again = (losses(recipe, device, True, 0, steps) for _ in range(2))
        repeats: bool | str = once == again
    except RuntimeError as error:  # an operation has no deterministic kernel
        repeats = str(error).splitlines()[0]
    finally:
        torch.use_deterministic_algorithms(False)
    last = {name: statistics.mean(course[-10:]) for name, course in found.items()}
    single, half = ([last[f"{_kernel(k)}, seed {s}"] for s in (0, 1)] for k in (False, True))
    return {
        "mean_of_last": last,
        "between_kernels": max(abs(h - s) for h, s in zip(half, single, strict=True)),
        "between_seeds": abs(single[0] - single[1]),
        "deterministic": repeats,
    }


def show(results: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Training steps on {results['device']}, torch {results['torch']}")
    headings = (
        "",
        "weights",
        "hearts",
        "hearts/s",
        "s per step",
        "GB",
        "TFLOP/s",
        "of peak",
        "of product",
    )
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    peaks = results["peak_flops_per_s"]
    for name, row in results["rows"].items():
        if "error" in row:
            table.add_row(name, row["error"])
            continue
        rate = row["model_flops_per_s"]
        table.add_row(
            name,
            f"{row['weights'] / 1e6:.1f} M",
            str(row["hearts"]),
            f"{row['hearts_per_s']:.1f}",
            f"{row['step_s']:.3f}",
            f"{row['memory_gb']:.1f}",
            f"{rate / 1e12:.2f}",
            f"{rate / peaks['published']:.1%}" if peaks["published"] else "unknown",
            f"{rate / peaks['matrix_product']:.1%}",
        )
    console.print(table)
    if courses := results.get("losses"):
        console.print(
            f"losses after training: kernels differ by {courses['between_kernels']:.4f}, seeds by "
            f"{courses['between_seeds']:.4f}; deterministic ones repeat: {courses['deterministic']}"
        )


def run(options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    until = began + 60 * options.minutes
    device = torch.device("cuda" if torch.cuda.is_available() and not options.quick else "cpu")
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "quick": options.quick,
        "peak_flops_per_s": peak_flops(device, 256 if options.quick else 8192),
        "rows": {},
        "losses": losses_of_kernels(options.quick, device),
    }
    wanted = options.rows.split(",") if options.rows else [""]
    for row in rows(options.kernel, options.quick, compiled=not options.quick):
        if not any(row.name.startswith(name) for name in wanted):
            continue
        if time.monotonic() > until:
            results["rows"][row.name] = {"error": "left out: no time left"}
            continue
        try:
            found = measured(row, device, until, options.profile, options.quick)
        except torch.OutOfMemoryError:
            found = {"error": "out of memory"}
        results["rows"][row.name] = found
        gc.collect()  # the model and its optimizers refer to each other
        if device.type == "cuda":
            torch.cuda.empty_cache()
    results["seconds"] = time.monotonic() - began
    return results


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=7.0, help="no row begins after this")
    parser.add_argument("--rows", default="", help="beginnings of names, separated by commas")
    parser.add_argument("--kernel", choices=["half", "single", "both"], default="both")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/gpu.json"))
    options = parser.parse_args(words)
    # cuBLAS reads it when it is first used; only deterministic operations heed it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    results = run(options)
    show(results, Console(width=WIDTH))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
