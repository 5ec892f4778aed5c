"""A heart's meshes: in any unit, facing either way, mirrored, with specks."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.formats.mesh_sets import read_meshes
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.sampling.sampler import SamplingSpec

DEFAULT = label_set("default")
NAMES = DEFAULT.structures
MIRROR = np.array([-1.0, 1, 1])


@pytest.fixture(scope="module")
def all_meshes(tmp_path_factory):
    """Structure → outward mesh of a phantom, RAS+ mm, and its label map."""
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("phantom"), 1)
    label_map = read_label_map(path)
    closed = Geometry.of_label_map(label_map, len(NAMES)).closed
    return dict(zip(NAMES, closed, strict=True)), label_map


@pytest.fixture(scope="module")
def phantom(all_meshes):
    """The same of a few structures only, which takes less time."""
    meshes, label_map = all_meshes
    return {name: meshes[name] for name in ("LA", "LV", "RV", "Aorta")}, label_map


def measured(vertices, faces):
    """Volume in ml, negative for faces that look inwards, and centroid."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    return mesh.volume / 1000, mesh.center_mass


def write(folder, meshes, scale=1.0, inward=(), suffix="stl"):
    """Write meshes without a word on space and unit."""
    folder.mkdir()
    files = {}
    for name, (vertices, faces) in meshes.items():
        turned = faces[:, ::-1] if name in inward else faces
        files[name] = folder / f"{name}.{suffix}"
        trimesh.Trimesh(vertices * scale, turned, process=False).export(files[name])
    return files


def one(path, **options):
    (heart,) = find_hearts([path], DEFAULT, space="ras", **options).values()
    return heart


def assert_same(found, meshes):
    """Right volumes within 2%, centroids within 0.5 mm: so left stays left, too."""
    for name, (vertices, faces) in meshes.items():
        true_ml, true_mm = measured(vertices, faces)
        found_ml, found_mm = measured(found[name].vertices_mm, found[name].faces)
        assert found_ml == pytest.approx(true_ml, rel=0.02)
        assert found[name].volume_ml() == pytest.approx(true_ml, rel=0.02)
        assert np.linalg.norm(found_mm - true_mm) < 0.5
        assert np.linalg.norm(found[name].centroid_mm() - true_mm) < 0.5


# --- units ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("units", "scale"), [("m", 1e-3), ("cm", 0.1), ("um", 1e3)])
def test_a_heart_in_another_unit(phantom, tmp_path, units, scale):
    meshes, _ = phantom
    files = write(tmp_path / "p", meshes, scale)
    with pytest.raises(InputError, match=rf"p: no heart has its size, .* give --units {units} \("):
        read_meshes(files, "ras")
    found = read_meshes(files, "ras", units)
    assert_same(found.meshes, meshes)
    assert found.remarks == (f"coordinates were converted from {units} to mm",)
    # Named by mistake, and no unit that is known.
    millimetres = write(tmp_path / "mm", meshes)
    with pytest.raises(InputError, match=r"no heart has its size.*give --units mm \("):
        read_meshes(millimetres, "ras", units)
    with pytest.raises(InputError, match=r"stl: unknown unit 'inch'; choose from mm, cm"):
        read_meshes(files, "ras", "inch")


def test_the_size_that_a_unit_would_give_is_told(phantom, tmp_path):
    files = write(tmp_path / "p", {"LV": phantom[0]["LV"]}, 0.1)
    with pytest.raises(InputError) as raised:
        read_meshes(files, "ras")
    true_ml, _ = measured(*phantom[0]["LV"])
    assert f"{true_ml / 1000:.3g} ml (read in mm)" in str(raised.value)
    assert f"{true_ml:.3g} ml)" in str(raised.value)


@pytest.mark.parametrize("name", ["LAA", "PV", "PA", "LV"])
def test_a_single_structure_is_a_heart_too(all_meshes, tmp_path, name):
    meshes = {name: all_meshes[0][name]}
    assert_same(read_meshes(write(tmp_path / "p", meshes), "ras").meshes, meshes)
    with pytest.raises(InputError, match="give --units cm"):
        read_meshes(write(tmp_path / "cm", meshes, 0.1), "ras")


def test_no_unit_fits(phantom, tmp_path):
    files = write(tmp_path / "p", phantom[0], 1e-9, suffix="ply")
    with pytest.raises(InputError, match=r"no heart has its size.*; scale it to millimetres"):
        read_meshes(files, "ras")


def test_a_piece_far_from_the_heart(phantom, tmp_path):
    vertices, faces = phantom[0]["LA"]
    meshes = phantom[0] | {"LA": (vertices + [0, 0, 2000], faces)}
    with pytest.raises(InputError, match=r"spread over .* remove what lies far"):
        read_meshes(write(tmp_path / "p", meshes), "ras")


# --- orientation ------------------------------------------------------------------------------


def test_outward_meshes_need_no_remark(phantom, tmp_path):
    found = read_meshes(write(tmp_path / "p", phantom[0]), "ras")
    assert_same(found.meshes, phantom[0])
    assert found.remarks == ()


def test_a_heart_whose_faces_all_look_inwards(phantom, tmp_path):
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix().T
    meshes = {name: (vertices @ turn, faces) for name, (vertices, faces) in phantom[0].items()}
    found = read_meshes(write(tmp_path / "p", meshes, inward=NAMES), "ras")
    assert_same(found.meshes, meshes)
    (remark,) = found.remarks
    assert remark.startswith("all faces of ")
    assert remark.endswith("pointed inwards and were turned outwards; the heart is not mirrored")


def test_marching_cubes_moved_by_an_affine(phantom, tmp_path):
    """scikit-image's faces look inwards where the affine does not mirror the voxels."""
    _, label_map = phantom
    meshes = {}
    for name in ("LV", "RV", "LA", "Aorta"):
        mask = label_map.labels == NAMES.index(name) + 1
        corners, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(float), 0.5)
        vertices = label_map.to_mm(corners - 1.0)
        assert measured(vertices, faces)[0] < 0
        meshes[name] = vertices, faces.astype(np.int64)[:, ::-1]
    found = read_meshes(write(tmp_path / "p", meshes, inward=meshes), "ras")
    assert_same(found.meshes, meshes)
    for name, mesh in found.meshes.items():
        true_mm = label_map.to_mm(np.argwhere(label_map.labels == NAMES.index(name) + 1))
        assert np.linalg.norm(mesh.centroid_mm() - true_mm.mean(axis=0)) < 0.5
    assert len(found.remarks) == 1


def test_a_mirrored_heart(phantom, tmp_path):
    mirrored = {name: (vertices * MIRROR, faces) for name, (vertices, faces) in phantom[0].items()}
    with pytest.raises(InputError, match="p: all faces point inwards because the heart is mirr"):
        read_meshes(write(tmp_path / "p", mirrored), "ras")
    found = read_meshes(write(tmp_path / "outward", mirrored, inward=NAMES), "ras")
    assert found.remarks == (
        "the heart is mirrored: left and right are exchanged, or a situs inversus",
    )


@pytest.mark.parametrize("missing", ["LV", "RV", "Aorta", "LA"])
def test_inward_meshes_without_the_structures_that_tell(phantom, tmp_path, missing):
    meshes = {name: mesh for name, mesh in phantom[0].items() if name != missing}
    with pytest.raises(InputError, match=r"all faces point inwards; flip the normals or.*mirrored"):
        read_meshes(write(tmp_path / "p", meshes, inward=meshes), "ras")


def test_one_inward_mesh_among_outward_ones(phantom, tmp_path):
    files = write(tmp_path / "p", phantom[0], inward=["LV"])
    with pytest.raises(InputError, match=r"LV\.stl: all faces point inwards, but those of LA"):
        read_meshes(files, "ras")


# --- remarks, and the way to a data set -------------------------------------------------------


def test_remarks_are_stored_with_the_samples(phantom, tmp_path):
    write(tmp_path / "p", phantom[0], 0.1, inward=NAMES)
    spec = SamplingSpec(400, 400, 400)
    info = one(tmp_path / "p", units="cm").samples(NAMES, spec, 0).info
    assert len(info.remarks) == 2
    for name, volume_ml in info.volumes_ml.items():
        assert volume_ml == pytest.approx(measured(*phantom[0][name])[0], rel=0.02)


def test_specks_of_all_structures_are_remarked_in_one_sentence(phantom, tmp_path):
    speck, meshes = trimesh.creation.icosphere(1, 0.3), dict(phantom[0])
    for name in ("LA", "RV"):
        vertices, faces = meshes[name]
        there = speck.vertices + vertices.max(axis=0) + 5
        meshes[name] = (
            np.concatenate([vertices, there]),
            np.concatenate([faces, speck.faces + len(vertices)]),
        )
    found = read_meshes(write(tmp_path / "p", meshes), "ras")
    assert found.remarks == (
        f"specks removed: LA 1, RV 1 ({2 * speck.volume / 1000:.2g} ml in all)",
    )
    assert_same(found.meshes, phantom[0])


def test_faces_that_occur_twice_are_remarked(phantom, tmp_path):
    vertices, faces = phantom[0]["LV"]
    files = write(tmp_path / "p", phantom[0] | {"LV": (vertices, np.concatenate([faces, faces]))})
    found = read_meshes(files, "ras")
    assert found.remarks == (f"LV: duplicate faces removed: {len(faces)}",)
    assert_same(found.meshes, phantom[0])
    label_map = one(tmp_path / "p").segmentation(NAMES).label_map
    in_lv = np.count_nonzero(label_map.labels == NAMES.index("LV") + 1)
    true_ml, _ = measured(vertices, faces)
    assert in_lv * label_map.voxel_volume_mm3 / 1000 == pytest.approx(true_ml, rel=0.02)


def test_units_are_part_of_the_source(phantom, tmp_path):
    write(tmp_path / "p", {"LV": phantom[0]["LV"]})
    hashes = {units: one(tmp_path / "p", units=units).sha256() for units in ("mm", "cm", "m")}
    assert len(set(hashes.values())) == 3
    assert hashes["mm"] == one(tmp_path / "p").sha256()
