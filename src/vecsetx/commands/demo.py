"""``vecsetx demo``: the whole pipeline on phantoms."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vecsetx.anatomy.label_sets import label_set
from vecsetx.cohort.out_folder import results_folder
from vecsetx.commands.check import check
from vecsetx.commands.evaluate import Evaluated, EvaluateOptions, evaluate
from vecsetx.commands.phantom import make_phantoms
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.commands.train import train_model
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.model.built_in import built_in_model
from vecsetx.presets import preset
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.terminal.progress_bars import console

__all__ = ["DemoOptions", "demo"]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Size of the demo.

    Attributes:
        count: Number of phantoms.
        size: Voxels along each edge of their label maps.
        spacing_mm: Edge of a voxel, mm.
        val_share: Share of the hearts that are kept out of training.
        seed: Seed of all steps.
        steps: Number of training steps.
    """

    count: int = 48
    size: int = 128
    spacing_mm: float = 1.0
    val_share: float = 1 / 6
    seed: int = 0
    steps: int = 600


def demo(out: Path, options: DemoOptions) -> Evaluated:
    """Reconstruct a phantom with the built-in model; then train a model of one's own, and use it.

    Creates ``labels/``, ``built-in/``, ``data/``, ``check/``, ``run/``, ``evaluate/`` and
    ``reconstruct/`` in ``out``. The run of an earlier demo is replaced.

    Args:
        out: Folder for all results.
        options: Size of the demo.

    Returns:
        The scores of the unseen hearts.

    Raises:
        InputError: A stage failed, ``out`` cannot be written, or another run is writing into it.
    """
    with results_folder(out):
        return _demo(out, options)


def _demo(out: Path, options: DemoOptions) -> Evaluated:
    began = time.monotonic()
    size = options.size, options.spacing_mm
    with _stage("1/7 reconstruct: write meshes of a synthetic heart with the built-in model"):
        first = make_phantoms(out / "labels", 1, options.seed, *size)
        _reconstruct(built_in_model(), first, out / "built-in")
    with _stage("2/7 phantom: write label maps of synthetic hearts"):
        phantoms = make_phantoms(out / "labels", options.count, options.seed, *size)
    with _stage("3/7 prepare: sample points with exact distances"):
        prepare_options = PrepareOptions(
            label_set("default"),
            sampling=SamplingSpec(16_384, 16_384, 16_384),
            val_share=options.val_share,
            seed=options.seed,
        )
        dataset, failed = prepare(phantoms, out / "data", prepare_options)
        if failed:
            raise InputError("\n".join(failed.values()))
    with _stage("4/7 check: look for problems in the data set"):
        if check(out / "data", out / "check")["state"] == "unfit":
            raise InputError(
                f"{out / 'check/check.html'}: some hearts are unfit for training; see there"
            )
    with _stage("5/7 train: train a model with the preset tiny"):
        _remove_run(out / "run")
        recipe = preset("tiny").changed({"training": {"steps": options.steps}}, "demo")
        train_model(out / "data", out / "run", recipe)
    with _stage("6/7 evaluate: score hearts that the model has never seen"):
        evaluated = evaluate(
            out / "run", [out / "data"], out / "evaluate", EvaluateOptions(meshes=False)
        )
    with _stage("7/7 reconstruct: write meshes and a label map"):
        unseen = source_of(dataset, dataset.of_split("val")[0]).path
        _reconstruct(out / "run", [unseen], out / "reconstruct")
    console.notice(f"done in {(time.monotonic() - began) / 60:.1f} minutes")
    return evaluated


def _reconstruct(model: Path, hearts: list[Path], out: Path) -> None:
    if failed := reconstruct(model, hearts, out, ReconstructOptions()):
        raise InputError("\n".join(failed.values()))


@contextmanager
def _stage(title: str) -> Iterator[None]:
    console.heading(title)
    began = time.monotonic()
    yield
    console.notice(f"{time.monotonic() - began:.1f} s")


def _remove_run(folder: Path) -> None:
    for name in ("checkpoint.pt", "metrics.jsonl", "recipe.yaml", "data.json"):
        (folder / name).unlink(missing_ok=True)
