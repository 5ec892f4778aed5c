"""Schema versions: files of a later version are refused with what to do, older ones are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vecsetx import load, load_shape_space
from vecsetx.commands.compare import compare_scores
from vecsetx.commands.info import describe
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.formats.own_results import guessed_in
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.runs.run_folder import RunData
from vecsetx.sampling.npz.layout import exported_info
from vecsetx.sampling.samples import SamplesFile
from vecsetx.schemas import check_schema
from vecsetx.training.checkpoint import Progress, load_checkpoint, save_checkpoint

FIXTURES = Path(__file__).parent / "fixtures" / "0.1"


def calibration(file: Path) -> None:
    SdFactor.read(None, load(FIXTURES / "run"), file)


JSON_FILES: dict[str, Callable[[Path], Any]] = {
    "run/model/model.json": lambda file: load(file.parent),
    "run/model/calibration.json": calibration,
    "run/data.json": lambda file: RunData.of(file.parent),
    "data/dataset.json": lambda file: DataSet.read(file.parent),
    "space/space.json": lambda file: load_shape_space(file.parent),
    "scores-a/scores.json": lambda file: compare_scores(
        file, FIXTURES / "scores-b", file.parent / "out"
    ),
    "heart/summary.json": lambda file: guessed_in(file.parent),
}
"""File → its reader, besides ``vecsetx info``."""

DESCRIBED = (
    *("scores-a/scores.json", "comparison/compare.json", "heart/summary.json"),
    *("measures/measures.json", "space/space.json", "data/dataset.json"),
)

LATER = r"schema {}, this version reads {}: a later VecSetX than .* update with pip install"


def changed(file: str, folder: Path, **values: object) -> tuple[Path, int]:
    """Write a copy with other values; return it, and the schema that the file had."""
    content = json.loads((FIXTURES / file).read_text())
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(json.dumps(content | values))
    return folder / file, content["schema"]


@pytest.mark.parametrize("file", JSON_FILES)
def test_a_file_of_a_later_version_is_refused(file: str, tmp_path: Path) -> None:
    copy, schema = changed(file, tmp_path, schema=99)
    with pytest.raises(InputError, match=LATER.format(99, schema)) as caught:
        JSON_FILES[file](copy)
    assert str(caught.value).startswith(f"{copy}: ")


@pytest.mark.parametrize("file", DESCRIBED)
def test_info_refuses_a_file_of_a_later_version(file: str, tmp_path: Path) -> None:
    copy, schema = changed(file, tmp_path, schema=99)
    with pytest.raises(InputError, match=LATER.format(99, schema)):
        describe(copy.parent)


@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("schema", [None, "1", 0, True, [], 1.5])
def test_what_is_no_version_is_refused(file: str, schema: object, tmp_path: Path) -> None:
    copy, _ = changed(file, tmp_path, schema=schema)
    with pytest.raises(InputError, match=r"schema .*, this version reads \d; "):
        JSON_FILES[file](copy)


@pytest.mark.parametrize("file", ["run/data.json", "run/model/calibration.json"])
def test_files_from_before_they_had_a_schema_are_read(file: str, tmp_path: Path) -> None:
    content = json.loads((FIXTURES / file).read_text())
    kept = {name: value for name, value in content.items() if name not in ("schema", "sha256")}
    copy = tmp_path / Path(file).name
    copy.write_text(json.dumps(kept))
    JSON_FILES[file](copy)


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path, parts = tmp_path / "a.pt", {"model": nn.Linear(2, 3)}
    save_checkpoint(path, parts, Progress(7, 1.5, {}, 3), "run")
    state = torch.load(path, weights_only=True)
    torch.save(state | {"schema": 2}, path)
    with pytest.raises(InputError, match=LATER.format(2, 1)):
        load_checkpoint(path, parts, "run")
    torch.save({name: value for name, value in state.items() if name != "schema"}, path)
    assert load_checkpoint(path, parts, "run").step == 7


def test_samples_of_a_later_version_are_refused(tmp_path: Path) -> None:
    whole = (FIXTURES / "data/hearts/phantom00.safetensors").read_bytes()
    assert whole.count(b'"schema":"4"') == 1
    (tmp_path / "a.safetensors").write_bytes(whole.replace(b'"schema":"4"', b'"schema":"5"'))
    with pytest.raises(InputError, match=LATER.format(5, 4)):
        SamplesFile(tmp_path / "a.safetensors")


def test_an_exported_heart_of_a_later_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecsetx.sampling.npz.layout.SCHEMA", 2)
    with pytest.raises(InputError, match=LATER.format(3, 2)):
        exported_info(FIXTURES / "npz/phantom03.npz")


def test_another_program_s_summary_has_no_schema_of_ours(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"schema": 99, "provenance": {}, "structures": {}}')
    assert not guessed_in(tmp_path).is_result


def test_the_schema_that_is_read_is_accepted(tmp_path: Path) -> None:
    check_schema(tmp_path, 3, 3, "write it again")
