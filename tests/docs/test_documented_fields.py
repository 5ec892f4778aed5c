"""The fields that docs/formats.md lists are those of the files."""

import dataclasses
import json
from pathlib import Path

from safetensors import safe_open
from support.pages import documented_fields

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.model.built_in import built_in_model
from vecsetx.sampling.npz.predecessor import KEYS
from vecsetx.training.journal import Entry


def test_data_set_and_prepared_heart(dataset: DataSet) -> None:
    content = json.loads((dataset.folder / "dataset.json").read_text("utf-8"))
    nested = {"name", "ids", "drop", "drop_others", "ignore"}  # of a label set
    assert set(content) == documented_fields("dataset.json")
    assert set(content["hearts"][0]) == documented_fields("Hearts of a data set")
    with safe_open(dataset.folder / content["hearts"][0]["file"], "numpy") as file:
        assert set(file.keys()) == documented_fields("A prepared heart")
        metadata = file.metadata()
        count = len(dataset.hearts[0].annotated)
        assert file.get_slice("surface").get_shape()[1] == 3 + 1 + 3 + count + 1
        assert file.get_slice("near").get_shape()[1] == 3 + count + 1
    assert set(metadata) == {"schema", "tensors_sha256", "heart_sha256", "heart"}
    assert set(json.loads(metadata["heart"])) == documented_fields("Metadata of a prepared heart")
    assert set(label_set("default").to_dict()) <= nested


def test_saved_model(trained_run: Path) -> None:
    model = trained_run / "model"
    content = json.loads((model / "model.json").read_text("utf-8"))
    assert set(content) <= documented_fields("model.json")
    built_in = built_in_model()
    described = json.loads((built_in / "model.json").read_text("utf-8"))
    calibration = json.loads((built_in / "calibration.json").read_text("utf-8"))
    assert set(described) == documented_fields("model.json")
    assert set(calibration) == documented_fields("calibration.json")
    assert {file.name for file in built_in.iterdir()} == documented_fields("A saved model")


def test_journal(trained_run: Path) -> None:
    names = {field.name for field in dataclasses.fields(Entry)}
    assert names == documented_fields("metrics.jsonl")
    lines = (trained_run / "metrics.jsonl").read_text("utf-8").splitlines()
    assert set().union(*(json.loads(line) for line in lines)) <= names


def test_npz() -> None:
    assert set(KEYS) <= documented_fields("NPZ files")


def test_scores() -> None:
    columns = {"heart", "structure", "state", "observed", *MEASURES}
    assert columns == documented_fields("scores.csv")
