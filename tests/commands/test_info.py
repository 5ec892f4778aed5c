"""``vecsetx info``: what a path is, and what to type next."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from support.command_line import run
from support.here import work_here

from vecsetx import _version
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands import export as exporting
from vecsetx.commands.info import describe
from vecsetx.data.dataset import DataSet
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.model.weights import parameter_count
from vecsetx.training.journal import read_journal


@pytest.fixture
def copy(trained_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained_run, tmp_path / "a run")


@pytest.fixture(scope="module")
def results(trained_run: Path, dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores, their comparison with themselves, and a reconstruction."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        words = ("evaluate", dataset.folder, "--model", trained_run, "--out", folder / "scores")
        assert run(*words, "--no-meshes", "--refine", 0, monkeypatch=patch) == 0
        scores, other = folder / "scores", folder / "other"
        shutil.copytree(scores, other)
        words = ("compare", scores, other, "--out", folder / "comparison")
        assert run(*words, monkeypatch=patch) == 0
        words = (
            *("reconstruct", dataset.hearts[0].source, "--model", trained_run),
            *("--out", folder / "heart"),
        )
        assert run(*words, "--hide", "LA", "--resolution", 32, monkeypatch=patch) == 0
    return folder


@pytest.fixture
def made(results: Path, tmp_path: Path) -> Path:
    return shutil.copytree(results, tmp_path / "results")


def test_a_finished_run(copy: Path, dataset: DataSet) -> None:
    trained = TrainedModel.from_pretrained(copy)
    found = describe(copy)
    assert found["kind"] == "run"
    assert found["version"] == _version.__version__
    assert found["label_set"] == "default"
    assert found["structures"] == list(dataset.structures)
    assert found["size"] == {
        "weights": parameter_count(trained.network),
        "latents": 32,
        "training hearts": 3,
    }
    assert found["training"] == {
        "steps": 60,
        "of": 60,
        "finished": True,
        "best_grid_dice": None,
        "best_step": None,
    }
    assert found["calibration"] is None
    assert trained.partial is False
    assert found["facts"]["partial hearts"].startswith("not learned: it was trained on whole")
    assert shlex.split(found["next"]) == [
        *("vecsetx", "evaluate", str(dataset.folder.resolve()), "--model", str(copy)),
        *("--out", "scores/"),
    ]
    of_model = describe(copy / "model")
    assert of_model["kind"] == "model"
    assert describe(copy / "model" / "model.json") == of_model
    assert (of_model["size"], of_model["training"]["steps"]) == (found["size"], 60)


def test_a_run_that_was_stopped_is_told_how_to_go_on(copy: Path, dataset: DataSet) -> None:
    shutil.rmtree(copy / "model")
    journal = copy / "metrics.jsonl"
    entries = [entry for entry in read_journal(journal) if entry["step"] <= 40]
    entries += [{"step": step, "split": "val", "grid_dice": dice} for step, dice in BEST]
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    found = describe(copy)
    assert found["training"] == {
        "steps": 40,
        "of": 60,
        "finished": False,
        "best_grid_dice": 0.75,
        "best_step": 20,
    }
    data = str(dataset.folder.resolve())
    go_on = ["vecsetx", "train", data, "--out", str(copy)]
    assert shlex.split(found["next"]) == [*go_on, "--resume"]
    assert found["facts"]["data"] == data
    (copy / "checkpoint.pt").unlink()
    again = [*go_on, "--config", str(copy / "recipe.yaml")]
    assert shlex.split(describe(copy)["next"]) == again
    recorded = json.loads((copy / "data.json").read_text())
    gone = recorded | {"folder": "/no longer/here", "fold": 3}
    (copy / "data.json").write_text(json.dumps(gone))
    found = describe(copy)
    told = ["vecsetx", "train", "DATA", "--out", str(copy), "--fold", "3", *again[-2:]]
    assert shlex.split(found["next"]) == told
    assert found["facts"]["data"] == ("/no longer/here, no longer there: type its folder for DATA")
    (copy / "data.json").unlink()
    assert describe(copy)["facts"]["data"].startswith("not recorded: ")


def test_what_a_stopped_prepare_left_is_told_how_to_go_on(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    copy = shutil.copytree(dataset.folder, tmp_path / "my data")
    (copy / "dataset.json").unlink()
    (copy / "hearts" / "phantom01.safetensors").unlink()
    found = describe(copy)
    assert (found["kind"], found["size"]) == ("unfinished data set", {"sampled hearts": 3})
    assert (found["label_set"], found["version"]) == ("default", _version.__version__)
    maps = str(Path(dataset.hearts[0].source).parent)
    again = ["vecsetx", "prepare", maps, "--out", str(copy), "--points", "2000"]
    assert shlex.split(found["next"]) == again
    assert run("info", copy, monkeypatch=monkeypatch) == 0
    assert "prepare was stopped before it wrote dataset.json" in " ".join(
        capsys.readouterr().out.split()
    )


BEST = ((10, 0.5), (20, 0.75), (30, 0.6))


def test_by_epochs_a_run_is_finished_when_its_model_is_saved(copy: Path) -> None:
    recipe = yaml.safe_load((copy / "recipe.yaml").read_text())
    recipe["training"]["epochs"] = 7
    (copy / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    training = describe(copy)["training"]
    assert (training["steps"], training["of"], training["finished"]) == (60, None, True)


def test_a_checkpoint_is_never_unpickled(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "checkpoint.pt").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("unpickled"))
    monkeypatch.setattr("pickle.load", lambda *_, **__: pytest.fail("unpickled"))
    assert describe(copy)["training"]["finished"]


def test_a_calibration_and_whether_it_had_few_hearts(copy: Path) -> None:
    trained = TrainedModel.from_pretrained(copy)
    factor = SdFactor(2.0, {}, None, 8, ("a", "b"), "2026-01-31", few=True)
    factor.write(copy / "model", trained, {})
    assert describe(copy)["calibration"] == {"hearts": 2, "few": True, "date": "2026-01-31"}


def test_a_data_set_and_its_hearts(dataset: DataSet, tmp_path: Path) -> None:
    found = describe(dataset.folder)
    assert found["kind"] == "data set"
    assert found["version"] == _version.__version__
    assert found["label_set"] == "default"
    assert found["structures"] == list(dataset.structures)
    split = {"train": 3, "val": 1, "folds": 5}
    assert found["size"] == {"hearts": 4, "patients": 4, **split, "variants": 0}
    assert found["next"] == f"vecsetx check {dataset.folder}"
    data = shutil.copytree(dataset.folder, tmp_path / "data")
    (data / "check").mkdir()
    (data / "check" / "check.json").write_text("{}")
    assert describe(data)["next"] == f"vecsetx train {data} --out run/"
    heart = dataset.folder / dataset.hearts[0].file
    of_heart = describe(heart)
    assert of_heart["kind"] == "heart"
    assert of_heart["size"] == {f"{g} points": 2000 for g in ("surface", "near", "volume")}
    assert of_heart["label_set"] == label_set("default").name
    assert of_heart["facts"]["name"] == dataset.hearts[0].name


def test_scores_and_reconstructions(made: Path, trained_run: Path, dataset: DataSet) -> None:
    scores = json.loads((made / "scores" / "scores.json").read_text())
    found = describe(made / "scores")
    assert (found["kind"], found["size"]) == ("scores", {"hearts": 1})
    assert found["facts"]["mean Dice"] == f"{scores['summary']['mean']['dice']:.3f}"
    assert found["next"] == f"vecsetx compare {made / 'scores'} OTHERS --out comparison/"
    heart = describe(made / "heart")
    summary = json.loads((made / "heart" / "summary.json").read_text())
    assert (heart["kind"], heart["label_set"]) == ("reconstruction", "default")
    assert heart["size"] == {"faces": sum(s["faces"] for s in summary["structures"].values())}
    assert heart["facts"]["input"] == dataset.hearts[0].source
    assert heart["version"] == found["version"] == _version.__version__
    assert heart["next"] == f"open {made / 'heart' / 'heart.html'} in a browser"
    (made / "heart" / "heart.html").unlink()  # as with --no-page
    assert describe(made / "heart")["next"] == f"vecsetx inspect {made / 'heart'}"
    (made / "all").mkdir()
    for name in "ab":
        shutil.copytree(made / "heart", made / "all" / name)
    several = describe(made / "all")
    assert (several["kind"], several["size"]) == ("reconstructions", {"hearts": 2})
    assert several["next"] == f"vecsetx info {made / 'all' / 'a'}"
    summary["provenance"]["label_set"]["name"] = "other"
    (made / "all" / "b" / "summary.json").write_text(json.dumps(summary))
    assert describe(made / "all")["label_set"] == "default, other"


def test_a_comparison_and_exported_hearts(
    made: Path, trained_run: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = describe(made / "comparison")
    dice = json.loads((made / "scores" / "scores.json").read_text())["summary"]["mean"]["dice"]
    assert (found["kind"], found["size"]) == ("comparison", {"hearts": 1})
    assert found["facts"]["A"] == f"{trained_run}, mean Dice {dice:.3f}" == found["facts"]["B"]
    assert found["next"] == f"vecsetx reconstruct INPUTS --model {trained_run} --out patient/"
    work_here(monkeypatch, exporting)
    assert run("export", dataset.folder, "--out", made / "npz", monkeypatch=monkeypatch) == 0
    found = describe(made / "npz")
    assert (found["kind"], found["size"]) == ("exported hearts", {"hearts": 4})
    assert (found["label_set"], found["version"]) == ("default", _version.__version__)
    assert set(found["structures"]) == set(dataset.structures)
    assert found["next"] == f"vecsetx prepare {made / 'npz'} --out data/"


def test_the_command_prints_what_was_found(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run("info", copy, "--json", monkeypatch=monkeypatch) == 0
    found = describe(copy)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["result"] == found
    said = printed.err
    assert "60 of 60 steps, finished" in said
    assert f"{found['size']['weights']:,} weights" in " ".join(said.split())
    assert said.endswith(f"next: {found['next']}\n")


FILES = {
    "run": ("recipe.yaml", "metrics.jsonl", "data.json"),
    "model": ("model.json", "model.safetensors", "calibration.json"),
    "data": ("dataset.json", "hearts/phantom00.safetensors"),
    "scores": ("scores.json",),
    "comparison": ("compare.json",),
    "heart": ("summary.json",),
}
CONTENTS = (
    b"",
    b"\xff\xfe\0",
    b"{",
    b"[]\n",
    b'{"schema": 2}\n',
    b"[" * 100_000,
    b"null\n",
    b"7\n",
)


def test_damaged_files_are_told_in_one_line(
    made: Path, copy: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Whatever a file holds, nothing but a line and exit status 1 comes of it."""
    folders = {
        "run": copy,
        "model": copy / "model",
        "data": shutil.copytree(dataset.folder, made / "data"),
        "scores": made / "scores",
        "comparison": made / "comparison",
        "heart": made / "heart",
    }
    capsys.readouterr()
    for kind, files in FILES.items():
        for name in files:
            file = folders[kind] / name
            before = file.read_bytes() if file.exists() else None
            path = file if file.suffix == ".safetensors" and kind == "data" else folders[kind]
            for content in (*CONTENTS, (before or b"{}")[:-30]):
                file.write_bytes(content)
                status = run("info", path, monkeypatch=monkeypatch)
                said = capsys.readouterr()
                if name in ("metrics.jsonl", "recipe.yaml") and status == 0:
                    continue  # an unfinished last line is no damage, nor is an option left out
                # On a slow machine, reading may have its line.
                lines = [x for x in said.out.splitlines() if not x.startswith("reading (")]
                assert (status, lines) == (1, []), (name, content)
                assert said.err.startswith("vecsetx: "), (name, content)
                assert said.err.count("\n") == 1, (name, content)
            file.write_bytes(before) if before is not None else file.unlink()
    assert run("info", copy, monkeypatch=monkeypatch) == 0


def test_what_vecsetx_did_not_write_goes_to_inspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "heart.nii.gz").write_bytes(b"")
    nnunet = tmp_path / "nnunet"
    (nnunet / "labelsTr").mkdir(parents=True)
    (nnunet / "dataset.json").write_text("{}")
    for path in (tmp_path / "heart.nii.gz", nnunet):
        assert run("info", path, monkeypatch=monkeypatch) == 1
        assert f"vecsetx inspect {path}\n" in capsys.readouterr().err
    assert run("info", tmp_path / "none", monkeypatch=monkeypatch) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_file_cannot_steer_the_terminal(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    file = made / "scores" / "scores.json"
    scores = json.loads(file.read_text())
    scores["provenance"]["model"] = "\x1b]0;title\x07[bold]x"
    file.write_text(json.dumps(scores))
    assert run("info", made / "scores", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "�]0;title�[bold]x" in said
    assert "\x1b]0" not in said


def test_the_built_in_model_is_described_by_its_name() -> None:
    found = describe(Path("built-in"))
    assert found["kind"] == "model"
    assert found["structures"][:2] == ["Myocardium", "LA"]
