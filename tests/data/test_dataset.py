from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.data.dataset import Choices, DataSet, HeartEntry
from vecsetx.data.split import Assignment, patients_of, split_by_patient
from vecsetx.errors import InputError


@given(
    patients=st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_a_patient_is_in_one_split_and_both_have_some(patients, share, seed) -> None:
    places = split_by_patient(patients, share, 3, seed)
    assert places.keys() == set(patients)
    assert places == split_by_patient(list(reversed(patients)), share, 3, seed)
    if len(places) > 1:
        assert {place.split for place in places.values()} == {"train", "val"}
    sizes = np.bincount([place.fold for place in places.values()], minlength=3)
    assert np.ptp(sizes) <= 1


@given(first=st.integers(1, 40), more=st.integers(0, 40), share=st.floats(0.05, 0.95))
def test_patients_added_later_move_nobody_and_keep_the_shares(first, more, share) -> None:
    patients = [f"p{i}" for i in range(first + more)]
    before = split_by_patient(patients[:first], share, 5, 0)
    after = split_by_patient(patients, share, 5, 0, before)
    assert {patient: after[patient] for patient in before} == before
    val = sum(place.split == "val" for place in after.values())
    assert val >= sum(place.split == "val" for place in before.values())
    assert val == pytest.approx(share * len(patients), abs=1 + share * first)
    assert np.ptp(np.bincount([place.fold for place in after.values()], minlength=5)) <= 1


def test_a_patient_that_leaves_keeps_its_place_for_its_return() -> None:
    before = {"gone": Assignment("val", 2)}
    assert split_by_patient(["new"], 0.5, 3, 0, before)["gone"] == Assignment("val", 2)


@given(
    splits=st.dictionaries(st.text(min_size=1), st.sampled_from(["train", "val", "test"])),
    later=st.dictionaries(st.text(min_size=1), st.sampled_from(["train", "val", "test"])),
)
def test_given_splits_are_kept_and_test_is_in_no_fold(splits, later) -> None:
    first = split_by_patient(splits, 0.2, 3, 0, given=splits)
    everyone = {**later, **splits}
    both = split_by_patient(everyone, 0.2, 3, 0, first, everyone)
    assert {patient: place.split for patient, place in both.items()} == everyone
    assert {patient: both[patient] for patient in first} == first
    assert all((place.fold == -1) == (place.split == "test") for place in both.values())
    folds = [place.fold for place in both.values() if place.fold >= 0]
    assert np.ptp(np.bincount(folds, minlength=3)) <= 1


def test_split_shares() -> None:
    patients = [f"p{i}" for i in range(100)]

    def splits(share: float, seed: int = 0) -> list[str]:
        return [place.split for place in split_by_patient(patients, share, 5, seed).values()]

    assert splits(0.2).count("val") == 20
    assert "val" not in splits(0.0)
    assert "train" not in splits(1.0)
    by_seed = [split_by_patient(patients, 0.2, 5, seed) for seed in (0, 1)]
    assert by_seed[0] != by_seed[1]


def test_patients_are_found_in_names() -> None:
    names = ["p01_systole", "p01_diastole", "p02_systole"]
    assert patients_of(names, r"^(p\d+)_") == dict(zip(names, ["p01", "p01", "p02"], strict=True))
    assert patients_of(names, None) == {name: name for name in names}
    with pytest.raises(InputError, match="finds no patient in heart 'other'"):
        patients_of([*names, "other"], r"^(p\d+)_")
    with pytest.raises(InputError, match="not a regular expression"):
        patients_of(names, "(")


def entry(name: str, fold: int) -> HeartEntry:
    return HeartEntry(
        name=name,
        patient=f"p-{name}",
        split="train",
        fold=fold,
        file=f"hearts/{name}.safetensors",
        kind="label map",
        source=f"/maps/{name}.nii.gz",
        space="lps",
        sha256="0",
        content="1",
        label_set="pair",
        annotated=("LV",),
        version="0",
    )


def dataset(folder: Path) -> DataSet:
    labels = {"pair": {"ids": {"1": "LV", "2": "RV"}}}
    hearts = tuple(entry(name, fold) for fold, name in enumerate("abc"))
    choices = Choices(("RV", "LV"), ("RV",), r"p(\d)", (None, "pair"), own_split=True)
    return DataSet(folder, ("LV", "RV"), labels, 3, 0.2, 3, {"reach_mm": np.inf}, hearts, choices)


def test_dataset_round_trip(tmp_path: Path) -> None:
    written = dataset(tmp_path)
    written.write()
    assert DataSet.read(tmp_path) == written
    replace(written, choices=None).write()
    assert DataSet.read(tmp_path) == replace(written, choices=None)
    (tmp_path / "dataset.json").write_text('{"schema": 1, "hea')
    with pytest.raises(InputError, match="damaged"):
        DataSet.read(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        DataSet.read(tmp_path / "nowhere")


def test_every_heart_is_left_out_of_one_fold(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    assert [heart.name for heart in data.of_split("val", 1)] == ["b"]
    assert [heart.name for heart in data.of_split("train", 1)] == ["a", "c"]
    assert len(data.of_split("train")) == 3
    with pytest.raises(InputError, match="folds 0 to 2, not 3"):
        data.of_split("val", 3)
