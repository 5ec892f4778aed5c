"""The factor on standard deviations between slices, for the built-in model's calibration.

    python benchmarks/slice_factor.py HEARTS... [--labels LABELS] [--model MODEL] [--write]

Each heart is sliced and put together as in ``views.py``, and the spread of its ensemble is compared
with the errors between slices. The factor makes two standard deviations cover 95.4% of all hearts'
points there. ``--write`` puts it into the model's ``calibration.json``.
"""

import argparse
from pathlib import Path

import numpy as np
from sliced_hearts import as_views, common_mm
from views import MEMBERS, errors_between, moved, reconstructed, surfaces_of

from vecsetx import load
from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.evaluation.calibration import Calibration, VertexErrors
from vecsetx.files import write_json
from vecsetx.model.built_in import built_in_model
from vecsetx.model.saved import TrainedModel
from vecsetx.plain_data import hash_of, read_json
from vecsetx.views.shifts import align, holds_of
from vecsetx.views.slices import Slice, slices_of
from vecsetx.views.with_model import by_model


def measured(path: Path, labels: str, trained: TrainedModel, seed: int) -> VertexErrors:
    names = trained.structures
    (source,) = find_hearts([path], label_set(labels)).values()
    heart = source.segmentation(names).label_map
    views, shifts = as_views(heart, names, 6.0, np.random.default_rng(seed))
    slices: list[Slice] = []
    for number, (name, view) in enumerate(views.items()):
        slices += slices_of(view, str(path), name, number, len(names))
    aligned = align(slices, holds_of(slices, "slice"), by_model(trained, seed))
    true_mm = np.array([shifts[one.name.split()[0]][one.number - 1] for one in slices])
    directions = np.stack([one.directions for one in slices])
    whole_mm = common_mm(aligned.shifts_mm[:, :2], true_mm[:, :2], directions)
    made = moved(reconstructed(aligned, trained, seed, MEMBERS), -whole_mm)
    each = errors_between(made, surfaces_of(heart, names), slices)
    for name, own in each.items():
        print(f"  {name}: {Calibration.of(own).factor:.2f}", flush=True)
    return VertexErrors.joined(each.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hearts", nargs="+", type=Path)
    parser.add_argument("--labels", default="general/kcl.yaml")
    parser.add_argument("--model", type=Path, default=built_in_model())
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    trained, found = load(given.model), []
    for seed, path in enumerate(given.hearts):
        print(path, flush=True)
        found.append(measured(path, given.labels, trained, seed))
        print(f"  factor {Calibration.of(found[-1]).factor:.2f}", flush=True)
    factor = Calibration.of(VertexErrors.joined(found)).factor
    for path, one in zip(given.hearts, found, strict=True):
        within = Calibration.of(one.scaled(factor)).within[1]
        print(f"{path}: {100 * within:.1f}% within two standard deviations of factor {factor:.2f}")
    if given.write:
        file = given.model / "calibration.json"
        content = {**read_json(file), "slice_factor": factor, "slice_hearts": len(found)}
        write_json(file, content | {"sha256": hash_of(content, "sha256")})


if __name__ == "__main__":
    main()
