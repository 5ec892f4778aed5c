"""Splits that the user gives: in a CSV file, or by folder."""

from pathlib import Path

import pytest

from vecsetx.data.dataset import Choices, DataSet, HeartEntry
from vecsetx.data.own_split import find_split_hearts, folders_by_split, given_splits, read_split
from vecsetx.data.prepare_options import PrepareOptions
from vecsetx.errors import InputError

HEARTS = ("a", "b", "c")


def write(folder: Path, text: str) -> Path:
    file = folder / "split.csv"
    file.write_text(text)
    return file


def touch(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_every_heart_gets_the_split_of_its_line(tmp_path: Path) -> None:
    text = (
        "\ufeffage, Split ,heart\n7,Training,a\n8, validation ,b.nii.gz\n9,testing,c\n,VALID,old\n"
    )
    found = read_split(write(tmp_path, text), HEARTS, ["old", "other"])
    assert found == {"a": "train", "b": "val", "c": "test", "old": "val"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"has columns \(none\); it needs heart and split"),
        ("heart;split\na;train\n", "has columns heart;split; it needs"),
        ("heart,split\na,train\nb,dev\nc,val\n", "line 3 has split 'dev' for heart b"),
        ("heart,split\na,train\nb\nc,val\n", "line 3 has split '' for heart b"),
        ("heart,split\na,train\nb,val\nc,val\na.nii,val\n", "line 5 names heart a again"),
        ("heart,split\nb,val\nd,val\ne,test\n", "no line for a, c; names d, e, not among the in"),
    ],
)
def test_a_split_that_leaves_a_heart_open_is_refused(
    text: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"split\.csv: .*{reason}"):
        read_split(write(tmp_path, text), HEARTS)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read as a CSV file"):
        read_split(tmp_path / "gone.csv", HEARTS)
    (tmp_path / "binary.csv").write_bytes(b"heart,split\n\xff\xfe\xff")
    with pytest.raises(InputError, match=r"binary\.csv: cannot be read as a CSV file"):
        read_split(tmp_path / "binary.csv", HEARTS)


def test_folders_name_splits_in_themselves_or_around_themselves(tmp_path: Path) -> None:
    touch(tmp_path, "cohort/train/a.nii", "cohort/Valid/b.nii", "cohort/testing/c.nii")
    touch(tmp_path, "cohort/about.txt", "more/training/d.nii", "validation/e.nii")
    cohort, more = tmp_path / "cohort", tmp_path / "more"
    assert folders_by_split([cohort, more / "training", tmp_path / "validation"]) == {
        "train": [cohort / "train", more / "training"],
        "val": [cohort / "Valid", tmp_path / "validation"],
        "test": [cohort / "testing"],
    }
    options = PrepareOptions(split_by_folder=True)
    hearts, splits = find_split_hearts([cohort, tmp_path / "validation"], options)
    assert list(hearts) == ["a", "b", "c", "e"]
    assert splits == {"a": "train", "b": "val", "c": "test", "e": "val"}
    assert given_splits(None, hearts, splits, {name: name for name in hearts}, options) == splits


def test_folders_of_splits_need_the_option_that_reads_them(tmp_path: Path) -> None:
    touch(tmp_path, "cohort/train/a.nii", "cohort/val/b.nii")
    with pytest.raises(InputError, match="cohort: holds the folders train, val; give --split-by-f"):
        find_split_hearts([tmp_path / "cohort"], PrepareOptions())
    folders = [tmp_path / "cohort" / name for name in ("train", "val")]
    hearts, splits = find_split_hearts(folders, PrepareOptions())
    assert list(hearts) == ["a", "b"]
    assert splits == {}


def test_folders_that_leave_a_split_open_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "mixed/train/a.nii.gz", "mixed/b.nii.gz", "mixed/holdout/c.nii.gz")
    for given in (tmp_path, tmp_path / "a.nii.gz", tmp_path / "gone"):
        with pytest.raises(InputError, match="takes folders named train, val or test, and folders"):
            folders_by_split([given])
    with pytest.raises(InputError, match=r"mixed: holds b\.nii\.gz, holdout beside train; move"):
        folders_by_split([tmp_path / "mixed"])
    touch(tmp_path, "twice/train/a.nii.gz", "twice/test/a.nii.gz")
    with pytest.raises(InputError, match=r"train/a\.nii\.gz: .*, in split test, has the same"):
        find_split_hearts([tmp_path / "twice"], PrepareOptions(split_by_folder=True))


def entry(name: str, patient: str, split: str) -> HeartEntry:
    file = f"hearts/{name}.safetensors"
    fold = -1 if split == "test" else 0
    return HeartEntry(name, patient, split, fold, file, "npz", "/a", "lps", "0", name, "s", (), "0")


def data_set(*hearts: HeartEntry) -> DataSet:
    return DataSet(Path("data"), (), {}, 0, 0.2, 5, {}, hearts, Choices(own_split=True))


def test_a_patient_in_two_splits_is_refused_by_name() -> None:
    patients = {"p1_a": "p1", "p1_b": "p1", "p2_a": "p2"}
    options = PrepareOptions(split_by_folder=True)
    splits = {"p1_a": "train", "p1_b": "train", "p2_a": "val"}
    assert given_splits(None, patients, splits, patients, options) == {"p1": "train", "p2": "val"}
    wrong = splits | {"p1_b": "test"}
    told = "patient p1 is in two splits: heart p1_a in train, heart p1_b in test"
    with pytest.raises(InputError, match=told):
        given_splits(None, patients, wrong, patients, options)
    before = data_set(entry("p1_a", "p1", "train"))
    with pytest.raises(InputError, match=told):
        given_splits(before, ["p1_b"], {"p1_b": "test"}, {"p1_b": "p1"}, options)


def test_hearts_added_later_need_a_split_and_keep_theirs(tmp_path: Path) -> None:
    before = data_set(entry("a", "a", "test"), entry("b", "b", "val"))
    same = {name: name for name in HEARTS}
    with pytest.raises(
        InputError, match=r"^data: the splits .* given, and c would have none; give"
    ):
        given_splits(before, HEARTS, {}, same, PrepareOptions())
    assert given_splits(before, ["a"], {}, {"a": "a"}, PrepareOptions()) == {
        "a": "test",
        "b": "val",
    }
    options = PrepareOptions(split=write(tmp_path, "heart,split\nc,train\nb,val\n"))
    expected = {"a": "test", "b": "val", "c": "train"}
    assert given_splits(before, HEARTS, {}, same, options) == expected
    write(tmp_path, "heart,split\nc,train\nb,train\n")
    with pytest.raises(InputError, match="heart b: is in split val of data, and now in train"):
        given_splits(before, HEARTS, {}, same, options)
