"""Numbers of regions."""

import pytest

from vecsetx.anatomy.label_sets import label_set, label_set_names
from vecsetx.anatomy.structures import structure_names
from vecsetx.volume_mesh.tags import FOUR_CHAMBER, tags_of
from vecsetx.volume_mesh.valves import VALVES

KINGS = ["Myocardium", "RVWall", "LAWall", "RAWall", "AortaWall", "PAWall", *VALVES]


def test_kings_numbers() -> None:
    assert tags_of("four-chamber", KINGS, label_set("default")) == list(range(1, 11))
    assert tags_of("four-chamber", ["IVC", "LAA", "SVC"], label_set("default")) == [17, 15, 16]


def test_every_region_that_there_can_be_has_a_number_of_its_own() -> None:
    walls = [f"{name}Wall" for name in structure_names() if not name.endswith("Wall")]
    walls.remove("MyocardiumWall")
    assert set(FOUR_CHAMBER) == {*structure_names(), *walls, *VALVES}
    numbers = list(FOUR_CHAMBER.values())
    assert len(set(numbers)) == len(numbers)
    # 11 to 14 and 18 to 24 are veins and rings of theirs, which there are none of here.
    assert not {*range(11, 15), *range(18, 31)} & set(numbers)
    assert max(numbers) < 101  # of interfaces in Gmsh's files


def test_ids_of_the_label_set() -> None:
    names = ["LV", "RVWall", "PA", "LAWall", "MitralValve"]
    assert tags_of("label-set", names, label_set("mmwhs")) == [500, 851, 850, 852, 853]
    # What the label set has an id for has that, also if it is added.
    assert tags_of("label-set", names, label_set("default16")) == [3, 14, 7, 15, 17]


@pytest.mark.parametrize("name", label_set_names())
def test_ids_of_any_label_set_are_each_regions_own(name: str) -> None:
    own = label_set(name)
    names = list(dict.fromkeys([*own.structures, *KINGS]))
    for numbering in ("label-set", "four-chamber"):
        tags = tags_of(numbering, names, own)
        assert len(set(tags)) == len(names)
