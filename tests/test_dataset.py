from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.data.dataset import DataSet, HeartEntry, split_by_patient
from vecsetx.errors import InputError
from vecsetx.pipeline.inputs import find_label_maps, patients_of


@given(
    patients=st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_a_patient_is_in_one_split_and_both_have_some(patients, share, seed) -> None:
    split = split_by_patient(patients, share, seed)
    assert split.keys() == set(patients)
    assert split == split_by_patient(list(reversed(patients)), share, seed)
    if len(set(patients)) > 1:
        assert set(split.values()) == {"train", "val"}


def test_a_patient_more_hardly_changes_the_split() -> None:
    patients = [f"p{i}" for i in range(60)]
    before, after = (split_by_patient(p, 0.2, 0) for p in (patients, [*patients, "new"]))
    assert sum(before[patient] != after[patient] for patient in patients) <= 1


def test_split_shares() -> None:
    patients = [f"p{i}" for i in range(100)]
    assert list(split_by_patient(patients, 0.2, 0).values()).count("val") == 20
    assert "val" not in split_by_patient(patients, 0.0, 0).values()
    assert "train" not in split_by_patient(patients, 1.0, 0).values()
    assert split_by_patient(patients, 0.2, 0) != split_by_patient(patients, 0.2, 1)


def test_patients_are_found_in_names() -> None:
    names = ["p01_systole", "p01_diastole", "p02_systole"]
    assert patients_of(names, r"^(p\d+)_") == dict(zip(names, ["p01", "p01", "p02"], strict=True))
    assert patients_of(names, None) == {name: name for name in names}
    with pytest.raises(InputError, match="finds no patient in heart 'other'"):
        patients_of([*names, "other"], r"^(p\d+)_")
    with pytest.raises(InputError, match="no regular expression"):
        patients_of(names, "(")


def test_inputs_become_named_hearts(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.v2.nii", "notes.txt"):
        (tmp_path / name).touch()
    assert list(find_label_maps([tmp_path])) == ["a.v2", "b"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.nii").touch()
    with pytest.raises(InputError, match="same name"):
        find_label_maps([tmp_path, tmp_path / "more"])
    with pytest.raises(InputError, match="no such file"):
        find_label_maps([tmp_path / "none.nii.gz"])
    with pytest.raises(InputError, match="no NIfTI file"):
        find_label_maps([tmp_path / "notes.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no NIfTI"):
        find_label_maps([tmp_path / "empty"])


def test_dataset_round_trip(tmp_path: Path) -> None:
    hearts = (HeartEntry("a", "p", "train", "hearts/a.safetensors", "/maps/a.nii.gz"),)
    dataset = DataSet(tmp_path, ("LV", "RV"), {"ids": {"1": "LV", "2": "RV"}}, 3, hearts)
    dataset.write()
    assert DataSet.read(tmp_path) == dataset
    (tmp_path / "dataset.json").write_text('{"schema": 1, "hea')
    with pytest.raises(InputError, match="damaged"):
        DataSet.read(tmp_path)
    with pytest.raises(InputError, match="no prepared data set"):
        DataSet.read(tmp_path / "nowhere")
