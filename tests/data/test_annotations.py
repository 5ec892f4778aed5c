"""What is said of structures that hearts lack."""

from dataclasses import replace
from pathlib import Path

from vecsetx.data.annotations import annotation_remarks
from vecsetx.data.dataset import DataSet, HeartEntry

ENTRY = HeartEntry(
    name="",
    patient="",
    split="train",
    fold=0,
    file="",
    kind="label map",
    source="",
    space="lps",
    sha256="",
    content="",
    label_set="default",
    annotated=("LV", "LAA", "PV"),
    version="",
)
IDS = {"ids": {1: "LV", 2: "LAA", 3: "PV"}}


def remarks(found: dict[str, tuple[str, ...]], entries: list[HeartEntry]) -> list[str]:
    sets = dict.fromkeys([entry.label_set for entry in entries], IDS)
    data = DataSet(Path(), ("LV", "LAA", "PV"), sets, 0, 0.2, 5, {}, tuple(entries))
    return list(annotation_remarks(data, found))


def hearts(*names: str, **changes: object) -> list[HeartEntry]:
    return [replace(ENTRY, name=name, **changes) for name in names]


def test_hearts_that_lack_what_others_have_are_named_with_a_way_out() -> None:
    found = dict.fromkeys("abcde", ("LV",)) | {"f": ("LV", "PV"), "g": ("LV", "LAA", "PV")}
    (remark,) = remarks(found, hearts(*found))
    assert remark.startswith(
        "some hearts lack LAA (a, b, c and 3 more); PV (a, "
        "b, c and 2 more): taken as absent there. If it was not annotated there, "
    )
    assert "with a label set that lacks it (docs/data.md, “Absent or not annotated”)" in remark
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    assert "\n## Absent or not annotated\n" in page


def test_hearts_that_were_there_before_are_not_named_again() -> None:
    assert remarks({"b": ("LV", "LAA", "PV")}, hearts("a", "b")) == []


def test_what_no_heart_has_is_said_once_for_all_label_sets() -> None:
    sets = [f"names-{n}" for n in range(5)]
    entries = [replace(ENTRY, name=n, label_set=n, annotated=("LV",)) for n in sets]
    entries[0] = replace(entries[0], annotated=("LV", "PV"))
    (remark,) = remarks({}, entries)
    assert remark.startswith(
        "no heart has LAA (label set names-0, names-1, names-2 and "
        "2 more); PV (label set names-1, names-2, names-3 and 1 more): taken as not "
        "annotated. If the hearts truly lack a structure, "
    )
    assert remark.endswith("name all structures with --structures")


def test_masks_say_themselves_what_they_annotate() -> None:
    assert remarks({"a": ("LV",)}, hearts("a", kind="masks")) == []
