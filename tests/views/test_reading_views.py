"""Which views are read, and which are refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.cine import NAMES, cine, sliced

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.anatomy.plausibility import contradictions
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.views.contours import contours_of
from vecsetx.views.names import usual_contacts
from vecsetx.views.slices import Slice
from vecsetx.views.views import Views, find_views, read_views

IDS = label_set("default")
USUAL = LabelSet.from_dict({"name": "usual", "ids": dict(enumerate(NAMES, start=1))}, "")


def write(view: LabelMap, path: Path, ids: LabelSet = USUAL, named: bool = False) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_label_map(view.to_label_set(ids, NAMES), path, NAMES if named else (), ids)
    return path


def read(*paths: Path, chosen: tuple[LabelSet, ...] = (USUAL,), trust_names: bool = False) -> Views:
    return read_views(find_views(paths, chosen, USUAL, trust_names=trust_names), NAMES)


def part(view: LabelMap, *numbers: int) -> LabelMap:
    """Some slices of a stack; the others become background."""
    labels = np.zeros_like(view.labels)
    labels[..., list(numbers)] = view.labels[..., list(numbers)]
    return LabelMap(labels, view.affine)


def same(one: Slice, other: Slice) -> bool:
    return (
        one.view == other.view
        and one.number == other.number
        and (one.labels == other.labels).all()
        and (one.known == other.known).all()
        and np.allclose(one.origin_mm, other.origin_mm, atol=1e-3)
        and np.allclose(one.steps_mm, other.steps_mm, atol=1e-6)
    )


def test_views_come_as_they_were_written(tmp_path: Path) -> None:
    views = cine()[0]
    paths = [write(view, tmp_path / f"{name}.nii.gz") for name, view in views.items()]
    found, expected = read(*paths), sliced(views)
    assert found.paths == tuple(paths)
    assert [one.name for one in found.slices] == [one.name for one in expected]
    assert all(map(same, found.slices, expected))


def test_files_of_one_name_in_two_folders_are_two_views(tmp_path: Path) -> None:
    views = cine()[0]
    paths = [write(view, tmp_path / name / "labels.nii.gz") for name, view in views.items()]
    found = read(*paths)
    names = {one.name.rsplit(" ", 1)[0] for one in found.slices}
    assert names == {f"{name}/labels" for name in views}
    assert all(map(same, found.slices, sliced(views)))
    # A folder of views is all of them.
    for name, view in views.items():
        write(view, tmp_path / "patient" / f"{name}.nii.gz")
    assert len(read(tmp_path / "patient").slices) == 12


def test_a_view_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    views = cine()[0]
    paths = [write(view, tmp_path / "in" / f"{name}.nii.gz") for name, view in views.items()]
    (tmp_path / "link.nii.gz").symlink_to(paths[2])
    for again in (paths[2], tmp_path / "in", tmp_path / "link.nii.gz"):
        with pytest.raises(InputError, match=r"/[a-z0-9]+\.nii\.gz: is given twice"):
            read(*paths, again)


def test_each_file_says_its_own_label_set(tmp_path: Path) -> None:
    views = cine()[0]
    other = {11: "LV", 12: "Myocardium", 13: "RV", 14: "LA", 15: "RA"}
    ids = [USUAL, LabelSet.from_dict({"name": "mine", "ids": other}, ""), IDS]
    paths = [
        write(view, tmp_path / f"{name}.nii.gz", own, named=True)
        for (name, view), own in zip(views.items(), ids, strict=True)
    ]
    found = read(*paths, chosen=())
    assert all(map(same, found.slices, sliced(views)))


def test_each_view_may_have_a_label_set_of_its_own(tmp_path: Path) -> None:
    views = cine()[0]
    sax, lax = ("acdc", "vhmesh")
    ids = tuple(map(label_set, (sax, lax, lax)))
    paths = [
        write(view, tmp_path / f"{number} {name}.nii.gz", own.with_structures_of(IDS))
        for number, ((name, view), own) in enumerate(zip(views.items(), ids, strict=True))
    ]
    for given in (paths, [tmp_path]):  # files, or the folder that holds them
        found = read(*given, chosen=ids)
        assert all(map(same, found.slices, sliced(views)))
    # What the stack does not annotate is unknown there, and known elsewhere.
    atrium = NAMES.index("LA")
    assert [one.known[atrium] for one in found.slices] == [one.view > 0 for one in found.slices]
    assert (contours_of(found.slices).structure == atrium).any()
    # In another order, names contradict anatomy: ACDC's LV is the RV of M&Ms.
    wrong = (label_set("mnms"), *ids[1:])
    with pytest.raises(InputError, match=r"sax\.nii\.gz: .* encloses the RV, and not the LV"):
        read(*paths, chosen=wrong)
    trusted = read(*paths, chosen=wrong, trust_names=True)
    assert any("are trusted although anatomy contradicts" in one for one in trusted.remarks)
    right, left = NAMES.index("RV") + 1, NAMES.index("LV") + 1
    shown = found.slices[4].labels
    assert (shown == left).any()
    np.testing.assert_array_equal(trusted.slices[4].labels == right, shown == left)


def test_names_in_long_axis_slices_are_held_against_anatomy(tmp_path: Path) -> None:
    for name, told in (("4ch", "the L"), ("2ch", "the L")):
        path = write(cine()[0][name], tmp_path / f"{name}.nii.gz")
        stack = write(cine()[0]["sax"], tmp_path / "sax.nii.gz")
        exchanged = USUAL.ids | {1: "LV", 3: "Myocardium"}
        wrong = LabelSet.from_dict({"name": "wrong", "ids": exchanged}, "")
        with pytest.raises(InputError, match=rf"{name}\.nii\.gz: anatomy contradicts .*{told}"):
            read(stack, path, chosen=(USUAL, wrong))


def test_a_few_damaged_slices_do_not_contradict_names(tmp_path: Path) -> None:
    stack = cine()[0]["sax"]
    labels = stack.labels.copy()
    for number in (3, 5, 7):  # the wall was called RV
        labels[..., number][labels[..., number] == 1] = 5
    stack = LabelMap(labels, stack.affine)
    assert contradictions(Contacts.of(stack), USUAL.ids) is not None
    assert len(read(write(stack, tmp_path / "sax.nii.gz")).slices) == 10
    # With wrong names it is refused all the same.
    wrong = LabelSet.from_dict({"name": "wrong", "ids": USUAL.ids | {3: "RV", 5: "LV"}}, "")
    with pytest.raises(InputError, match="anatomy contradicts"):
        read(tmp_path / "sax.nii.gz", chosen=(wrong,))


def test_contacts_of_slices_that_are_all_alike_are_those_of_the_stack() -> None:
    one = cine()[0]["sax"].labels[..., 4:5]
    affine = np.diag([1.5, 1.5, 8.0, 1.0])
    stack = LabelMap(np.repeat(one, 5, axis=2), affine)
    found, expected = usual_contacts(stack), Contacts.of(LabelMap(one, affine))
    assert found.ids == expected.ids
    np.testing.assert_allclose(found.area_mm2, 5 * expected.area_mm2)
    np.testing.assert_allclose(found.volume_ml, 5 * expected.volume_ml)
    stack.labels[..., 2] = 0  # an empty slice is none
    np.testing.assert_allclose(usual_contacts(stack).area_mm2, 4 * expected.area_mm2)
    stack.labels[..., 1] = stack.labels[::-1, :, 1] % 2 * 5
    np.testing.assert_allclose(usual_contacts(stack).area_mm2, 4 * expected.area_mm2)


@pytest.mark.parametrize("count", [2, 4])
def test_label_sets_must_fit_the_views(count: int, tmp_path: Path) -> None:
    for name, view in cine()[0].items():
        write(view, tmp_path / f"{name}.nii.gz", label_set("vhmesh"))
    chosen = tuple(label_set("vhmesh") for _ in range(count))
    names = ",".join(["vhmesh"] * count)
    told = rf"^--labels {names}: {count} label sets for 3 views \(.*2ch\.nii.*sax\.nii.*order$"
    with pytest.raises(InputError, match=told):
        find_views([tmp_path], chosen, USUAL)


def test_empty_slices_and_specks_are_left_out(tmp_path: Path) -> None:
    views = cine()[0]
    stack = part(views["sax"], 2, 3, 5)
    stack.labels[4, 4, 8] = 1
    found = read(write(stack, tmp_path / "sax.nii.gz"))
    assert [one.number for one in found.slices] == [3, 4, 6]
    assert "slices that show specks alone were left out: sax 9" in found.remarks


def test_one_slice_in_all_is_refused(tmp_path: Path) -> None:
    path = write(cine()[0]["4ch"], tmp_path / "4ch.nii.gz")
    with pytest.raises(InputError, match=r"4ch\.nii\.gz: a single slice with .*more v"):
        read(path)
    path = write(part(cine()[0]["sax"], 4), tmp_path / "sax.nii.gz")
    with pytest.raises(InputError, match=r"sax\.nii\.gz: a single slice .* give the whole stack"):
        read(path)


def test_a_view_that_does_not_say_where_it_lies_is_refused(tmp_path: Path) -> None:
    view = cine()[0]["4ch"]
    image = nib.Nifti1Image(view.labels, None)
    image.header.set_zooms((1.5, 1.5, 8.0))
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "4ch.nii.gz")
    sax = write(cine()[0]["sax"], tmp_path / "sax.nii.gz")
    with pytest.raises(InputError, match=r"4ch\.nii\.gz: its header does not say where .* affine"):
        read(sax, tmp_path / "4ch.nii.gz")


def test_empty_views_volumes_and_other_kinds_are_refused(tmp_path: Path) -> None:
    views = cine()[0]
    sax = write(views["sax"], tmp_path / "sax.nii.gz")
    empty = write(part(views["4ch"]), tmp_path / "empty.nii.gz")
    with pytest.raises(InputError, match=r"empty\.nii\.gz: the label map is empty"):
        read(sax, empty)
    volume = LabelMap(np.ones((20, 20, 20), np.uint8), np.eye(4))
    with pytest.raises(InputError, match=r"volume\.nii\.gz: voxels of 1 × 1 × 1 mm are no slices"):
        read(sax, write(volume, tmp_path / "volume.nii.gz"))
    (tmp_path / "points.csv").write_text("x,y,z,structure\n1,2,3,LV\n")
    with pytest.raises(InputError, match=r"points\.csv: --one-heart takes label maps, and this is"):
        read(sax, tmp_path / "points.csv")
    with pytest.raises(InputError, match=r"no such file"):
        read(sax, tmp_path / "gone.nii.gz")


def test_ignored_ids_are_refused(tmp_path: Path) -> None:
    ids = LabelSet.from_dict({"name": "some", "ids": {1: "LV"}, "ignore": [2]}, "")
    labels = np.ones((20, 20, 3), np.uint8)
    labels[:10] = 2
    path = tmp_path / "sax.nii.gz"
    write_label_map(LabelMap(labels, np.diag([1.0, 1.0, 8.0, 1.0])), path)
    with pytest.raises(InputError, match=r"sax\.nii\.gz: has ids that label set some ignores, \[2"):
        read(path, chosen=(ids,))
