"""Names that anatomy contradicts are noticed, and right ones never are."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from support.hearts import write_small_phantoms

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.plausibility import STRUCTURES, contradictions, fit
from vecsetx.formats.label_maps import read_label_map

DEFAULT = label_set("default").ids
MAIN = {i: name for i, name in DEFAULT.items() if name in STRUCTURES}


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> LabelMap:
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("hearts"), 1)
    return read_label_map(path)


def exchanged(a: int, b: int) -> dict[int, str]:
    return DEFAULT | {a: DEFAULT[b], b: DEFAULT[a]}


def three_of(heart: LabelMap, spacing_mm: int = 10) -> LabelMap:
    """A stack with ACDC's ids: 1 RV, 2 myocardium, 3 LV."""
    ids = np.zeros(11, np.uint8)
    ids[[5, 1, 3]] = 1, 2, 3
    stride = round(spacing_mm / heart.spacing_mm[2])
    affine = heart.affine @ np.diag([1, 1, stride, 1])
    return LabelMap(ids[heart.labels[:, :, ::stride]], affine)


def cuts_of(heart: LabelMap) -> Iterator[LabelMap]:
    """Cut by a scan that ends, and emptied, on each side in turn, to a half or a quarter."""
    box = heart.bounding_box()
    for axis, side in enumerate(box):
        for share in (0.25, 0.5):
            at = int(side.start + share * (side.stop - side.start))
            for kept in (slice(at, None), slice(None, side.stop - at + side.start)):
                where = tuple(kept if k == axis else slice(None) for k in range(3))
                emptied = np.zeros_like(heart.labels)
                emptied[where] = heart.labels[where]
                yield LabelMap(emptied, heart.affine)
                yield LabelMap(heart.labels[where], heart.affine)  # where it lies does not matter


def test_right_names_are_never_contradicted(heart: LabelMap) -> None:
    assert contradictions(Contacts.of(heart), DEFAULT) is None
    for cut in cuts_of(heart):
        assert contradictions(Contacts.of(cut), DEFAULT) is None
    for pair in combinations(MAIN, 2):
        assert contradictions(Contacts.of(heart.without(pair)), DEFAULT) is None
    stack, acdc = three_of(heart), label_set("acdc").ids
    for first in range(0, stack.shape[2] - 3):
        part = replace(stack, labels=stack.labels[:, :, first : first + 3])
        assert contradictions(Contacts.of(part), acdc) is None


@pytest.mark.parametrize("pair", list(combinations(MAIN, 2)))
def test_two_names_exchanged(heart: LabelMap, pair: tuple[int, int]) -> None:
    found = contradictions(Contacts.of(heart), exchanged(*pair))
    assert found is not None
    assert not found.mirrored
    assert found.best == DEFAULT


def assert_veins_are_told_from_arteries(contacts: Contacts, names: dict[int, str]) -> None:
    """Name each artery after each vein that touches no ventricle."""
    id_of = {name: label_id for label_id, name in names.items()}
    for artery, ventricle in (("PA", "RV"), ("Aorta", "LV")):
        for vein in {"SVC", "PV"}:
            wrong = {**names, id_of[artery]: vein}
            if vein in id_of:
                wrong[id_of[vein]] = artery
            found = contradictions(contacts, wrong)
            assert found is not None
            assert found.best == {i: names[i] for i in contacts.ids}
            if vein == "SVC":
                assert f"the SVC touches the {ventricle} over" in " ".join(found.broken)


def test_arteries_under_the_names_of_veins(heart: LabelMap) -> None:
    assert_veins_are_told_from_arteries(Contacts.of(heart), DEFAULT)


def test_names_in_any_order(heart: LabelMap) -> None:
    contacts, generator = Contacts.of(heart), np.random.default_rng(0)
    for _ in range(20):
        moved = dict(zip(MAIN, generator.permutation(list(MAIN.values())).tolist(), strict=True))
        found = contradictions(contacts, DEFAULT | moved)
        assert (found is None) == (moved == MAIN)
        assert found is None or found.best == DEFAULT


@pytest.mark.parametrize(
    "kept",
    [
        ("Myocardium", "LA", "LV", "RA", "RV"),
        ("Myocardium", "LA", "LV"),
        ("Myocardium", "LA", "LV", "RA", "RV", "Aorta"),
    ],
)
def test_only_names_that_are_given_are_proposed(heart: LabelMap, kept: tuple[str, ...]) -> None:
    truth = {i: name for i, name in DEFAULT.items() if name in kept}
    some = heart.without([i for i in DEFAULT if i not in truth])
    contacts = Contacts.of(some)
    assert contradictions(contacts, truth) is None
    for a, b in combinations(truth, 2):
        found = contradictions(contacts, truth | {a: truth[b], b: truth[a]})
        if {truth[a], truth[b]} == {"LA", "Aorta"}:
            continue  # both lie on the LV and between atria and RV
        assert found is not None, (truth[a], truth[b])
        assert found.best == truth


def test_ids_moved_by_one_with_the_background_as_it_was(heart: LabelMap) -> None:
    """The myocardium has no name, so that the ventricles seem to have no labelled wall."""
    behind = replace(heart, labels=np.where(heart.labels, heart.labels + 1, 0))
    found = contradictions(Contacts.of(behind), DEFAULT)
    assert found is not None
    assert {i: name for i, name in found.best.items() if name in STRUCTURES} == {
        i + 1: name for i, name in MAIN.items()
    }


def test_ventricles_that_include_their_walls(heart: LabelMap) -> None:
    names = {i: name for i, name in MAIN.items() if name != "Myocardium"}
    walls = replace(heart, labels=np.where(heart.labels == 1, 3, heart.labels))
    assert contradictions(Contacts.of(walls), names) is None
    for cut in cuts_of(walls):
        assert contradictions(Contacts.of(cut), names) is None
    for a, b in ((3, 5), (2, 4)):  # the ventricles, and the atria
        found = contradictions(Contacts.of(walls), names | {a: names[b], b: names[a]})
        assert found is not None
        assert found.best == names


def test_ids_moved_by_one(heart: LabelMap) -> None:
    """A tool wrote the background as 1."""
    eight = heart.without([9, 10])
    found = contradictions(Contacts.of(replace(eight, labels=eight.labels + 1)), DEFAULT)
    assert found is not None
    assert found.best == {i + 1: DEFAULT[i] for i in range(1, 9)}
    assert found.broken[0] == "the Myocardium fills the edge of the scan"


def test_a_mirrored_heart(heart: LabelMap) -> None:
    for axis in range(3):
        mirrored = replace(heart, labels=np.flip(heart.labels, axis))
        found = contradictions(Contacts.of(mirrored), DEFAULT)
        assert found is not None
        assert found.mirrored
        assert found.broken == ("left and right are exchanged",)
    turned = replace(heart, labels=np.flip(heart.labels, (0, 2)))
    assert contradictions(Contacts.of(turned), DEFAULT) is None


def test_three_structures_decide_between_acdc_and_mnms(heart: LabelMap) -> None:
    acdc, mnms = label_set("acdc").ids, label_set("mnms").ids
    contacts = Contacts.of(three_of(heart))
    assert contradictions(contacts, acdc) is None
    found = contradictions(contacts, mnms)
    assert found is not None
    assert found.best == acdc
    assert fit(contacts, acdc) > -0.5 > fit(contacts, mnms)


def test_five_structures_decide_between_default_and_vhmesh(heart: LabelMap) -> None:
    contacts = Contacts.of(heart.without(range(6, 11)))
    assert fit(contacts, DEFAULT) > -0.5 > fit(contacts, label_set("vhmesh").ids)


def test_too_little_to_tell(heart: LabelMap) -> None:
    assert np.isnan(fit(Contacts.of(heart.without([1, 2, 4, 6, 7])), DEFAULT))
    empty = replace(heart, labels=np.zeros_like(heart.labels))
    assert np.isnan(fit(Contacts.of(empty), DEFAULT))
    assert contradictions(Contacts.of(empty), DEFAULT) is None


def test_what_is_no_heart_is_not_judged() -> None:
    """Boxes side by side: neither these names nor others fit."""
    labels = np.zeros((40, 20, 20), np.uint8)
    for k in range(1, 8):
        labels[5 * k - 2 : 5 * k + 3, 2:-2, 2:-2] = k
    contacts = Contacts.of(LabelMap(labels, np.diag([3.0, 3, 3, 1])))
    assert contradictions(contacts, DEFAULT) is None


def test_contacts_of_two_boxes() -> None:
    """20 × 20 mm of contact, across 4 mm of background too, at any voxel size; not across 6 mm."""
    for spacing_mm in (0.5, 1.0, 2.0):
        for gap_mm, mm2 in ((0, 400), (2, 400), (4, 400), (6, 0)):
            sides = np.array([10, 10 + gap_mm, 30]) / spacing_mm
            labels = np.zeros((round(40 / spacing_mm),) * 3, np.uint16)
            across = slice(round(8 / spacing_mm), round(28 / spacing_mm))
            labels[round(4 / spacing_mm) : round(sides[0]), across, across] = 205
            labels[round(sides[1]) : round(sides[2]), across, across] = 850
            affine = np.diag([-spacing_mm, spacing_mm, spacing_mm, 1])
            contacts = Contacts.of(LabelMap(labels, affine))
            assert contacts.ids == (205, 850)
            assert contacts.area_mm2[1, 2] == pytest.approx(mm2)
            assert contacts.area_mm2[2, 1] == pytest.approx(mm2)
            assert contacts.area_mm2[1].sum() == pytest.approx(2 * 400 + 4 * 20 * 6)
            assert contacts.volume_ml[1] == pytest.approx(2.4)


def test_fine_maps_are_subsampled(heart: LabelMap) -> None:
    """A heart of 0.5 mm has the contacts of one of 2 mm."""
    coarse = LabelMap(heart.labels, np.diag([2.0, 2, 2, 1]))
    fine = heart.labels.repeat(4, axis=0).repeat(4, axis=1).repeat(4, axis=2)
    found = Contacts.of(LabelMap(fine, np.diag([0.5, 0.5, 0.5, 1])))
    np.testing.assert_allclose(found.area_mm2, Contacts.of(coarse).area_mm2)


@pytest.mark.parametrize(
    ("file", "labels"),
    [
        ("kcl/val/case13.nii.gz", "default"),
        ("mmwhs/ct_train_1005.nii.gz", "mmwhs"),
        ("visible_human/female.nii.gz", "default"),
    ],
)
def test_real_hearts(real_hearts: Path, file: str, labels: str) -> None:
    named = label_set(labels).ids
    if not (real_hearts / file).exists():
        pytest.skip(f"{file} is not here")
    contacts = Contacts.of(read_label_map(real_hearts / file))
    assert contradictions(contacts, named) is None
    assert_veins_are_told_from_arteries(contacts, dict(named))
    for a, b in combinations([i for i in contacts.ids if named[i] in STRUCTURES], 2):
        found = contradictions(contacts, {**named, a: named[b], b: named[a]})
        assert found is not None
        assert found.best == {i: named[i] for i in contacts.ids}


def test_a_map_with_a_label_per_voxel_takes_little_memory() -> None:
    """The table of contacts of 60 000 labels would take 29 GB."""
    labels = np.arange(60_000, dtype=np.uint16).reshape(30, 40, 50)
    labels[:10, :10, :10] = 7
    contacts = Contacts.of(LabelMap(labels, np.diag([2.0, 2, 2, 1])))
    assert len(contacts.ids) == 1000
    assert contacts.volume_ml[contacts.ids.index(7) + 1] == pytest.approx(8.0, rel=0.01)
