"""Ejection fractions of a synthetic heart that beats, beside the true ones.

    python examples/beating.py --out FOLDER [--frames 10] [--model MODEL]

It writes a beating phantom (``labels/``), reconstructs every frame of it (``patient/``, with an
animation in ``heart.html`` and ``heart.pvd`` for ParaView), and draws the volumes over the cycle
(``volumes.png``): as reconstructed, and as they are. The same in two commands:

    vecsetx phantom labels/ --count 1 --frames 10
    vecsetx reconstruct --frames labels/phantom000.nii.gz --out patient/
"""

import argparse
import csv
import json
from pathlib import Path

from matplotlib.figure import Figure

from vecsetx.anatomy.structures import structure
from vecsetx.commands.cine.phantoms import make_beating_phantoms
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.model.built_in import built_in_model

CHAMBERS = ("LV", "RV", "LA", "RA")


def draw(path: Path, found: list[dict[str, str]], true: list[dict[str, float]]) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="time, ms", ylabel="volume, ml")
    for name in CHAMBERS:
        column, color = f"{name}_volume_ml", [part / 255 for part in structure(name).color]
        axes.plot(
            [one["time_ms"] for one in true], [one[column] for one in true], color=color, label=name
        )
        known = [one for one in found if one[column]]
        times = [float(one["time_ms"]) for one in known]
        axes.plot(times, [float(one[column]) for one in known], "o", color=color)
    axes.set_title("lines: true, dots: reconstructed")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--spacing", type=float, default=1.6)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--model", type=Path, default=built_in_model())
    given = parser.parse_args()
    labels, patient = given.out / "labels", given.out / "patient"
    (heart,) = make_beating_phantoms(
        labels, 1, given.seed, given.size, given.spacing, given.frames, workers=1
    )
    reconstruct(
        given.model, [heart], patient, ReconstructOptions(resolution=given.resolution, frames=True)
    )
    true = json.loads((labels / "truth.json").read_text())["phantom000"]
    with (patient / "volumes.csv").open() as file:
        draw(given.out / "volumes.png", list(csv.DictReader(file)), true["frames"])
    found = json.loads((patient / "cycle.json").read_text())["hearts"]["phantom000"]["measures"]
    for name in ("LV_ejection_fraction_percent", "RV_ejection_fraction_percent"):
        value, reason = found[name]["value"], found[name]["reason"]
        made = f"{value:.1f}" if reason == "" else f"unknown ({reason})"
        print(f"{name}: {made}; true: {true['numbers'][name]:.1f}")


if __name__ == "__main__":
    main()
