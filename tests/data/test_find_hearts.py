"""What the user names becomes hearts, and a heart lies where it lay whatever its format."""

import hashlib
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from support.maps import LABELS, save, save_itk
from support.masks import LEFT, NOTHING, RIGHT, write_masks
from support.meshes import bent_ball, write_meshes, write_vtp
from support.points import cloud
from support.shapes import ball_in_shell

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource, NpzSource, PointsSource, SamplesSource
from vecsetx.errors import InputError
from vecsetx.formats.folders import stem
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.formats.points import LabelledPoints
from vecsetx.reconstruction.mesh_export import write_scene, write_surfaces
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.sampler import SamplingSpec

DEFAULT = label_set("default")
THREE = LabelSet("three", {2: "LV", 9: "RV", 4: "Aorta"})

# A left ventricle to the left and below, a smaller right one to the right and in front, and an
# aorta above and behind: mirroring any axis, or swapping two, makes another heart of it. No two end
# on one plane, which would be taken as a cut.
HEART = np.zeros((12, 14, 16), np.uint8)
HEART[2:6, 4:8, 2:9] = 2
HEART[7:11, 8:13, 5:9] = 9
HEART[4:8, 2:5, 11:15] = 4


def present(heart: HeartSource) -> tuple[str, ...]:
    """Structures of the label set that occur in the heart."""
    structures = heart.label_set.structures
    found = heart.read(structures)
    if isinstance(found, LabelledPoints):
        there = np.isin(np.arange(len(structures)), found.structure).tolist()
    elif found.closed is not None:
        there = [len(faces) > 0 for _, faces in found.closed]
    else:
        there = np.isin(np.arange(1, len(structures) + 1), found.label_map.labels).tolist()
    return tuple(name for name, is_there in zip(structures, there, strict=True) if is_there)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


# --- a heart in every format ------------------------------------------------------------------


def centers_mm(label_map):
    return [
        label_map.to_mm(np.argwhere(label_map.labels == k)).mean(axis=0)
        for k in range(1, label_map.labels.max() + 1)
    ]


def mesh_center_mm(vertices, faces):
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    volumes = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6
    assert volumes.sum() > 0
    return (volumes[:, None] * (a + b + c) / 4).sum(axis=0) / volumes.sum()


def voxel_block(label_map, label):
    """The outer faces of a structure that is a block of voxels, looking outwards, in mm."""
    inside = np.argwhere(label_map.labels == label)
    bounds = [inside.min(axis=0) - 0.5, inside.max(axis=0) + 0.5]
    block = trimesh.creation.box(bounds=bounds)
    flipped = np.linalg.det(label_map.affine) < 0
    faces = np.asarray(block.faces, np.int64)
    return label_map.to_mm(np.asarray(block.vertices)), faces[:, ::-1] if flipped else faces


def affine_of(turn, spacing_mm, offset_mm, flips):
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() * spacing_mm * flips
    affine[:3, 3] = offset_mm
    return affine


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, -1)])
@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -35, 50)])
def test_a_heart_lies_where_it_lay_in_every_format(tmp_path, flips, angles):
    turn = Rotation.from_euler("xyz", angles, degrees=True)
    affine = affine_of(turn, (3.0, 1.8, 4.4), (-31.5, 17.25, 60.0), flips)
    structures = ("Aorta", "LV", "RV")
    truth = LabelMap(HEART, affine).to_structures(THREE, structures, "truth")
    true_mm = np.array(centers_mm(truth))

    save(tmp_path / "nifti.nii.gz", HEART, affine)
    for ending in ("nrrd", "mha"):
        save_itk(tmp_path / f"{ending}.{ending}", HEART, affine)
    (tmp_path / "masks" / "of").mkdir(parents=True)
    named = {name: truth.labels == k for k, name in enumerate(structures, start=1)}
    words = {"Aorta": "aorta", "LV": "heart_ventricle_left", "RV": "right-ventricle"}
    write_masks(tmp_path / "masks" / "of", affine, **{words[n]: m for n, m in named.items()})
    voxels = [
        *(tmp_path / file for file in ("nifti.nii.gz", "nrrd.nrrd", "mha.mha")),
        tmp_path / "masks" / "of",
    ]
    for path in voxels:
        (heart,) = find_hearts([path], THREE).values()
        found = heart.segmentation(structures).label_map
        assert found.labels.tolist() == truth.labels.tolist()
        np.testing.assert_allclose(found.affine, affine, rtol=1e-6, atol=1e-5)
        assert present(heart) == ("LV", "RV", "Aorta")

    closed = [voxel_block(truth, label) for label in (1, 2, 3)]
    for extension in ("stl", "ply", "obj", "vtp"):
        for space in ("lps", "ras"):
            folder = tmp_path / f"{extension}-{space}"
            surfaces = {
                name: Surface(vertices.astype(np.float32), faces)
                for name, (vertices, faces) in zip(structures, closed, strict=True)
            }
            write_surfaces(folder, surfaces, structures, extension, space)
            (heart,) = find_hearts([folder], THREE).values()
            assert heart.kind == "meshes"
            found_mm = [mesh_center_mm(*mesh) for mesh in heart.segmentation(structures).closed]
            np.testing.assert_allclose(found_mm, true_mm, atol=1e-3)

    points = np.concatenate([vertices for vertices, _ in closed])
    number = np.repeat([0, 1, 2], [len(vertices) for vertices, _ in closed])
    names = [structures[k] for k in number]
    rows = [f"{x!r},{y!r},{z!r},{n}" for (x, y, z), n in zip(points.tolist(), names, strict=True)]
    (tmp_path / "cloud.csv").write_text("# SPACE=RAS\nx,y,z,structure\n" + "\n".join(rows) + "\n")
    write_vtp(tmp_path / "vtp.vtp", cloud((points * [-1, -1, 1]).tolist(), structure=names))
    for path in (tmp_path / "cloud.csv", tmp_path / "vtp.vtp"):
        (heart,) = find_hearts([path], THREE).values()
        found = heart.read(structures)
        np.testing.assert_allclose(found.points_mm, points, rtol=0, atol=1e-12)
        assert found.structure.tolist() == number.tolist()
        assert present(heart) == ("LV", "RV", "Aorta")


# --- finding ----------------------------------------------------------------------------------


def found_in(*inputs, known=None):
    return {name: (h.kind, h.path.name) for name, h in find_hearts(inputs, known).items()}


def test_files_of_every_kind(tmp_path):
    names = [
        "b.nii.gz",
        "a.nii",
        "c.seg.nrrd",
        "d.MHA",
        "e.mhd",
        "f.npz",
        "g.csv",
        "h.vtp",
        "i.nhdr",
    ]
    touch(tmp_path, *names)
    kinds = ["label map"] * 5 + ["npz", "points", "points", "label map"]
    expected = {
        stem(tmp_path / name): (kind, name) for name, kind in zip(names, kinds, strict=True)
    }
    assert found_in(*(tmp_path / name for name in names)) == expected
    hearts = find_hearts([tmp_path / name for name in names])
    assert list(hearts) == list("abcdefghi")
    assert all(heart.label_set == DEFAULT for heart in hearts.values())


def test_a_folder_of_label_maps(tmp_path):
    touch(tmp_path, "b.nii.gz", "a.1.mha", "c.npz", ".hidden.nii.gz", "notes.txt", "x/readme.md")
    (tmp_path / ".cache").mkdir()
    assert found_in(tmp_path) == {
        "a.1": ("label map", "a.1.mha"), "b": ("label map", "b.nii.gz"), "c": ("npz", "c.npz"),
    }  # fmt: skip


def test_a_folder_that_is_a_heart(tmp_path):
    touch(tmp_path, "m/heart_ventricle_left.nii.gz", "m/aorta.nii.gz", "s/LV.stl", "s/heart.glb")
    assert found_in(tmp_path / "m", tmp_path / "s") == {"m": ("masks", "m"), "s": ("meshes", "s")}


def test_one_file_named_as_a_structure_is_no_heart_of_masks(tmp_path):
    touch(tmp_path, "heart.nii.gz", "case2.nii.gz")
    assert found_in(tmp_path) == {
        "case2": ("label map", "case2.nii.gz"), "heart": ("label map", "heart.nii.gz"),
    }  # fmt: skip


def test_one_mask_alone_in_its_folder_is_a_heart_of_the_folder_s_name(tmp_path):
    touch(tmp_path, "patient/LV.nii.gz", "whole/heart.nii.gz", "beside/LV.nii.gz", "beside/b.nii")
    assert found_in(tmp_path / "patient") == {"patient": ("masks", "patient")}
    assert found_in(tmp_path / "whole") == {"heart": ("label map", "heart.nii.gz")}
    assert found_in(tmp_path / "beside") == {"beside": ("masks", "beside")}
    with pytest.raises(InputError, match=r"beside: unknown structure 'b'.* Rename this file"):
        present(find_hearts([tmp_path / "beside"])["beside"])
    with pytest.raises(InputError, match=r"if each file is a heart of its own, give .*beside/\*$"):
        present(find_hearts([tmp_path / "beside"])["beside"])
    assert find_hearts(list((tmp_path / "beside").iterdir())).keys() == {"LV", "b"}


def test_a_folder_of_hearts_in_folders(tmp_path):
    touch(tmp_path, "p1/LV.nii.gz", "p1/RV.nii.gz", "p2/LV.vtp", "p4/LV.nrrd", "p4/aorta.nrrd")
    touch(tmp_path, "p3/LV.nii.gz", "about.txt")  # one mask: a heart that fails, not one left out
    (tmp_path / "p0").mkdir()
    kinds = {"p0": "masks", "p1": "masks", "p2": "meshes", "p3": "masks", "p4": "masks"}
    assert found_in(tmp_path) == {name: (kind, name) for name, kind in kinds.items()}
    with pytest.raises(InputError, match="p0: none of its files is named after"):
        present(find_hearts([tmp_path])["p0"])


def test_masks_beside_their_scan_as_totalsegmentator_publishes_them(tmp_path):
    for case in ("s0001", "s0002"):
        names = ("heart_atrium_left.nii.gz", "aorta.nii.gz")
        touch(tmp_path / case, "ct.nii.gz", *(f"segmentations/{name}" for name in names))
    found = find_hearts([tmp_path], label_set("heartchambers"))
    assert [heart.path for heart in found.values()] == [
        tmp_path / case / "segmentations" for case in ("s0001", "s0002")
    ]
    assert {heart.kind for heart in found.values()} == {"masks"}
    assert list(found) == list(find_hearts([tmp_path / "s0001", tmp_path / "s0002"], DEFAULT))
    assert list(found) == ["s0001", "s0002"]


def test_files_and_folders_of_hearts_at_once(tmp_path):
    touch(tmp_path, "case1.nii.gz", "p1/LV.nii.gz", "p1/RV.nii.gz")
    with pytest.raises(
        InputError, match=r"holds hearts as files \(case1\.nii\.gz\) and as folders"
    ):
        find_hearts([tmp_path])


def test_inputs_that_hold_no_heart(tmp_path):
    touch(tmp_path, "x/readme.md", "a.pdf", "LV.stl", "acdc/p1/p1_gt.nii.gz", "acdc/p1/p1.nii.gz")
    (tmp_path / "link").symlink_to("nowhere.nii.gz")
    below = r"no hearts; .*subfolders hold images, such as p1/p1\.nii\.gz: .*acdc/\*/\*$"
    for path, reason in [
        (tmp_path / "acdc", below),
        (tmp_path / "link", r"link: a link to nowhere\.nii\.gz, which does not exist"),
        (tmp_path / "gone", "gone: no such file or folder"),
        (tmp_path / "x", r"x: holds no hearts; give label maps .* or LV\.vtp$"),
        (tmp_path / "a.pdf", r"a\.pdf: is none of the known inputs"),
        (tmp_path / "LV.stl", r"LV\.stl: one mesh is not a heart; give the folder"),
    ]:
        with pytest.raises(InputError, match=reason):
            find_hearts([path])


def test_folders_of_patients_with_one_label_map_each(tmp_path):
    """They have the names of their folders, as the files may all have the same."""
    touch(tmp_path, "p1/labels.nii.gz", "p2/labels.nii.gz", "p2/about.txt")
    found = find_hearts([tmp_path])
    assert {name: h.path.relative_to(tmp_path).as_posix() for name, h in found.items()} == {
        name: f"{name}/labels.nii.gz" for name in ("p1", "p2")
    }
    assert {h.kind for h in found.values()} == {"label map"}
    (tmp_path / "p3").mkdir()  # one that does not fit is not left out without a word
    with pytest.raises(InputError, match=r"Its subfolders hold images, such as p1/labels"):
        find_hearts([tmp_path])


def test_a_link_to_a_missing_file_is_a_heart_that_fails(tmp_path):
    """As left behind by git-annex and DataLad where content was not fetched."""
    touch(tmp_path, "case1.nii.gz", "about.txt")
    (tmp_path / "case2.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    (tmp_path / "more.txt").symlink_to(tmp_path / "gone.txt")
    hearts = find_hearts([tmp_path])
    assert list(hearts) == ["case1", "case2"]
    with pytest.raises(InputError, match=r"case2\.nii\.gz: a link to .*, which does not exist"):
        present(hearts["case2"])


def test_one_name_from_two_places(tmp_path):
    touch(tmp_path, "x/a.nii.gz", "y/a.mha")
    with pytest.raises(InputError, match=r"a\.mha: .*x/a\.nii\.gz has the same name; rename one"):
        find_hearts([tmp_path / "x", tmp_path / "y"])
    with pytest.raises(InputError, match="has the same name"):
        find_hearts([touch(tmp_path / "z", "a.nii", "a.nii.gz")])
    again = tmp_path / "x" / ".." / "x" / "a.nii.gz"
    assert list(find_hearts([tmp_path / "x", again])) == ["a"]


# --- label maps -------------------------------------------------------------------------------


def one(path, known=None, **options):
    (heart,) = find_hearts([path], known, **options).values()
    return heart


def test_structures_of_a_label_map(tmp_path):
    heart = one(save(tmp_path / "a.nii.gz", HEART), THREE)
    assert present(heart) == ("LV", "RV", "Aorta")
    found = heart.segmentation(("RV",))
    assert found.label_map.labels.tolist() == (HEART == 9).astype(int).tolist()
    assert found.closed is None
    assert heart.has_volume


def test_ids_of_another_label_set(tmp_path):
    labels = HEART.astype(np.uint16)
    for old, new in ((2, 500), (9, 600), (4, 820)):
        labels[old == HEART] = new
    path = save(tmp_path / "a.nii.gz", labels)
    with pytest.raises(InputError, match=r"they fit label set mmwhs: try --labels mmwhs"):
        present(one(path, DEFAULT))
    assert present(one(path).resolved()) == ("LV", "RV", "Aorta")
    labels[labels == 500], labels[labels == 600] = 3000, 1
    with pytest.raises(InputError, match=r"ids \[820, 3000\] are not .*describe yours in a FILE"):
        present(one(save(tmp_path / "b.nii.gz", labels)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice(tmp_path, axis):
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[tuple(3 if k == axis else slice(1, 5) for k in range(3))] = 1
    heart = one(save(tmp_path / "a.nii.gz", labels), DEFAULT)
    with pytest.raises(InputError, match=rf"a\.nii\.gz: a single slice; .*axis {'ijk'[axis]}"):
        heart.segmentation(("Myocardium",))
    thin = np.take(labels, [3], axis=axis)
    assert read_label_map(save(tmp_path / "b.nii.gz", thin)).shape == thin.shape
    with pytest.raises(InputError, match="a single slice"):
        present(one(tmp_path / "b.nii.gz", DEFAULT))


def remarks_of(heart, structure):
    return heart.segmentation((structure,)).label_map.remarks


def test_remarks_come_along(tmp_path):
    image = nib.Nifti1Image(HEART, None)
    image.header.set_zooms((5, 5, 5))
    nib.save(image, tmp_path / "a.nii.gz")
    assert "left and right" in remarks_of(one(tmp_path / "a.nii.gz", THREE), "LV")[0]


# --- masks ------------------------------------------------------------------------------------


def test_a_totalsegmentator_folder_of_many_classes(tmp_path):
    total = label_set("totalsegmentator")
    masks = {
        "heart": LEFT | RIGHT, "aorta": RIGHT, "pulmonary_vein": NOTHING, "spleen": LEFT,
        "atrial_appendage_left": NOTHING, "superior_vena_cava": NOTHING, "rib_left_1": LEFT,
        "inferior_vena_cava": NOTHING, **{f"vertebrae_{n}": LEFT for n in range(109)},
    }  # fmt: skip
    write_masks(tmp_path, **masks)
    assert len(list(tmp_path.iterdir())) == 117
    heart = one(tmp_path, total)
    assert heart.kind == "masks"
    assert present(heart) == ("Heart", "Aorta")
    labels = heart.segmentation(total.structures).label_map.labels
    assert labels.tolist() == (LEFT + 2 * RIGHT).tolist()
    assert len(heart.files()) == 6
    assert remarks_of(heart, "Aorta") == (
        "left out 2 files (rib_left_1, spleen): organs other than the heart",
        "left out 109 files (vertebrae_0, vertebrae_1, vertebrae_10, …): no structure has these "
        "names",
    )
    with pytest.raises(
        InputError, match=r"no structure is named .* 104 more; rename.*leave them out by --labels"
    ):
        present(one(tmp_path))


def test_masks_with_names_that_are_none(tmp_path):
    write_masks(tmp_path, LV=LEFT, RV=RIGHT, hart_atrium_left=NOTHING)
    with pytest.raises(InputError, match=r"'hart_atrium_left'; did you mean LA"):
        present(one(tmp_path))
    (tmp_path / "hart_atrium_left.nii.gz").rename(tmp_path / "superior_vena_cava.nii.gz")
    assert present(one(tmp_path)) == ("LV", "RV")


def test_two_files_of_one_structure(tmp_path):
    write_masks(tmp_path, LV=LEFT, left_ventricle=LEFT)
    with pytest.raises(
        InputError, match=r"left_ventricle\.nii\.gz: LV\.nii\.gz is also LV; keep one"
    ):
        present(one(tmp_path))


def test_masks_and_meshes_in_one_folder(tmp_path):
    write_masks(write_meshes(tmp_path), LV=LEFT, RV=RIGHT)
    with pytest.raises(InputError, match=r"holds both meshes and images .* a folder of its own"):
        present(one(tmp_path))


@pytest.mark.parametrize("name", ["labels", "inferred"])
def test_only_beside_meshes_are_our_own_label_maps_passed_over(tmp_path, name):
    write_masks(tmp_path, LV=LEFT, RV=RIGHT, **{name: LEFT})
    with pytest.raises(InputError, match=f"unknown structure '{name}'"):
        present(one(tmp_path))


# --- meshes -----------------------------------------------------------------------------------


def test_our_own_reconstruction_is_a_heart(tmp_path):
    write_meshes(tmp_path)
    vertices, faces = bent_ball()
    write_scene(tmp_path / "heart.glb", {"LV": Surface(vertices.astype(np.float32), faces)})
    for name in ("labels", "inferred"):
        write_label_map(ball_in_shell(4.0), tmp_path / f"{name}.nii.gz")
    shutil.copy(tmp_path / "LV.vtp", tmp_path / "interfaces.vtp")
    (tmp_path / "summary.json").write_text("{}")
    heart = one(tmp_path)
    assert heart.kind == "meshes"
    assert present(heart) == ("LV", "RV")
    found = heart.segmentation(("LV", "LA", "RV"))
    lv, la, rv = found.closed
    assert set(np.unique(found.label_map.labels).tolist()) == {0, 1, 3}
    assert [len(faces) for _, faces in (lv, la, rv)] == [320, 0, 320]
    assert lv[0].dtype == la[0].dtype == np.float64
    assert lv[1].dtype == la[1].dtype == np.int64
    assert la[0].shape == la[1].shape == (0, 3)
    assert (rv[0].mean(axis=0) - lv[0].mean(axis=0)).tolist() == pytest.approx([0, 60, 0], abs=1e-3)
    assert [file.name for file in heart.files()] == ["LV.vtp", "RV.vtp"]
    assert heart.has_volume


# --- nnU-Net ----------------------------------------------------------------------------------


def nnunet(folder, labels, **fields):
    (folder / "labelsTr").mkdir(parents=True)
    (folder / "imagesTr").mkdir()
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, **fields}))
    save(folder / "labelsTr" / "p1.nii.gz", HEART)
    save(folder / "imagesTr" / "p1_0000.nii.gz", HEART)
    return folder


V2 = {"background": 0, "left_ventricle": 2, "Aorta": 4, "heart_ventricle_right": 9, "ignore": 10}
V1 = {"0": "background", "2": "left_ventricle", "4": "Aorta", "9": "RV"}


@pytest.mark.parametrize("labels", [V1, V2])
def test_an_nnunet_data_set(tmp_path, labels):
    hearts = find_hearts([nnunet(tmp_path / "Dataset001_Heart", labels)])
    assert list(hearts) == ["p1"]
    ignore = frozenset({labels["ignore"]} if "ignore" in labels else ())
    expected = LabelSet("Dataset001_Heart", {2: "LV", 4: "Aorta", 9: "RV"}, ignore=ignore)
    assert hearts["p1"].label_set == expected
    assert present(hearts["p1"]) == ("LV", "Aorta", "RV")
    mine = LabelSet("mine", {2: "RV"}, drop_others=True)
    assert one(tmp_path / "Dataset001_Heart", mine).label_set == mine


def test_another_file_ending(tmp_path):
    folder = nnunet(tmp_path / "d", V2, file_ending=".nrrd")
    with pytest.raises(InputError, match=r"labelsTr holds no \*\.nrrd files"):
        find_hearts([folder])
    save_itk(folder / "labelsTr" / "p2.nrrd", HEART)
    assert found_in(folder) == {"p2": ("label map", "p2.nrrd")}


def test_nnunet_labels_that_cannot_be_used(tmp_path):
    for number, (labels, reason) in enumerate(
        [
            (
                {"background": 0, "whole": [1, 2]},
                r"ids \[1, 2\] are named only as parts of regions \(whole\); .*--labels",
            ),
            (
                {"left_ventrical": 1, "tumour": 2},
                r"1 'left_ventrical', 2 'tumour' \(perhaps 1 LV\); .*ids: \{1: LV\}",
            ),
            ({"LV": "one"}, "'LV' has id 'one'"),
            ({"background": 0}, "its labels name no structure"),
            (["LV"], "'labels' is a table"),
        ]
    ):
        folder = nnunet(tmp_path / str(number), labels)
        with pytest.raises(InputError, match=rf"dataset\.json: .*{reason}"):
            find_hearts([folder])
        assert list(find_hearts([folder], DEFAULT)) == ["p1"]  # said by hand


def test_a_prepared_data_set_is_no_input(tmp_path):
    (tmp_path / "dataset.json").write_text('{"hearts": []}')
    with pytest.raises(InputError, match="this is a prepared data set"):
        find_hearts([tmp_path])
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset\.json: cannot be read as JSON"):
        find_hearts([tmp_path])


# --- hashes -----------------------------------------------------------------------------------


def test_the_hash_sees_every_file_and_nothing_else(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    write_masks(folder, LV=LEFT, RV=RIGHT)
    first = one(folder).sha256()
    shutil.copytree(folder, tmp_path / "b" / "a")
    (tmp_path / "b" / "a" / "notes.txt").write_text("nothing to do with it")
    assert one(tmp_path / "b" / "a").sha256() == first
    write_masks(folder, RV=LEFT)
    assert one(folder).sha256() != first
    write_masks(folder, RV=RIGHT)
    (folder / "LV.nii.gz").rename(folder / "x")
    (folder / "RV.nii.gz").rename(folder / "LV.nii.gz")
    (folder / "x").rename(folder / "RV.nii.gz")
    assert one(folder).sha256() != first


def test_the_hash_sees_detached_voxels(tmp_path):
    for ending in ("mhd", "nhdr"):
        path = save_itk(tmp_path / f"{ending}.{ending}", HEART)
        heart = one(path)
        assert [file.name for file in heart.files()] == [path.name, f"{ending}.raw"]
        first = heart.sha256()
        content = bytearray((tmp_path / f"{ending}.raw").read_bytes())
        content[0] = 1
        (tmp_path / f"{ending}.raw").write_bytes(bytes(content))
        assert heart.sha256() != first


def test_the_hash_sees_the_space_of_meshes(tmp_path):
    write_meshes(tmp_path)
    assert one(tmp_path).sha256() != one(tmp_path, space="ras").sha256()


def test_the_hash_of_one_file_is_that_of_its_content(tmp_path):
    path = save(tmp_path / "a.nii.gz", LABELS)
    assert one(path).sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_source_is_told_apart_by_what_it_is(tmp_path):
    for source, contents in (
        (NpzSource("a", tmp_path / "a.npz", DEFAULT), "samples"),
        (SamplesSource("a", tmp_path / "a.safetensors", DEFAULT), "samples"),
        (PointsSource("a", tmp_path / "a.csv", DEFAULT), "labelled points"),
    ):
        assert not source.has_volume
        with pytest.raises(InputError, match=rf"a\.\w+: holds {contents}; this needs a label map"):
            source.segmentation(("LV",))
    for source in (SamplesSource, PointsSource):
        with pytest.raises(InputError, match=r"give (a label map|another input)"):
            source("a", tmp_path / "a", DEFAULT).samples(("LV",), SamplingSpec(), 0)
