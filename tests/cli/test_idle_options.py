"""An option that would change nothing is refused, before any work."""

from pathlib import Path

import pytest
from support.command_line import run
from support.shared import made_once

from vecsetx.cli.options import recipe_of
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError

IDLE = {
    "reconstruct {samples} --model {run} --out out --labels acdc": "--labels: changes nothing for ",
    "reconstruct {samples} --model {run} --out out --trust-names": (
        "--trust-names: changes nothing for "
    ),
    "reconstruct {samples} --model {run} --out out --units cm": "--units cm: changes nothing for ",
    "reconstruct {map} --model {run} --out out --units cm": "--units cm: changes nothing for ",
    "reconstruct {map} --model {run} --out out --input-space ras": (
        "--input-space ras: changes nothing for "
    ),
    "reconstruct {map} --model {run} --out out --resolution 64 --resolution-mm 2": (
        "--resolution 64 and --resolution-mm 2: both "
    ),
    "reconstruct {map} --model {run} --out out --format stl --format ply": (
        "--format is given twice; leave one out"
    ),
    "reconstruct {map} --model {run} --out out --ensemble 4 --draws 8": (
        "--ensemble 4 and --draws 8: "
    ),
    "reconstruct {map} --model {run} --out out --calibration f.json": (
        "--calibration f.json: scales "
    ),
    "evaluate {data} --model {run} --out out --calibration f.json": "--calibration f.json: scales ",
    "calibrate {data} --model {run} --ensemble 4 --draws 9": "--ensemble 4 and --draws 9: ",
    "evaluate {map} --model {run} --out out --split test": "--split: chooses hearts of a data set",
    "evaluate {map} --model {run} --out out --fold 0": "--fold: chooses hearts of a data set",
    "evaluate {map} --model {run} --out out --units cm": "--units cm: changes nothing for ",
    "evaluate {data} --model {run} --out out --units cm": "--units cm: changes nothing, as ",
    "evaluate {data} --model {run} --out out --space ras": "--space ras: changes nothing, as ",
    "evaluate {data} --model {run} --out out --trust-names": "--trust-names: changes nothing, as ",
    "prepare {map} --out out --units cm": "--units cm: changes nothing for ",
    "prepare {map} --out out --space ras": "--space ras: changes nothing for ",
    "inspect {map} --units cm": "--units cm: changes nothing for ",
    "inspect {samples} --labels acdc": "--labels: changes nothing for ",
    "check {data} --heart phantom00 --workers 2": "--workers: changes nothing with --heart ",
    "check {data} --heart phantom00 --pictures 3": "--pictures: changes nothing with --heart ",
    "train {data} --out out --preflight --stop-after 3": "--stop-after 3: --preflight makes no ",
    "train {data} --out out training.steps=9 training.epochs=2": "training.steps=9: changes noth",
}


@pytest.mark.parametrize("line", IDLE)
def test_an_option_that_changes_nothing_is_refused(
    line: str,
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = made_once("dataset", lambda _: None) / "labels"
    words = line.format(
        run=trained_run,
        data=dataset.folder,
        map=labels,
        samples=dataset.folder / dataset.hearts[0].file,
    )
    assert run(*words.split(), monkeypatch=monkeypatch) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vecsetx: {IDLE[line]}")
    assert any(remedy in last for remedy in ("leave it out", "choose one", "leave one out"))
    assert list(tmp_path.iterdir()) == []


def test_a_typed_length_is_refused_where_the_recipe_s_epochs_decide(tmp_path: Path) -> None:
    config = tmp_path / "recipe.yaml"
    config.write_text("{training: {steps: 10, epochs: 3}}")
    assert recipe_of("tiny", config, []).training.epochs == 3
    with pytest.raises(InputError, match=r"steps=20: changes nothing, as training\.epochs=3 takes"):
        recipe_of("tiny", config, ["training.steps=20"])
    assert recipe_of("tiny", config, ["training.steps=20", "training.epochs=null"]).training.steps


def test_the_former_name_of_an_option_still_counts_where_it_says_the_same() -> None:
    from vecsetx.cli.options import ensemble_size

    assert [ensemble_size(8, None, 8), ensemble_size(8, 4, 8), ensemble_size(0, 4)] == [8, 4, 4]
