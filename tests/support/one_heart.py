"""What tests of ``reconstruct --one-heart`` share: a model that predicts the truth, and views."""

from pathlib import Path

import numpy as np
import pytest

from support.analytic_fields import AnalyticField
from support.cine import BODIES, NAMES, true_distances
from support.runs import untrained
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.reconstruct import ReconstructOptions
from vecsetx.formats.label_maps import write_label_map
from vecsetx.inference.encode import EncodeOptions
from vecsetx.model.heart_field import HeartField

IDS = label_set("default")
OPTIONS = ReconstructOptions(
    EncodeOptions(label_set=IDS, points=200, refine=0),
    resolution=40,
    page=False,
    labels=False,
    one_heart=True,
)


def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    untrained(NAMES).save_pretrained(folder)
    return folder


def predict_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model predict the true heart, whatever it is shown."""

    def distances_mm(_: HeartField, points_mm: np.ndarray) -> np.ndarray:
        return AnalyticField(BODIES).distances_mm(points_mm)

    monkeypatch.setattr(HeartField, "distances_mm", distances_mm)
    monkeypatch.setattr("vecsetx.cohort.aligning.by_model", lambda *_: true_distances())


def written(folder: Path, views: dict[str, LabelMap]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.nii.gz" for name in views]
    for path, view in zip(paths, views.values(), strict=True):
        write_label_map(view.to_label_set(IDS, NAMES), path, NAMES, IDS)
    return paths
