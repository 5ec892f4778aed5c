"""Data sets that a stranger wrote: nothing in them is trusted."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.command_line import run
from support.runs import RECIPE

from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.prepare import prepare
from vecsetx.commands.train import LogOptions, check_training
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.prepare_options import PrepareOptions
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import SamplesFile


@pytest.fixture
def copy(dataset: DataSet, tmp_path: Path) -> Path:
    return shutil.copytree(dataset.folder, tmp_path / "in" / "data")


def change(folder: Path, **values: Any) -> None:
    """Change the first heart's entry in a data set."""
    file = folder / "dataset.json"
    content = json.loads(file.read_text())
    content["hearts"][0] |= values
    file.write_text(json.dumps(content))


def listing(folder: Path) -> dict[Path, bytes | None]:
    return {f: f.read_bytes() if f.is_file() else None for f in folder.rglob("*")}


@pytest.mark.parametrize("name", ["../../X", "X\x1b[2J"])
@pytest.mark.parametrize("command", ["export", "check", "train", "plan"])
def test_a_name_never_becomes_a_path(
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    name: str,
) -> None:
    change(copy, name=name)
    before = listing(tmp_path)
    words = {
        "export": ("export", copy, "--out", tmp_path / "out"),
        "check": ("check", copy, "--out", tmp_path / "out", f"--heart={name}"),
        "train": ("train", copy, "--out", tmp_path / "out", "--preset", "tiny"),
        "plan": ("plan", copy, "--preset", "tiny"),
    }
    assert run(*words[command], monkeypatch=monkeypatch) == 2
    said = capfd.readouterr().err
    assert "dataset.json: a heart has an unsafe name '" in said
    assert "rename it there" in said
    assert "\x1b" not in said
    assert "Traceback" not in said
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"file": "../../secret.safetensors"}, "leads out of the folder"),
        ({"file": "/etc/passwd"}, "no path within the folder"),
        ({"split": "all"}, "hearts.0.split"),
        ({"fold": "first"}, "hearts.0.fold"),
        ({"annotated": ["../LV"]}, "unknown structure"),
        ({"patient": None}, "hearts.0.patient"),
        ({"name": "phantom01"}, "'phantom01' is there twice"),
    ],
)
def test_every_entry_has_its_type(copy: Path, values: dict[str, Any], said: str) -> None:
    change(copy, **values)
    with pytest.raises(InputError, match=r"dataset\.json: damaged") as refusal:
        DataSet.read(copy)
    assert said in str(refusal.value)


@pytest.mark.parametrize("text", ["[" * 100000, "null", "[]", '{"schema": 2}', "", "\udc80"])
def test_a_file_that_is_no_data_set_is_damaged(copy: Path, text: str) -> None:
    (copy / "dataset.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"dataset\.json: damaged"):
        DataSet.read(copy)


def test_a_damaged_description_is_refused_and_sampled_again(
    dataset: DataSet, copy: Path, tmp_path: Path
) -> None:
    """One bit in the text that describes a heart, at every kind of place."""
    file = copy / dataset.hearts[0].file
    whole = file.read_bytes()
    first, end = whole.index(b'\\"name\\"'), 8 + int.from_bytes(whole[:8], "little")

    def flipped(place: int, bit: int) -> None:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])

    refused = 0
    for place in range(first, end, (end - first) // 200):
        flipped(place, place % 7)
        try:
            SamplesFile(file)
        except InputError as refusal:
            refused += str(file) in str(refusal)
    assert refused > 20  # the others change a word or a digit

    flipped(first + 2, 0)  # the key
    with pytest.raises(InputError, match="damaged description of the heart"):
        SamplesFile(file)
    options = PrepareOptions(
        label_set("default"), sampling=SamplingSpec(2000, 2000, 2000), val_share=0.25, workers=1
    )
    made, failed = prepare([Path(dataset.hearts[0].source)], copy, options)
    assert not failed
    assert made.hearts == dataset.hearts
    assert file.read_bytes() == whole


def damage(copy: Path, heart: HeartEntry) -> None:
    """Flip one bit in the text that describes a heart."""
    file = copy / heart.file
    whole = bytearray(file.read_bytes())
    whole[whole.index(b'\\"volumes_ml\\"') + 3] ^= 1
    file.write_bytes(whole)


def test_training_leaves_a_damaged_heart_out_and_says_so(
    dataset: DataSet, copy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, *others = (heart for heart in dataset.hearts if heart.split == "train")
    damage(copy, first)
    out = tmp_path / "run"
    check_training(copy, out, RECIPE, False, None, LogOptions())
    said = f"heart {first.name} is left out: {copy / first.file}: damaged description of the heart"
    assert said in " ".join(capfd.readouterr().out.split())
    assert said in (out / "train.log").read_text()
    kept = json.loads((out / "data.json").read_text())
    assert first.name not in json.dumps(kept)
    assert others[0].name in json.dumps(kept)
    for heart in dataset.hearts:
        if heart.name != first.name:
            damage(copy, heart)
    with pytest.raises(InputError, match=r"4 of 4 hearts are damaged, such as .*prepare the heart"):
        check_training(copy, tmp_path / "other", RECIPE, False, None, LogOptions())


def test_one_unsafe_name_does_not_refuse_a_folder(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "labels"
    folder.mkdir()
    source = Path(dataset.hearts[0].source)
    for name in (b"sound.nii.gz", b"-x.nii.gz", b"a\xff.nii.gz", b"a\x1bb.nii.gz"):
        shutil.copy(source, os.fsencode(folder) + b"/" + name)
    assert run("inspect", folder, "--json", monkeypatch=monkeypatch) == 1
    entries = json.loads(capfd.readouterr().out)["result"]["hearts"]
    refused = [entry for entry in entries if entry["status"] == "refused"]
    assert [entry["file"] for entry in entries if entry not in refused] == [
        str(folder / "sound.nii.gz")
    ]
    assert len(refused) == 3
    assert all("unsafe name" in entry["remarks"][0] for entry in refused)
    capfd.readouterr()
    options = PrepareOptions(sampling=SamplingSpec(2000, 2000, 2000), workers=1)
    made, failed = prepare([folder], tmp_path / "data", options)
    assert [heart.name for heart in made.hearts] == ["sound"]
    assert len(failed) == 3
    assert all("; rename it" in reason for reason in failed.values())


def test_a_folder_that_is_no_utf_8_is_named(dataset: DataSet, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    shutil.copy(dataset.hearts[0].source, folder / "a.nii.gz")
    with pytest.raises(InputError, match="bytes that are no UTF-8; rename its folder"):
        prepare([folder], tmp_path / "data", PrepareOptions(workers=1))


def test_the_most_voxels_are_an_option_and_kept(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = Path(dataset.hearts[0].source)
    for command in ("inspect", "prepare"):
        out = ("--out", tmp_path / "data", "--workers", 1) if command == "prepare" else ()
        few = run(command, source, *out, "--max-voxels", 1000, monkeypatch=monkeypatch)
        assert few in (1, 2)
        assert "raise --max-voxels" in " ".join("".join(capfd.readouterr()).split())
    options = PrepareOptions(sampling=SamplingSpec(2000, 2000, 2000), workers=1, most_voxels=10**10)
    made, _ = prepare([source], tmp_path / "other", options)
    assert source_of(made, made.hearts[0]).most_voxels == 10**10
    assert DataSet.read(made.folder) == made


def exchange_names(file: Path) -> None:
    """Exchange LA and LV in the description of a heart."""
    whole = file.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    heart = json.loads(header["__metadata__"]["heart"])
    swap = {"LA": "LV", "LV": "LA"}
    heart["structures"] = [swap.get(name, name) for name in heart["structures"]]
    header["__metadata__"]["heart"] = json.dumps(heart)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + whole[end:])


def exchange_hearts(folder: Path) -> None:
    first, second = (folder / heart.file for heart in DataSet.read(folder).hearts[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


MIXED = {
    "names": (
        lambda folder: exchange_names(folder / DataSet.read(folder).hearts[0].file),
        "damaged description of the heart (its hash differs)",
    ),
    "hearts": (exchange_hearts, "contains another heart than dataset.json says (phantom0"),
    "the source's hash": (
        lambda folder: change(folder, sha256="0" * 64),
        "contains another heart than dataset.json says (phantom0",
    ),
}


@pytest.mark.parametrize("kind", MIXED)
def test_samples_of_another_heart_are_noticed(
    copy: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    mix, told = MIXED[kind]
    mix(copy)
    assert run("export", copy, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 1
    assert told in capfd.readouterr().err
    (first, *others) = DataSet.read(copy).hearts
    assert not (tmp_path / "out" / f"{first.name}.npz").exists()
    assert (tmp_path / "out" / f"{others[-1].name}.npz").exists()
    kept, damaged = DataSet.read(copy).without_damaged(None)
    assert told in damaged[first.name]
    assert first.name not in {heart.name for heart in kept.hearts}
