"""Label sets: the named ones, and those from users' files."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.anatomy.label_sets import LabelSet, label_set, label_set_names, label_sets_of_ids
from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError

TEN = {
    1: "Myocardium", 2: "LA", 3: "LV", 4: "RA", 5: "RV",
    6: "Aorta", 7: "PA", 8: "LAA", 9: "Coronary", 10: "PV",
}  # fmt: skip
SIXTEEN = TEN | {11: "SVC", 12: "IVC", 13: "CS", 14: "RVWall", 15: "LAWall", 16: "PML"}

# Written out by hand from the publications of the data sets.
EXPECTED = {
    "default": TEN,
    "default16": SIXTEEN,
    "heartchambers": {i: TEN[i] for i in range(1, 8)},
    "totalsegmentator": {51: "Heart", 52: "Aorta", 53: "PV", 61: "LAA", 62: "SVC", 63: "IVC"},
    "totalsegmentator_v1": {
        7: "Aorta", 8: "IVC", 44: "Myocardium", 45: "LA", 46: "LV", 47: "RA", 48: "RV", 49: "PA"
    },
    "totalsegmentator_mr": {22: "Heart", 23: "Aorta", 24: "IVC"},
    "mmwhs": {
        500: "LV", 600: "RV", 420: "LA", 421: "LA", 550: "RA",
        205: "Myocardium", 820: "Aorta", 850: "PA",
    },
    "acdc": {1: "RV", 2: "Myocardium", 3: "LV"},
    "mnms": {1: "LV", 2: "Myocardium", 3: "RV"},
    "vhmesh": {1: "Myocardium", 2: "LV", 3: "RV", 4: "LA", 5: "RA"},
}  # fmt: skip


def test_the_named_label_sets_are_these():
    assert set(label_set_names()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_of_a_named_label_set(name):
    found = label_set(name)
    assert found.name == name
    assert dict(found.ids) == EXPECTED[name]
    assert found.drop_others == name.startswith("totalsegmentator")
    assert found.drop == frozenset()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_label_set_is_named_in_any_case(name):
    assert label_set(name.upper()) == label_set(name.title()) == label_set(name)


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_and_names_lead_to_each_other(name):
    found = label_set(name)
    assert set(found.structures) == set(EXPECTED[name].values())
    assert len(set(found.structures)) == len(found.structures)
    for structure_name in found.structures:
        assert found.ids[found.id_of(structure_name)] == structure_name


def test_the_order_of_the_default_structures_is_that_of_their_ids():
    assert label_set("default").structures == tuple(TEN.values())


def test_several_ids_of_one_structure_the_first_is_written():
    assert label_set("mmwhs").id_of("LA") == 420


def test_id_of_a_structure_that_is_not_there():
    with pytest.raises(InputError, match="label set acdc has no id for LA"):
        label_set("acdc").id_of("LA")


ACDC_LACKS = ("LA", "RA", "Aorta", "PA", "LAA", "Coronary", "PV")


def test_structures_of_another_label_set_get_its_ids_unless_one_is_taken():
    default = label_set("default")
    for own, added in (
        (label_set("mmwhs"), {8: "LAA", 9: "Coronary", 10: "PV"}),
        # 1 to 3 are in use, so that LA may not be 2.
        (label_set("acdc"), dict(enumerate(ACDC_LACKS, 4))),
        (LabelSet("one", {2: "LV"}, drop=frozenset({1, 4}), ignore=frozenset({3})), None),
        # What it does not know may be any organ.
        (LabelSet("other", {51: "LV"}, drop_others=True), None),
        (default, {}),
    ):
        found = own.with_structures_of(default)
        assert found.name == own.name
        assert found.drop == own.drop
        assert set(found.structures) == set(own.structures) | set(default.structures)
        new = {i: name for i, name in found.ids.items() if i not in own.ids}
        assert dict(own.ids) == {i: name for i, name in found.ids.items() if i in own.ids}
        assert not new.keys() & (own.drop | own.ignore)
        if added is not None:
            assert new == added
        elif own.drop_others:
            assert list(new) == list(range(1001, 1010))
        else:
            assert list(new) == list(range(5, 14))


def test_unknown_ids():
    assert label_set("default").unknown([0, 1, 10, 11, 205]) == [11, 205]
    assert label_set("totalsegmentator").unknown([0, 1, 51, 117]) == []
    dropping = LabelSet("mine", {1: "LV"}, drop=frozenset({7}))
    assert dropping.unknown([0, 1, 7, 8]) == [8]
    ignoring = LabelSet("mine", {1: "LV"}, ignore=frozenset({255}))
    assert ignoring.unknown([0, 1, 8, 255]) == [8]


def test_what_is_a_vessel_does_not_depend_on_who_names_it():
    """Label sets name structures and say nothing of them; neither do those of older models."""
    older = {"name": "mine", "ids": {"4": "Coronary", "5": "LV"}, "drop": [], "drop_others": False}
    found = LabelSet.from_dict(older, "model.json")
    assert [structure(name).vessel for name in found.structures] == [True, False]
    assert found.to_dict() == older


def test_a_word_in_a_label_set():
    assert label_set("default").structure_named("heart_atrium_left") == "LA"
    assert label_set("totalsegmentator").structure_named("spleen") is None
    assert label_set("totalsegmentator").structure_named("LV") is None
    with pytest.raises(InputError, match=r"'hart_atrium_left'; did you mean LA \(Left atrium\)"):
        label_set("default").structure_named("hart_atrium_left")
    with pytest.raises(InputError, match=r"SVC is not in label set default.*--labels default16"):
        label_set("default").structure_named("superior_vena_cava")


def test_names_to_drop_are_found_however_they_are_spelt():
    mine = LabelSet("mine", {1: "LV"}, drop_names=frozenset({"Liver_Tumour"}))
    assert mine.drops("liver tumour")
    assert not mine.drops("liver")
    assert mine.structure_named("LIVER-TUMOUR") is None
    with pytest.raises(InputError, match="unknown structure 'tumour'"):
        mine.structure_named("tumour")


def test_label_sets_that_ids_may_be_of():
    assert label_sets_of_ids([0, 205, 500, 820]) == ("mmwhs",)
    assert label_sets_of_ids([0, 1, 12]) == ("default16",)
    assert label_sets_of_ids([0, 1, 2, 51, 52, 61, 62, 117]) == ("totalsegmentator",)
    assert label_sets_of_ids([0, 77, 78]) == ()
    # The tools' versions have 117, 104 and 50 classes.
    v2, v1, mr = "totalsegmentator", "totalsegmentator_v1", "totalsegmentator_mr"
    for highest, possible in ((117, (v2,)), (105, (v2,)), (104, (v2, v1)), (50, (v1, mr))):
        assert label_sets_of_ids(range(highest + 1)) == possible


def test_a_far_miss_lists_what_is_known():
    with pytest.raises(InputError, match=r"'spleen'; choose from Myocardium, .*Heart"):
        structure("spleen")


@pytest.mark.parametrize(
    ("typed", "meant"), [("Defautl", "default"), ("mm-whs", "mmwhs"), ("mnm", "mnms")]
)
def test_a_near_miss_of_a_label_set_is_suggested(typed, meant):
    with pytest.raises(InputError, match=rf"'{typed}'; .* a YAML file .*; did you mean .*{meant}"):
        label_set(typed)


def test_a_label_set_from_a_file(tmp_path):
    path = tmp_path / "clinic.yaml"
    path.write_text("ids: {3: lv, 7: Aorta, 8: aorta}\ndrop: [9, 12]\n")
    found = label_set(str(path))
    assert found == LabelSet(
        "clinic", {3: "LV", 7: "Aorta", 8: "Aorta"}, drop=frozenset({9, 12}), drop_others=False
    )


@given(
    st.builds(
        LabelSet,
        st.sampled_from(["clinic", "other"]),
        st.dictionaries(st.integers(1, 900), st.sampled_from(sorted(SIXTEEN.values())), min_size=1),
        st.frozensets(st.integers(901, 999)),
        st.booleans(),
        st.frozensets(st.integers(1001, 1099)),
        st.frozensets(st.sampled_from(["liver", "Left lung", "a: b", "no"])),
    )
)
def test_a_label_set_survives_its_file(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("sets") / "x.yml"
    path.write_text(yaml.safe_dump(written.to_dict()))
    assert label_set(str(path)) == written
    assert LabelSet.from_dict(json.loads(json.dumps(written.to_dict())), "metadata") == written


BAD_FILES = {
    "not a table": ("- 1\n- 2\n", "a table with 'ids'"),
    "empty": ("", "a table with 'ids'"),
    "no ids": ("name: mine\n", "needs 'ids'"),
    "ids no table": ("ids: [LV, RV]\n", "needs 'ids'"),
    "ids empty": ("ids: {}\n", "needs 'ids'"),
    "id a word": ("ids: {LV: 1}\n", "invalid id 'LV'"),
    "id a fraction": ("ids: {1.5: LV}\n", r"invalid id '1\.5'"),
    "id negative": ("ids: {-1: LV}\n", "invalid id '-1'"),
    "id a truth value": ("ids: {true: LV}\n", "invalid id 'True'"),
    "id 0": ("ids: {0: LV}\n", "id 0 is always background"),
    "structure unknown": ("ids: {1: Aorte}\n", "did you mean .*Aorta"),
    "structure no name": ("ids: {1: 3}\n", "unknown structure '3'"),
    "named and dropped": ("ids: {1: LV, 2: RV}\ndrop: [2]\n", r"ids \[2\] are in both"),
    "drop no list": ("ids: {1: LV}\ndrop: 2\n", "'drop'.*2"),
    "drop a fraction": ("ids: {1: LV}\ndrop: [1.5]\n", r"invalid id '1\.5'"),
    "drop a blank": ("ids: {1: LV}\ndrop: [' ']\n", "'drop' has ' ', which names nothing"),
    "drop a structure": ("ids: {1: LV}\ndrop: [left_ventricle]\n", "left_ventricle: in both"),
    "ignored and named": ("ids: {1: LV, 2: RV}\nignore: [2]\n", r"ids \[2\] are in both 'ids' and"),
    "ignored and dropped": ("ids: {1: LV}\nignore: [9]\ndrop: [9]\n", r"ids \[9\] .*and 'ignore'"),
    "ignored background": ("ids: {1: LV}\nignore: [0]\n", "id 0 is always background.*'ignore'"),
    "ignore no list": ("ids: {1: LV}\nignore: 255\n", "'ignore'.*255"),
    "drop_others a word": ("ids: {1: LV}\ndrop_others: never\n", "'drop_others'.*'never'"),
    "a word too many": ("ids: {1: LV}\ndropp: [2]\n", "dropp"),
    "an id twice": ("ids: {1: LV, 1: RV}\n", "duplicate key"),
    "no YAML": ("ids: {1: LV\n", "cannot be read as a label set"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(tmp_path, case):
    text, reason = BAD_FILES[case]
    path = tmp_path / "clinic.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"(?s)clinic.yaml: .*{reason}"):
        label_set(str(path))


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yaml: no such file; give --labels default, "):
        label_set(str(tmp_path / "gone.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=r"binary\.yaml: cannot be read as a label set"):
        label_set(str(tmp_path / "binary.yaml"))
