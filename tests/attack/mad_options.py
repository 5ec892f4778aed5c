"""Every option of every command with 0, −1, nan, infinity, huge numbers and words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attack.judge import Attack
from attack.material import Material

VALUES = ("0", "-1", "nan", "inf", "-inf", "1e12", "1000000000000", "word", "", "1e-12", "9" * 400)

BASES = {
    "inspect": "inspect plain.nii",
    "labels": "labels default",
    "prepare": "prepare plain.nii --out out --points 100 --workers 1",
    "check": "check {data} --out out",
    "vary": "vary {data} --count 1 --workers 1",
    "export": "export {data} --out out",
    "phantom": "phantom out --count 1 --size 32 --spacing 4",
    "plan": "plan {data} --config recipe.yaml",
    "train": "train {data} --out out --config recipe.yaml training.steps=2",
    "diagnose": "diagnose {run}",
    "reconstruct": "reconstruct plain.nii --model {run} --out out --resolution 16 --refine 0 "
    "--no-page",
    "evaluate": "evaluate {data} --model {run} --out out --refine 0 --no-meshes",
    "calibrate": "calibrate {two} --model {run} --split train --few --ensemble 2",
    "compare": "compare {scores} {refined} --out out",
    "measure": "measure plain.nii --out out --workers 1",
    "volume-mesh": "volume-mesh plain.nii --out out --edge-mm 6 --workers 1",
    "shape fit": "shape fit {data} --model {run} --out out",
    "shape sample": "shape sample {space} --model {run} --out out --count 1 --spacing-mm 5",
    "shape modes": "shape modes {space} --model {run} --out out --modes 1 --sd 1 --write labels "
    "--spacing-mm 5",
    "shape interpolate": "shape interpolate {space} phantom00 phantom01 --model {run} --out out "
    "--steps 2 --write labels --spacing-mm 5",
    "shape project": "shape project {space} plain.nii --model {run} --out out",
    "info": "info {run}",
    "doctor": "doctor",
}
"""A sound command line of each command; the demo's is too long to be made for every value."""

PLACES = ("run", "data", "two", "space", "scores", "refined")
"""The material's folders that they name."""

RECIPE_KEYS = ("model.width", "model.layers", "batch.hearts", "training.steps", "optimizer.muon_lr")


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield attacks with every option; ``count`` is the number of values of each."""

    rng = np.random.default_rng([seed, 2])
    commands = every_command()
    for name, base in BASES.items():
        for option in _options(commands[name]):
            for value in rng.choice(VALUES, min(count, len(VALUES)), replace=False):
                yield "options", _attack(material, folder, base, [f"{option}={value}"])
    for command in ("train", "plan"):
        for key in RECIPE_KEYS:
            for value in rng.choice(VALUES, min(count, len(VALUES)), replace=False):
                yield "options", _attack(material, folder, BASES[command], [f"{key}={value}"])


def _options(command: Any) -> list[str]:
    """Return the options that take a value, but for files that are written: those are places."""
    return [
        parameter.opts[0]
        for parameter in command.params
        if parameter.param_type_name == "option"
        and not parameter.is_flag
        and parameter.name != "out"
    ]


def _attack(material: Material, folder: Path, base: str, added: list[str]) -> Attack:
    material.copy("plain.nii", folder)
    material.copy("recipe.yaml", folder)
    for place in PLACES:
        if f"{{{place}}}" in base:
            material.copy(place, folder)
    words = base.format(**{place: place for place in PLACES}).split()
    option = added[0].partition("=")[0]
    if option in words:  # some may not be given twice
        del words[words.index(option) : words.index(option) + 2]
    words += added
    command = words[0]
    out = {"diagnose": "run", "calibrate": "run", "vary": "data"}.get(command, "out")
    return Attack(f"{command} {' '.join(added)[:60]}", tuple(words), out)
