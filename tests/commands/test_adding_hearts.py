"""Hearts added to a data set are prepared as those before, without typing their options again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.command_line import run
from support.hearts import write_small_phantoms
from support.here import work_here
from support.runs import untrained

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.commands import check as checking
from vecsetx.commands import prepare as preparing
from vecsetx.commands.check import check
from vecsetx.data.dataset import DataSet
from vecsetx.data.prepare_options import PrepareOptions, taken_over, with_those_of
from vecsetx.errors import InputError
from vecsetx.evaluation.inputs import EvaluateOptions, find_scored_hearts
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.manifest.contents import MANIFEST

OPTIONS = {
    "points": "300",
    "reach": "12",
    "mm-per-unit": "90",
    "seed": "3",
    "folds": "3",
    "val-share": "0.5",
    "structures": "LV,RV,LA,Myocardium",
    "labels": "Default",
    "absent": "LA",
    "group-by": r"\d+",
}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    work_here(monkeypatch, checking, preparing)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 4)


def words_of(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", value)]


@pytest.fixture(scope="module")
def data(maps: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hearts, prepared with options of which none is the usual one; tests do not change it."""
    folder = tmp_path_factory.mktemp("adding") / "data"
    with pytest.MonkeyPatch.context() as patch:
        work_here(patch, preparing)
        words = ("prepare", *maps[:2], "--out", folder, "--workers", 1, *words_of(OPTIONS))
        assert run(*words, monkeypatch=patch) == 0
    return folder


def contents(folder: Path) -> dict[Path, object]:
    files = {f for f in folder.rglob("*") if f.is_file()} - {folder / MANIFEST}
    return {f.relative_to(folder): content(f) for f in files}


def content(file: Path) -> object:
    """A file's content; the header of samples is JSON whose keys come in no order."""
    raw = file.read_bytes()
    if file.suffix != ".safetensors":
        return raw
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def test_what_is_not_typed_again_is_as_if_it_were(
    data: Path,
    maps: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {}
    for name, typed in (("short", {}), ("long", OPTIONS), ("some", {"points": "300"})):
        shutil.copytree(data, tmp_path / name)
        words = ("prepare", maps[2], "--out", tmp_path / name, "--workers", 1, *words_of(typed))
        assert run(*words, monkeypatch=monkeypatch) == 0
        *_, told[name], then = capsys.readouterr().out.splitlines()
        assert then == f"next: vecsetx check {tmp_path / name}"
    assert len(DataSet.read(tmp_path / "short").hearts) == 3
    assert contents(tmp_path / "short") == contents(tmp_path / "long")
    assert contents(tmp_path / "short") == contents(tmp_path / "some")
    end = "; options taken over from the data set: "
    listed = told["short"].partition(end)[2].split("--")[1:]
    assert {word.split()[0]: word.split()[1] for word in listed} == {
        **OPTIONS, "labels": "default", "structures": "Myocardium,LA,LV,RV",
    }  # fmt: skip
    assert end not in told["long"]
    assert "--points" not in told["some"].partition(end)[2]


CONTRADICTIONS = {
    "points": ("100", "with --points 300, not with --points 100"),
    "reach": ("inf", "with --reach 12, not with --reach inf"),
    "mm-per-unit": ("80", "with --mm-per-unit 90, not with --mm-per-unit 80"),
    "seed": ("0", "with --seed 3, not with --seed 0"),
    "folds": ("5", "with --folds 3, not with --folds 5"),
    "val-share": ("0.2", "with --val-share 0.5, not with --val-share 0.2"),
    "structures": ("LV", "with --structures Myocardium,LA,LV,RV, not with --structures LV"),
    "group-by": (r"p", r"with --group-by \d+, not with --group-by p"),
    "labels": ("mmwhs", "its heart phantom00 was read with label set default, not mmwhs"),
    "split": ("gone.csv", "split at random (--val-share 0.5), not by --split"),
}


@pytest.mark.parametrize("option", CONTRADICTIONS)
def test_what_contradicts_the_data_set_is_refused_with_both_values(
    option: str,
    data: Path,
    maps: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = contents(data)
    value, told = CONTRADICTIONS[option]
    words = ("prepare", *maps[:2], "--out", data, f"--{option}", value)
    assert run(*words, monkeypatch=monkeypatch) == 2
    message = " ".join(capfd.readouterr().err.split())
    assert told in message
    assert message.endswith("or choose another --out")
    assert contents(data) == before


def test_all_that_contradicts_is_told_at_once(data: Path) -> None:
    given = PrepareOptions(seed=3, folds=3, not_given=frozenset({"reach", "mm_per_unit"}))
    with pytest.raises(InputError) as raised:
        with_those_of(DataSet.read(data), given)
    assert (
        "prepared with --points 300 and with --structures Myocardium,LA,LV,RV and with --group-by "
        r"\d+ and with --val-share 0.5, not with --points 50000 and without --structures and "
        "without --group-by and with --val-share 0.2;"
    ) in str(raised.value)


def test_a_data_set_of_an_earlier_version_has_kept_less(data: Path, tmp_path: Path) -> None:
    older = json.loads((data / "dataset.json").read_text())
    del older["choices"]
    (tmp_path / "dataset.json").write_text(json.dumps(older))
    names = frozenset(name.replace("-", "_") for name in OPTIONS)
    options = PrepareOptions(structures=("LV",), not_given=names - {"structures"})
    found = with_those_of(DataSet.read(tmp_path), options)
    assert (found.structures, found.group_by, found.label_set) == (("LV",), None, None)
    assert (found.seed, found.folds, found.val_share, found.sampling.reach_mm) == (3, 3, 0.5, 12)
    assert taken_over(DataSet.read(tmp_path), options) == [
        *("--points 300", "--reach 12", "--mm-per-unit 90"),
        *("--seed 3", "--folds 3", "--val-share 0.5"),
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--reach", "-3"), "--reach -3: must be a number of at least 0.1, or inf"),
        (("--reach", "nan"), "--reach nan: must be a number of at least 0.1, or inf"),
        (("--mm-per-unit", "0"), "--mm-per-unit 0: must be a number from 1 to 1000"),
        (("--mm-per-unit", "inf"), "--mm-per-unit inf: must be a number from 1 to 1000"),
        (("--points", "0"), "--points 0: must be a whole number from 1 to 10000000"),
        (("--split", "a.csv", "--val-share", "0.3"), "--val-share 0.3: the splits are given"),
        (("--split", "a.csv", "--split-by-folder"), "both say the splits; give one of them"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_anything_is_written(
    options: tuple[str, ...],
    told: str,
    maps: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = ("prepare", maps[0], "--out", tmp_path / "data", *options)
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert told in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "data", "../labels/a/b"])
def test_a_data_set_is_not_written_among_its_inputs(
    below: str,
    maps: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    shutil.copy(maps[0], labels)
    assert run("prepare", labels, "--out", labels / below, monkeypatch=monkeypatch) == 2
    message = " ".join(capfd.readouterr().err.split())
    assert f"is {'inside ' if below else ''}the input" in message
    assert [f.name for f in labels.iterdir()] == [maps[0].name]


def relabelled(heart: Path, to: Path, ids: str, named: bool) -> Path:
    """The heart with another label set's ids, whose names the file has or not."""
    label_map, label_set_ = read_label_map(heart), label_set(ids)
    names = tuple(name for name in STRUCTURES if name in label_set_.structures)
    found = label_map.to_structures(label_set("default"), STRUCTURES, "")
    lookup = np.zeros(len(STRUCTURES) + 1, np.uint8)
    for number, name in enumerate(STRUCTURES, 1):
        lookup[number] = label_set_.id_of(name) if name in names else 0
    kept = replace(found, labels=lookup[found.labels])
    write_label_map(kept, to, names, label_set_)
    if not named:
        image = nib.load(to)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine), to)
    return to


@pytest.mark.parametrize("named", [True, False], ids=["its names", "its anatomy"])
def test_a_heart_that_contradicts_the_data_set_s_label_set_is_refused(
    named: bool,
    data: Path,
    maps: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its label set is said to be used, and is used for hearts that agree."""
    out = shutil.copytree(data, tmp_path / "data")
    other = relabelled(maps[2], tmp_path / "other 7.nii.gz", "acdc", named)
    agreeing = relabelled(maps[3], tmp_path / "agreeing 8.nii.gz", "default", True)
    given = (other, agreeing)
    assert run("prepare", *given, "--out", out, monkeypatch=monkeypatch) == 1
    said = capsys.readouterr()
    assert f"{out}: new hearts are read with its label set default; --labels names" in said.out
    failed = " ".join(said.err.split())
    assert "other 7.nii.gz: its ids are 1 RV, 2 Myocardium, but 1 Myocardium, 2 LA in" in failed
    prepared = DataSet.read(out)
    assert [heart.name for heart in prepared.hearts][:1] == ["agreeing 8"]
    assert {heart.label_set for heart in prepared.hearts} == {"default"}
    assert list(prepared.left_out) == ["other 7"]
    # Named, its own label set is taken; and nothing is said of the data set's.
    words = ("prepare", other, "--out", out, "--labels", "acdc")
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert "new hearts are read" not in capsys.readouterr().out
    prepared = DataSet.read(out)
    assert {heart.label_set for heart in prepared.hearts} == {"default", "acdc"}
    assert prepared.left_out == {}


def test_an_own_split_holds_from_prepare_to_evaluate(
    maps: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, file = tmp_path / "data", tmp_path / "split.csv"
    file.write_text("heart,split\nphantom00,test\nphantom01,train\nphantom02,val\n")
    words = ("prepare", *maps[:3], "--out", data, "--points", 300, "--workers", 1)
    assert run(*words, "--split", file, "--folds", 2, monkeypatch=monkeypatch) == 0
    assert "3 hearts (1 train, 1 val, 1 test)," in " ".join(capsys.readouterr().out.split())
    for split in ("train", "val", "test"):
        (tmp_path / "more" / split).mkdir(parents=True)
    shutil.copy(maps[3], tmp_path / "more" / "test")
    (tmp_path / "more" / "train" / maps[1].name).symlink_to(maps[1])
    (tmp_path / "more" / "val" / maps[2].name).symlink_to(maps[2])
    words = ("prepare", tmp_path / "more", "--out", data, "--workers", 1, "--split-by-folder")
    assert run(*words, monkeypatch=monkeypatch) == 0
    dataset = DataSet.read(data)
    assert {heart.name: heart.split for heart in dataset.hearts} == {
        "phantom00": "test", "phantom01": "train", "phantom02": "val", "phantom03": "test",
    }  # fmt: skip
    assert [heart.fold == -1 for heart in dataset.hearts] == [True, False, False, True]
    for fold in range(2):
        sides = [{h.name for h in dataset.of_split(side, fold)} for side in ("train", "val")]
        assert sides[0] | sides[1] == {"phantom01", "phantom02"}
        assert not sides[0] & sides[1]
    options = EvaluateOptions(split="test")
    scored = find_scored_hearts([data], options, untrained(STRUCTURES))
    assert set(scored) == {"phantom00", "phantom03"}
    summary = check(data, tmp_path / "check", workers=1, pictures=0)["summary"]
    assert summary["splits"] == {"test": 2, "train": 1, "val": 1}


def test_distances_without_limit_are_kept_and_hearts_can_be_added(
    maps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options = tmp_path / "data", ("--reach", "inf", "--points", "300")
    for given in (maps[:1], maps[1:2]):
        words = ("prepare", *given, "--out", out, *options, "--workers", 1)
        assert run(*words, monkeypatch=monkeypatch) == 0
    made = DataSet.read(out)
    assert made.options["reach_mm"] == np.inf
    volume = made.open(made.hearts[0]).read().volume
    assert volume.distances_mm.max() > 40  # beyond any limit that is usual
    assert len(made.hearts) == 2


def test_hearts_without_an_annotation_are_added_with_a_label_set_that_lacks_it(
    maps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    lacking = read_label_map(maps[1]).without([label_set("default").id_of("LAA")])
    write_label_map(lacking, tmp_path / "lacking.nii.gz")
    words = ("prepare", maps[0], "--out", tmp_path / "data", "--points", 200)
    assert run(*words, "--labels", "default", monkeypatch=monkeypatch) == 0
    assert "absent there" not in capsys.readouterr().out
    words = ("prepare", tmp_path / "lacking.nii.gz", *words[2:])
    copy = shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert run(*words[:3], copy, *words[4:], monkeypatch=monkeypatch) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "some hearts lack LAA (lacking): taken as absent there. If" in told
    # What it says to type instead, as in docs/data.md.
    assert run("labels", "default", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    mine = tmp_path / "without-laa.yaml"
    mine.write_text("\n".join(line for line in lines if ": LAA" not in line))
    assert run(*words, "--labels", mine, monkeypatch=monkeypatch) == 0
    assert "absent there" not in capsys.readouterr().out
    without, full = DataSet.read(tmp_path / "data").hearts
    assert set(full.annotated) - set(without.annotated) == {"LAA"}
