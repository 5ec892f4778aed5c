"""Training runs with known faults, for the tests of the diagnosis."""

from pathlib import Path

from support.runs import RECIPE
from vecsetx.commands.train import train_model

STEPS = 60
CHANGES = {
    "sound": {},
    "low": {"optimizer": {"muon_lr": 5e-5, "adamw_lr": 2e-5}},
    "high": {"optimizer": {"muon_lr": 0.5, "adamw_lr": 0.2}},
    "surface": {"objective": {"surface": 1000.0}},
}
"""What each run's recipe has that a sound one does not."""


def train_faulty_runs(data: Path, folder: Path) -> None:
    """Train every run of ``CHANGES`` into a folder of its name."""
    for name, changes in CHANGES.items():
        training = {"steps": STEPS, "log_every": 2, "checkpoint_every": STEPS, "seed": 3}
        if name == "sound":
            training |= {"gradient_norms_every": 25}
        recipe = RECIPE.changed(changes, "test").changed({"training": training}, "test")
        train_model(data, folder / name, recipe)
