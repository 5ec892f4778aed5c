"""Make the built-in model: from phantoms and real hearts to weights, calibrated.

    python general/make.py --out build/general [--hearts ../shared/data/kcl] [--steps 30000]

The real hearts are a folder with ``train/`` and ``val/``; without ``--hearts``, the model is made
of phantoms alone. Each step is a command of VecSetX, printed as one would type it. What is done
already is skipped, so that a stopped run goes on.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from vecsetx.model.saved import TrainedModel

HERE = Path(__file__).parent
PHANTOMS, UNSEEN = 192, 8
"""Phantoms for training, and for validation."""

SIZE = ("--size", "200", "--spacing", "0.8", "--scale", "1.25")
"""Phantoms as large as adults' hearts, in label maps that hold all of them."""

POINTS = 20_000
"""Points of each kind per heart: with variants, no heart is drawn so often that it needs more."""

VARIANTS = 4
"""Variants of each real training heart. Phantoms have none: another phantom takes less time."""


def run(*words: object) -> None:
    """Run a command of VecSetX; stop if it fails."""
    line = list(map(str, words))
    print(f"$ vecsetx {shlex.join(line)}", flush=True)
    subprocess.run([sys.executable, "-m", "vecsetx", *line], check=True)


def phantoms(folder: Path) -> Path:
    """Make the phantoms, and a table with the split of each."""
    table = folder / "split.csv"
    if not table.exists():
        run("phantom", folder / "labels", "--count", PHANTOMS + UNSEEN, "--seed", 1, *SIZE)
        names = sorted(path.name.partition(".")[0] for path in (folder / "labels").glob("*.nii.gz"))
        splits = ["train"] * PHANTOMS + ["val"] * UNSEEN
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("heart", "split"), *zip(names, splits, strict=True)])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--hearts", type=Path, help="real hearts: a folder with train/ and val/")
    parser.add_argument("--steps", type=int, help="steps, in place of the preset's")
    options = parser.parse_args()
    out: Path = options.out
    data, trained = out / "data", out / "run"
    # 1. Hearts: the real ones first, so that only they are varied.
    prepare = ("prepare", "--out", data, "--points", POINTS)
    if options.hearts:
        folders = options.hearts / "train", options.hearts / "val"
        run(*prepare, *folders, "--labels", HERE / "kcl.yaml", "--split-by-folder")
        if not (data / "hearts" / "phantom000.safetensors").exists():
            run("vary", data, "--count", VARIANTS)
    table = phantoms(out / "phantoms")
    run(*prepare, out / "phantoms" / "labels", "--split", table, "--labels", "default")
    # 2. The model.
    steps = (f"training.steps={options.steps}",) if options.steps else ()
    begun = ("--resume",) if (trained / "checkpoint.pt").exists() else ("--preset", "general")
    run("train", data, "--out", trained, *begun, *steps)
    # 3. Its files, which name no place of this machine.
    model = TrainedModel.from_pretrained(trained)
    sources = "phantoms and real hearts" if options.hearts else "phantoms"
    known = {"data": f"{sources} (docs/model.md)", "teacher": None, "start": None}
    replace(model, provenance={**model.provenance, **known}).save_pretrained(
        out / "built_in", half=True
    )
    # Calibrated as it is, since rounded weights are another model's.
    run("calibrate", data, "--model", out / "built_in", "--out", out / "calibration")
    calibration = json.loads((out / "calibration" / "calibration.json").read_text())
    calibration["provenance"]["data"] = known["data"]
    (out / "built_in" / "calibration.json").write_text(json.dumps(calibration, indent=2) + "\n")
    # `vecsetx doctor` holds the files against their hashes.
    files = sorted(f for f in (out / "built_in").iterdir() if f.name != "SHA256SUMS")
    hashes = "".join(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (out / "built_in" / "SHA256SUMS").write_text(hashes)
    print(f"the built-in model is in {out / 'built_in'}")


if __name__ == "__main__":
    main()
