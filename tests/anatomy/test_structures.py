"""Names, titles and aliases of structures."""

import re
from importlib import resources

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.anatomy.structures import (
    Structure,
    find_structure,
    is_other_organ,
    parse_names,
    structure,
    structure_names,
)
from vecsetx.errors import InputError

NAMES = (
    "Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA", "LAA", "Coronary", "PV",
    "SVC", "IVC", "CS", "RVWall", "LAWall", "PML",
)  # fmt: skip


def test_every_structure_has_a_title_and_a_colour_of_its_own():
    entries = [structure(name) for name in (*NAMES, "Heart")]
    assert len({entry.color for entry in entries}) == len(entries)
    assert len({entry.title for entry in entries}) == len(entries)
    assert all(0 <= part <= 255 for entry in entries for part in entry.color)
    assert all(len(entry.color) == 3 for entry in entries)


def test_these_are_vessels():
    vessels = {"Aorta", "PA", "Coronary", "PV", "SVC", "IVC", "CS"}
    assert {name for name in structure_names() if structure(name).vessel} == vessels
    assert Structure("LV", "Left ventricle", (0, 0, 0), 800.0).vessel is False


@pytest.mark.parametrize("typed", ["laa", "LAA", " Laa "])
def test_a_structure_by_name_in_any_case(typed):
    assert structure(typed).title == "Left atrial appendage"


@pytest.mark.parametrize(
    ("typed", "meant"), [("Aorte", "Aorta"), ("myocard", "Myocardium"), ("coronarys", "Coronary")]
)
def test_a_near_miss_is_suggested(typed, meant):
    with pytest.raises(InputError, match=rf"'{typed}'; did you mean .*{meant}.*\?"):
        structure(typed)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("heart_myocardium", "Myocardium"), ("heart_atrium_left", "LA"),
        ("heart_ventricle_left", "LV"), ("heart_atrium_right", "RA"),
        ("heart_ventricle_right", "RV"), ("aorta", "Aorta"), ("pulmonary_artery", "PA"),
        ("coronary_arteries", "Coronary"), ("heart", "Heart"), ("pulmonary_vein", "PV"),
        ("atrial_appendage_left", "LAA"), ("superior_vena_cava", "SVC"),
        ("inferior_vena_cava", "IVC"), ("Left Ventricle", "LV"), ("left-atrium", "LA"),
        ("lv.blood pool", "LV"), ("myo", "Myocardium"),
    ],
)  # fmt: skip
def test_other_words_for_a_structure(word, meant):
    assert find_structure(word) == structure(word).name == meant
    assert parse_names(word.upper(), {*NAMES, "Heart"}) == (meant,)


def test_no_word_means_two_structures():
    tables = yaml.safe_load(
        resources.files("vecsetx.anatomy").joinpath("structures.yaml").read_text()
    )
    words = [
        (re.sub("[-_. ]", "", word).lower(), name)
        for name, entry in tables.items()
        for word in {name, entry["title"], *entry.get("aliases", ())}
    ]
    meant = {}
    for word, name in words:
        assert meant.setdefault(word, name) == name
    assert {find_structure(word) for word, _ in words} == set(tables)


@pytest.mark.parametrize("word", ["", "spleen", "L", "heart_atrium", "lung_upper_lobe_left"])
def test_words_that_mean_no_structure(word):
    assert find_structure(word) is None


@given(st.lists(st.sampled_from(sorted(NAMES))), st.sampled_from([str.lower, str.upper]))
def test_names_are_parsed_in_any_case_and_given_in_the_catalogues_order(wanted, case):
    found = parse_names(case(" , ".join(wanted)), NAMES)
    assert found == tuple(name for name in NAMES if name in wanted)


def test_a_name_that_is_not_among_those_here():
    with pytest.raises(InputError, match=r"'LAS'; did you mean .*LA.*\?"):
        parse_names("LV,LAS", ["LV", "LA"])
    with pytest.raises(InputError, match="there is no PV here; choose from LV, LA"):
        parse_names("PV", ["LV", "LA"])
    with pytest.raises(InputError, match=r"^--hide LV,RVV: unknown structure 'RVV'; "):
        parse_names("LV,RVV", ["LV", "RV"], "--hide")


def test_other_organs_are_no_structures():
    text = resources.files("vecsetx.anatomy").joinpath("other_organs.yaml").read_text("utf-8")
    organs = yaml.safe_load(text)
    assert len(organs) == len(set(organs)) == 116
    assert all(is_other_organ(word) for word in organs)
    assert [word for word in organs if find_structure(word)] == []
    assert is_other_organ("Rib left 12")
    assert not any(is_other_organ(word) for word in (*structure_names(), "rib_left_13", "", "hart"))
