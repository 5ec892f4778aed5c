"""The order of frames that are files."""

from pathlib import Path

import pytest

from vecsetx.cine.order import order_remark, short_names


@pytest.mark.parametrize(
    "names",
    [
        ["frame1.nii", "frame2.nii", "frame10.nii"],
        ["d.nii", "c.nii", "a.nii"],  # only numbers say what comes first
        ["p2_ed.nii", "p1_es.nii"],
        ["a/2.nii", "b/1.nii"],
        ["1/a.nii", "2/a.nii", "10/a.nii"],
        ["a.nii"],
    ],
)
def test_files_in_the_order_of_their_numbers_get_no_remark(names: list[str]) -> None:
    assert order_remark([Path("/x7") / name for name in names]) == ""


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["f1.nii", "f10.nii", "f2.nii"], "f10.nii is frame 2, before f2.nii, frame 3,"),
        (["f01.nii", "z.nii", "f00.nii"], "f01.nii is frame 1, before f00.nii, frame 3,"),
        (["10/a.nii", "2/a.nii"], "10/a.nii is frame 1, before 2/a.nii, frame 2,"),
    ],
)
def test_files_in_another_order_are_named(names: list[str], told: str) -> None:
    assert told in order_remark([Path("/x7") / name for name in names])


def test_files_are_named_from_the_folder_that_all_lie_in() -> None:
    assert short_names([Path("/a/b/1.nii"), Path("/a/b/2.nii")]) == ["1.nii", "2.nii"]
    assert short_names([Path("/a/b/1.nii"), Path("/a/c/1.nii")]) == ["b/1.nii", "c/1.nii"]
