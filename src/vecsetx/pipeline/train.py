"""``vecsetx train``: a data set to a trained model."""

from pathlib import Path

import torch
import yaml

from vecsetx import __version__
from vecsetx.anatomy.structures import LabelSet
from vecsetx.data.dataset import DataSet
from vecsetx.data.draws import Draws
from vecsetx.errors import InputError
from vecsetx.files import write_text
from vecsetx.model.saved import TrainedModel, parameter_count
from vecsetx.pipeline.progress import Steps, console, steps
from vecsetx.pipeline.validate import grid_validator
from vecsetx.recipe import Recipe
from vecsetx.training.journal import Entry
from vecsetx.training.loop import Run, train


def train_model(
    data: Path, out: Path, recipe: Recipe, resume: bool = False, stop_after: int | None = None
) -> TrainedModel:
    """Train a model on the training hearts of a data set.

    The run's folder receives ``recipe.yaml``, ``metrics.jsonl``, ``checkpoint.pt`` and, in
    ``model/``, the trained model.

    Args:
        data: A prepared data set.
        out: The run's folder.
        recipe: Every choice.
        resume: Go on from the folder's checkpoint, with the recipe it was begun with.
        stop_after: Stop with a checkpoint after this step.

    Raises:
        InputError: No usable data set, the folder holds another run, or there is nothing to resume.
    """
    dataset = DataSet.read(data)
    _open_run(out, recipe, resume)
    torch.manual_seed(recipe.training.seed)
    model = recipe.model.build(len(dataset.structures))
    hearts = dataset.of_split("train")
    draws = Draws(
        dataset, hearts, recipe.draws, recipe.augment, recipe.model.latents, recipe.training.seed
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    console.print(
        f"training on {len(hearts)} hearts: {len(dataset.structures)} structures, "
        f"{parameter_count(model) / 1e6:.2f} M weights, {device}"
    )
    validator = None
    if recipe.training.validate_every:
        validator = grid_validator(dataset, recipe.draws.points, recipe.objective.truncation)
    with steps("training", recipe.training.steps) as progress:
        run = Run(
            folder=out,
            model=model,
            draws=draws,
            objective=recipe.objective,
            optimizer=recipe.optimizer,
            training=recipe.training,
            validator=validator,
            observer=_Display(progress),
            device=device,
        )
        train(run, resume, stop_after)
    trained = TrainedModel(
        network=model.cpu().eval(),
        structures=dataset.structures,
        label_set=LabelSet.from_dict(dataset.label_set, str(data)),
        mm_per_unit=draws.files[0].info.frame.mm_per_unit,
        truncation=recipe.objective.truncation,
        points=recipe.draws.points,
        provenance={
            "version": __version__,
            "torch": torch.__version__,
            "data": str(data.resolve()),
            "hearts": [heart.name for heart in hearts],
            "seed": recipe.training.seed,
            "steps": stop_after or recipe.training.steps,
        },
    )
    trained.save(out / "model")
    return trained


class _Display:
    """Shows the last loss and the last grid Dice beside the count of steps."""

    def __init__(self, progress: Steps) -> None:
        self._progress = progress
        self._loss = self._grid_dice = ""

    def __call__(self, entry: Entry) -> None:
        if entry.grid_dice is not None:
            self._grid_dice = f"grid Dice {entry.grid_dice:.3f}"
        else:
            self._loss = f"loss {entry.loss:.4f}"
        self._progress.reach(entry.step, f"{self._loss} {self._grid_dice}".strip())


def _open_run(out: Path, recipe: Recipe, resume: bool) -> None:
    """Make a run's folder, or see that the one there can be resumed with this recipe."""
    kept = out / "recipe.yaml"
    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False)
    if not resume:
        if (out / "checkpoint.pt").exists():
            raise InputError(f"{out}: holds a run already; add --resume, or choose another --out")
        write_text(kept, text)
        return
    if not kept.exists():
        raise InputError(f"{out}: no run to resume (no recipe.yaml); train without --resume")
    if yaml.safe_load(kept.read_text()) != yaml.safe_load(text):
        raise InputError(
            f"{kept}: the run was begun with another recipe; resume with the same preset, --config "
            "and overrides, or choose another --out"
        )
