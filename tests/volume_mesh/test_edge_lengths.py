"""Edges as people type them."""

import pytest

from vecsetx.errors import InputError
from vecsetx.volume_mesh.edge_lengths import EDGE_MM, parse_edges, parse_walls

AMONG = ("Myocardium", "LV", "Aorta")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [EDGE_MM, EDGE_MM, EDGE_MM]),
        ("2", [2, 2, 2]),
        ("Myocardium=0.6", [0.6, EDGE_MM, EDGE_MM]),
        (" aorta = 1.5 , 0.8,lv=2", [0.8, 2, 1.5]),
    ],
)
def test_lengths(text: str, expected: list[float]) -> None:
    assert dict(parse_edges(text, AMONG)) == dict(zip(AMONG, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fine", "--edge-mm fine: fine: must be a number from 0.1 to 20"),
        ("0.05", "--edge-mm 0.05: 0.05: must be a number from 0.1 to 20"),
        ("nan", "must be a number"),
        ("LV=", "must be a number"),
        ("=2", "give each structure once, such as LV=1.1"),
        ("LV=1,LV=2", "give each structure once"),
        ("1,2", "give one length for all structures"),
        ("LW=1", "unknown structure 'LW'"),
        ("PA=1", "there is no PA here; choose from Myocardium, LV, Aorta"),
    ],
)
def test_what_is_no_length_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        parse_edges(text, AMONG)


def test_walls() -> None:
    assert parse_walls("", AMONG) == {}
    assert parse_walls("lv=3.5, Aorta=1.6", AMONG) == {"LV": 3.5, "Aorta": 1.6}
    with pytest.raises(InputError, match="--wall 3: say whose wall is that thick, such as RV=3"):
        parse_walls("3", AMONG)
    with pytest.raises(InputError, match="--wall Myocardium=3: Myocardium is a wall itself"):
        parse_walls("Myocardium=3", AMONG)
