"""Stages of work, as those who display them hear of them."""

import pytest

from vecsetx.progress import counted_parts, hearing_stages, stage, staged


def test_stages_are_heard_from_the_outermost_to_the_innermost() -> None:
    heard: list[str] = []
    with hearing_stages(heard.append), stage("label map"):
        assert list(counted_parts("ab", "level")) == ["a", "b"]
        assert list(counted_parts(range(4))) == [0, 1, 2, 3]
    assert [text for text in heard if text] == [
        "label map",
        *("label map, level", "label map, level 0/2", "label map, level 1/2", "label map"),
        *("label map, ", "label map, 0%", "label map, 25%", "label map, 50%", "label map, 75%"),
        "label map",
    ]
    assert heard[-1] == ""


def test_a_stage_ends_with_an_error_and_when_its_parts_are_left() -> None:
    heard: list[str] = []

    @staged("meshing")
    def mesh(name: str) -> str:
        for _ in counted_parts(range(9), name):
            break
        raise KeyError(heard[-1])

    with hearing_stages(heard.append), pytest.raises(KeyError, match="meshing"):
        mesh("walls")
    assert "meshing, walls 0/9" in heard
    assert heard[-1] == ""


def test_nobody_has_to_listen() -> None:
    with stage("meshing") as at:
        at("40%")
    assert list(counted_parts([1, 2], "part")) == [1, 2]
