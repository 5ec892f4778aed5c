"""``vecsetx check`` on a small data set in which some hearts are not as they should be."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.commands.check import check
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.report.ranking import doubtful_first
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import SamplesFile, write_samples
from vecsetx.terminal.check_tables import print_check, print_heart_check

SPEC = SamplingSpec(2000, 2000, 2000)
NAMES = ("sound", "moved", "broken", "gone", "changed", "first", "copy")
"""Hearts, by what is wrong with them; ``copy`` is ``first`` once more, of another patient."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    labels = label_set("default")
    paths = dict(zip(NAMES, write_small_phantoms(folder / "labels", 6), strict=False))
    paths["copy"] = Path(shutil.copy(paths["first"], folder / "labels" / "copy.nii.gz"))
    entries = []
    for name, path in paths.items():
        source = LabelMapSource(name, path, labels)
        samples = source.samples(STRUCTURES, SPEC, 0)
        if name == "moved":
            points = samples.volume.points_mm + np.float32(9)
            samples = replace(samples, volume=replace(samples.volume, points_mm=points))
        write_samples(samples, folder / "hearts" / f"{name}.safetensors")
        info = samples.info
        entries.append(
            HeartEntry(
                name=name,
                patient=f"patient of {name}",
                split="val" if name == "copy" else "train",
                fold=0,
                file=f"hearts/{name}.safetensors",
                kind="label map",
                source=str(path),
                space="lps",
                sha256=info.sha256,
                content=info.content,
                label_set="default",
                annotated=STRUCTURES,
                version=info.version,
            )
        )
    entries[1] = replace(entries[1], content="another")
    (folder / "hearts" / "broken.safetensors").write_bytes(b"broken")
    paths["gone"].unlink()
    shutil.copy(paths["sound"], paths["changed"])
    sets = {"default": labels.to_dict()}
    DataSet(folder, STRUCTURES, sets, 0, 0.2, 5, asdict(SPEC), tuple(entries)).write()
    return folder


@pytest.fixture(scope="module")
def result(data: Path) -> dict:
    return check(data, data / "check", workers=1)


def rows(result: dict) -> dict[str, dict]:
    return {heart["name"]: heart for heart in result["hearts"]}


def test_every_heart_gets_its_verdict(result: dict) -> None:
    assert result["state"] == "unfit"
    assert {name: heart["state"] for name, heart in rows(result).items()} == {
        **dict.fromkeys(NAMES, "unfit"),
        **dict.fromkeys(("sound", "gone", "changed"), "fit"),
    }
    summary = result["summary"]
    assert [summary[key] for key in ("hearts", "fit", "look", "unfit", "not_done")] == [
        *(7, 3, 0, 4, 2)
    ]
    assert summary["splits"] == {"train": 6, "val": 1}
    assert summary["states"]["LV"] == {
        "present": 6,
        "cut": 0,
        "absent": 0,
        "not annotated": 0,
    }


def test_the_reasons_are_told(result: dict) -> None:
    found = rows(result)
    assert any("contradict the label map" in problem for problem in found["moved"]["problems"])
    assert "hearts/moved.safetensors contains another heart than dataset.json says" in " ".join(
        found["moved"]["problems"]
    )
    assert "cannot be read" in found["broken"]["problems"][0]
    assert found["copy"]["problems"] == [
        "the same shape as first, of another patient and in train: used for training and for "
        "validation; remove one, or assign both to one patient (--group-by)"
    ]
    assert "the same shape as copy" in found["first"]["problems"][0]
    for name, why in (("gone", "is no longer there"), ("changed", "has changed since")):
        assert any(why in remark for remark in found[name]["remarks"])
        assert why in found[name]["not_done"][0]
        assert found[name]["agreement"] is None
    assert found["sound"]["not_done"] == []
    assert found["sound"]["agreement"] > 0.7


def test_what_is_written_is_what_is_returned(data: Path, result: dict) -> None:
    assert json.loads((data / "check" / "check.json").read_text()) == result
    heart = rows(result)["sound"]
    info = SamplesFile(data / "hearts" / "sound.safetensors").info
    assert heart["volumes_ml"] == info.volumes_ml
    assert heart["pieces"] == info.pieces
    assert heart["structures"]["LV"]["volume_ml"] == info.volumes_ml["LV"]
    assert heart["structures"]["LV"]["points"]["surface"] == heart["points"]["surface"]["LV"]
    assert sum(heart["points"]["surface"].values()) == 2000


def test_the_page_shows_all_hearts_that_can_be_read(data: Path, result: dict) -> None:
    page = (data / "check" / "check.html").read_text()
    assert page.count("data:image/webp;base64,") == 6
    assert "6 of 7 hearts, most doubtful first" in page


def test_the_doubtful_stand_first(result: dict) -> None:
    ranked = [heart["name"] for heart in doubtful_first(result["hearts"])]
    assert set(ranked[:4]) == {"moved", "broken", "first", "copy"}


def test_one_heart_in_depth_is_compared_with_the_others(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    found = check(data, tmp_path, heart="copy")
    assert [path.name for path in tmp_path.iterdir()] == ["check-copy.html"]
    assert [heart["name"] for heart in found["hearts"]] == ["copy"]
    assert "the same shape as first" in found["hearts"][0]["problems"][0]
    page = (tmp_path / "check-copy.html").read_text()
    assert "data:image/webp;base64," in page
    assert '"scene"' in page
    print_heart_check(found, tmp_path / "check-copy.html")
    shown = capsys.readouterr().out
    assert "Myocardium" in shown
    assert "problem: the same shape as first" in shown


def test_an_unknown_heart_is_suggested_for(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown heart 'mooved'; did you mean moved"):
        check(data, tmp_path, heart="mooved")


def test_the_terminal_tells_problems_and_remarks(
    result: dict, capsys: pytest.CaptureFixture
) -> None:
    print_check(result, Path("check.html"))
    printed = capsys.readouterr().out
    shown = " ".join(printed.split())
    assert "4 hearts are unfit:" in shown
    assert "2 hearts could not be checked in full" in shown
    remarked = sum(bool(heart["remarks"]) for heart in result["hearts"])
    assert remarked > 1
    assert f"{remarked} hearts have remarks that need no look" in shown
    last = printed.splitlines()[-1]
    assert last == "unfit: 3 fit, 0 to look at, 4 unfit, of 7 hearts; see check.html"


def test_hearts_are_listed_by_their_names(capsys: pytest.CaptureFixture) -> None:
    heart = {"state": "look", "problems": [], "doubts": ["odd"], "remarks": [], "structures": {}}
    hearts = [{**heart, "name": name} for name in ("case10", "case2", "case1")]
    summary = {"hearts": 3, "fit": 0, "look": 3, "unfit": 0, "not_done": 0, "states": {}}
    result = {"hearts": hearts, "structures": [], "left_out": {}, "state": "look"}
    print_check({**result, "summary": summary}, Path("check.html"))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("case")] == ["case1", "case2", "case10"]


def test_a_turned_heart_asks_for_a_look_and_strict_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    labels = label_set("default")
    (path,) = write_small_phantoms(tmp_path / "labels", 1)
    sound = read_label_map(path)
    turned = replace(sound, affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ sound.affine)
    write_label_map(turned, path)
    options = PrepareOptions(labels, sampling=SPEC, val_share=0.0, workers=1)
    _, failed = prepare([path], tmp_path / "data", options)
    assert not failed
    assert run("check", tmp_path / "data", monkeypatch=monkeypatch) == 0
    *_, last, following = capsys.readouterr().out.splitlines()
    assert following == f"next: vecsetx train {tmp_path / 'data'} --out run/"
    page = tmp_path / "data" / "check" / "check.html"
    assert last == f"look: 0 fit, 1 to look at, 0 unfit, of 1 heart; see {page}"
    result = json.loads(page.with_suffix(".json").read_text())
    ((heart,), state) = result["hearts"], result["state"]
    assert (heart["state"], state) == ("look", "look")
    assert any("rotated by 1" in doubt for doubt in heart["doubts"])
    text = page.read_text()
    assert '<span class="badge look">look</span>' in text
    assert "badge good" not in text
    assert run("check", tmp_path / "data", "--strict", monkeypatch=monkeypatch) == 1
    name = heart["name"]
    assert run("check", tmp_path / "data", "--heart", name, monkeypatch=monkeypatch) == 0
    assert (
        run("check", tmp_path / "data", "--heart", name, "--strict", monkeypatch=monkeypatch) == 1
    )
