"""``--model`` and ``--calibration`` of three commands, and the former place of the model."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from support.command_line import run
from support.evaluations import write_no_page
from support.killed import made_up_errors

from vecsetx.cli.model_option import refuse_model_as_input
from vecsetx.commands.info import describe
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation import hidden_structures
from vecsetx.manifest.contents import MANIFEST
from vecsetx.model import built_in

COARSE = ("--resolution", 24, "--points", 200, "--refine", 0, "--no-page", "--no-labels")


@pytest.fixture
def installed(trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the built-in model, which holds that of a small run."""
    folder = shutil.copytree(trained_run / "model", tmp_path / "installed")
    monkeypatch.setattr(built_in, "_FOLDER", folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = set(folder.glob("[!.]*")) - {folder / MANIFEST}
    return {file.name: file.read_bytes() for file in files}


def test_the_built_in_model_reconstructs_where_none_is_named(
    installed: Path,
    trained_run: Path,
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = ("reconstruct", dataset.hearts[0].source, *COARSE)
    named = ("--model", trained_run, "--out", tmp_path / "named")
    for more in (("--out", tmp_path / "usual"), named):
        assert run(*words, *more, monkeypatch=monkeypatch) == 0
    usual, named = contents(tmp_path / "usual"), contents(tmp_path / "named")
    of_usual, of_named = (json.loads(made.pop("summary.json")) for made in (usual, named))
    assert usual == named
    assert len(usual) > 5
    assert of_usual["provenance"].pop("model") == "built-in"
    assert of_named["provenance"].pop("model") == str(trained_run)
    assert of_usual["provenance"] == of_named["provenance"]
    assert describe(tmp_path / "usual")["facts"]["model"] == "built-in"
    # Another installation makes the same: what is done is done.
    before = (tmp_path / "usual" / "summary.json").read_bytes()
    monkeypatch.setattr(built_in, "_FOLDER", installed.rename(tmp_path / "elsewhere"))
    capfd.readouterr()
    assert run(*words, "--out", tmp_path / "usual", monkeypatch=monkeypatch) == 0
    assert "is done already" in capfd.readouterr().out
    assert (tmp_path / "usual" / "summary.json").read_bytes() == before


def test_the_built_in_model_is_scored_where_none_is_named(
    installed: Path,
    trained_run: Path,
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_no_page(monkeypatch)
    words = ("evaluate", dataset.folder, "--no-meshes", "--refine", 0, "--points", 200)
    assert run(*words, "--out", tmp_path / "usual", monkeypatch=monkeypatch) == 0
    *_, last = capfd.readouterr().out.splitlines()
    assert last == "next: vecsetx reconstruct INPUTS --out patient/"
    named = ("--model", trained_run, "--out", tmp_path / "named")
    assert run(*words, *named, monkeypatch=monkeypatch) == 0
    *_, last = capfd.readouterr().out.splitlines()
    assert last == f"next: vecsetx reconstruct INPUTS --model {trained_run} --out patient/"
    usual, named = (
        json.loads((tmp_path / out / "scores.json").read_text()) for out in ("usual", "named")
    )
    assert usual["hearts"] == named["hearts"]
    assert usual["provenance"]["model"] == "built-in"
    assert named["provenance"]["model"] == str(trained_run)
    assert describe(tmp_path / "usual")["facts"]["model"] == "built-in"
    compared = ("compare", tmp_path / "named", tmp_path / "usual", "--out", tmp_path / "compared")
    assert run(*compared, monkeypatch=monkeypatch) == 0
    found = describe(tmp_path / "compared")
    assert found["facts"]["B"].startswith("built-in, mean Dice 0.")
    # Both are equally good, so that the first one is named.
    assert found["next"] == f"vecsetx reconstruct INPUTS --model {trained_run} --out patient/"
    compared = ("compare", tmp_path / "usual", tmp_path / "named", "--out", tmp_path / "compared")
    assert run(*compared, monkeypatch=monkeypatch) == 0
    assert describe(tmp_path / "compared")["next"] == "vecsetx reconstruct INPUTS --out patient/"


@pytest.mark.parametrize(
    ("typed", "problem", "remedy"),
    [
        (
            "reconstruct {run} a.nii b.nii --out out",
            "is a model, not a heart;",
            "reconstruct a.nii b.nii --model {run} --out out",
        ),
        (
            "reconstruct {run}/model --out out",
            "is a model, not a heart;",
            "reconstruct INPUTS --model {run}/model --out out",
        ),
        (
            "evaluate unfinished data --out out",
            "is a model, not a heart;",
            "evaluate data --model unfinished --out out",
        ),
        (
            "evaluate owner/name data --out out",
            "no such file or folder; if it is a model on the Hugging Face Hub,",
            "evaluate data --model owner/name --out out",
        ),
        (
            "calibrate {run} data",
            "is a model, not a data set;",
            "calibrate data --model {run}",
        ),
        (
            "evaluate data {run} --out out",
            "is a model, not a heart;",
            "evaluate data --model {run} --out out",
        ),
        (
            "reconstruct built-in heart.nii.gz --out out",
            "is a model, not a heart;",
            "reconstruct heart.nii.gz --out out",
        ),
        (
            "calibrate {run} --out out",
            "is a model, not a data set;",
            "calibrate DATA --model {run} --out out",
        ),
    ],
)
def test_a_model_in_its_former_place_is_answered_with_what_to_type(
    typed: str,
    problem: str,
    remedy: str,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "checkpoint.pt").touch()
    words = shlex.split(typed.format(run=trained_run))
    assert run(*words, monkeypatch=monkeypatch) == 2
    model = words[2] if words[1] == "data" else words[1]
    told = f"{model}: {problem} name it by --model: vecsetx {remedy.format(run=trained_run)}"
    assert capfd.readouterr().err.splitlines()[-1] == f"vecsetx: {told}"
    assert [file.name for file in tmp_path.iterdir()] == ["unfinished"]


def test_info_of_the_installed_folder_names_no_model(installed: Path, dataset: DataSet) -> None:
    data = dataset.folder.resolve()
    assert describe(installed)["next"] == f"vecsetx evaluate {data} --out scores/"


def test_a_data_set_beside_a_recipe_is_no_model(dataset: DataSet, tmp_path: Path) -> None:
    shutil.copy(dataset.folder / "dataset.json", tmp_path)
    (tmp_path / "recipe.yaml").touch()
    refuse_model_as_input("evaluate", [tmp_path], tmp_path / "out")


def test_a_missing_file_of_a_folder_is_no_name_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: Path, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps").mkdir()
    words = ("reconstruct", "maps/heart.nii.gz", "--out", "out")
    assert run(*words, monkeypatch=monkeypatch) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(f"vecsetx: {tmp_path}/maps/heart.nii.gz: no such file")
    assert "--model" not in said


def test_calibrate_takes_one_data_set(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    assert run("calibrate", "data", "others", monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err == (
        "vecsetx: others: calibrate takes one data set, and data is given already; leave one of "
        "the two out\n"
    )


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("model", "which"),
    [((), "the built-in model"), (("--model", "owner/name"), "owner/name on the Hugging Face Hub")],
)
def test_a_model_that_is_not_one_s_own_is_calibrated_only_elsewhere(
    model: tuple[str, ...], which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("loads"))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert run("calibrate", "no data", *model, monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err.splitlines()[-1] == (
        f"vecsetx: {which} has no folder to write into; add --out FOLDER, and give "
        "FOLDER/calibration.json to reconstruct and evaluate by --calibration"
    )
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_a_calibration_elsewhere_is_used_by_its_name(
    installed: Path,
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(hidden_structures, "_errors_of", made_up_errors)
    monkeypatch.setattr(
        hidden_structures, "_errors_beyond", lambda heart, *_: made_up_errors(heart)["LA"]
    )
    before = contents(installed)
    words = ("calibrate", dataset.folder, "--split", "train", "--few", "--out", tmp_path / "c")
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert contents(tmp_path / "c").keys() == {"calibration.json", "calibration.html"}
    assert contents(installed) == before
    found = json.loads((tmp_path / "c" / "calibration.json").read_text())

    words = ("reconstruct", dataset.hearts[0].source, *COARSE, "--ensemble", 2)
    words = (*words, "--hide", "LA", "--out", tmp_path / "r")
    given = ("--calibration", tmp_path / "c" / "calibration.json")
    factors = []
    for more in ((), given):
        assert run(*words, *more, monkeypatch=monkeypatch) == 0
        summary = json.loads((tmp_path / "r" / "summary.json").read_text())
        factors.append(summary["provenance"]["ensemble"]["calibration"])
    assert factors[0] == "uncalibrated"
    assert {key: factors[1][key] for key in ("factor", "factors", "members")} == {
        key: found[key] for key in ("factor", "factors", "members")
    }

    write_no_page(monkeypatch)
    words = ("evaluate", dataset.folder, "--no-meshes", "--refine", 0, "--points", 200)
    words = (*words, "--hide", "LA", "--ensemble", 2, "--out", tmp_path / "e")
    assert run(*words, *given, monkeypatch=monkeypatch) == 0
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert scores["calibration"]["factors"] == factors[1]
    # It takes the place of the model's own, even if that is damaged.
    (installed / "calibration.json").write_text("{")
    capfd.readouterr()
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert f"{installed / 'calibration.json'}: damaged" in capfd.readouterr().err
    assert run(*words, *given, monkeypatch=monkeypatch) == 0
    assert "done already" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: no such file or directory; "),
        ("{", "damaged: "),
        ("{weights}", "was measured with other weights; "),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(
    text: str | None,
    told: str,
    calibrated_run: Path,
    dataset: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The model's own would fit."""
    file, model = tmp_path / "mine.json", calibrated_run / "run"
    if text == "{weights}":
        own = json.loads((model / "model" / "calibration.json").read_text())
        text = json.dumps(own | {"weights": "0" * 64})
    if text is not None:
        file.write_text(text)
    words = ("reconstruct", dataset.hearts[0].source, "--model", model, "--ensemble", 2)
    more = ("--calibration", file, "--out", tmp_path / "out")
    assert run(*words, *more, monkeypatch=monkeypatch) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(f"vecsetx: {file}: {told}")
    assert said.endswith("; run vecsetx calibrate again, or leave --calibration out")
    assert not (tmp_path / "out").exists()
