"""What is observed stays as it is, the model adds the rest, and nobody sees where they meet."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dense import dense_octree
from seam import seams_mm
from support.analytic_fields import ASYMMETRIC, OBLIQUE, AnalyticField, ball, grid_about, tube
from support.runs import untrained
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx.anatomy import sign
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import edge_distances_mm
from vecsetx.inference.completion import CompletedField
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_exclusive
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surface_net import shared_interfaces
from vecsetx.reconstruction.surfaces import field_surfaces

AFFINES = {
    "straight": np.eye(3),
    "oblique, mirrored, anisotropic": OBLIQUE @ np.diag([0.8, -0.8, 1.5]),
}
NAMES = ("LV", "RV", "LA")
LV, RV, LA = range(3)
NOWHERE = ball((500, 0, 0), 5)
TRUE = {"LV": ball((0, 0, 0), 20), "RV": ball((0, 28, -14), 7), "LA": NOWHERE}
"""A ball that the scan's edge cuts, and a whole one 4 mm beside it."""
PREDICTED = {"LV": ball((0, 0, 0), 22), "RV": ball((0, 29, -12), 8), "LA": ball((15, 3, -6), 10)}
"""A model that is 2 mm off at the edge, and puts into the observed ball what is not observed."""


def scan(matrix: np.ndarray, shapes: dict = TRUE, above_mm: float = 6.0) -> LabelMap:
    """The shapes on a grid that ends ``above_mm`` from the origin along its last axis."""
    whole = grid_about((0, 0, 0), matrix, 45)
    i, j, _ = whole.shape
    planes = int((45 + above_mm) / np.linalg.norm(matrix[:, 2]))
    return rasterize(AnalyticField(shapes), Grid((i, j, planes), whole.affine))


@pytest.fixture(scope="module", params=AFFINES.values(), ids=AFFINES.keys())
def observed(request: pytest.FixtureRequest) -> LabelMap:
    return scan(request.param)


@pytest.fixture(scope="module")
def geometry(observed: LabelMap) -> Geometry:
    made = Geometry.of_label_map(observed, 3)
    assert made.cut.tolist() == [True, False, False]
    return made


@pytest.fixture(scope="module")
def completed(geometry: Geometry) -> CompletedField:
    return CompletedField.of(AnalyticField(PREDICTED), geometry)


def somewhere(count: int = 20_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-32, 38, (count, 3))


def in_view(points_mm: np.ndarray, observed: LabelMap) -> np.ndarray:
    return edge_distances_mm(points_mm, observed) > 0


# The field


def test_what_is_shown_has_the_input_s_distances(
    completed: CompletedField, geometry: Geometry, observed: LabelMap
) -> None:
    points_mm = somewhere()
    edge_mm = edge_distances_mm(points_mm, observed)
    found = completed.distances_mm(points_mm)
    reach_mm = completed.reach_mm
    given = signed_distances_mm(points_mm, geometry.closed, geometry.label_map, reach_mm)
    trusted = np.abs(given[:, LV]) <= edge_mm  # beyond it may be nearer
    assert trusted.sum() > 5000
    np.testing.assert_allclose(found[trusted, LV], given[trusted, LV], atol=1e-4)
    np.testing.assert_allclose(found[:, RV], given[:, RV], atol=1e-4)  # whole: everywhere
    shown = edge_mm > 0
    sides = [sign.inside(distances[shown][:, [LV, RV]]) for distances in (found, given)]
    np.testing.assert_array_equal(*sides)


def test_the_wall_that_closes_a_cut_structure_is_not_there(
    completed: CompletedField, observed: LabelMap
) -> None:
    """Two voxels below the scan's edge, in the middle of the ball, no surface is near."""
    middle = np.array([(n - 1) / 2 for n in observed.shape])
    middle[2] = observed.shape[2] - 2.5
    at_edge_mm = observed.to_mm(middle[None])
    assert completed.distances_mm(at_edge_mm)[0, LV] == pytest.approx(-completed.reach_mm)


def test_beyond_the_blending_the_model_is_as_it_was(
    completed: CompletedField, geometry: Geometry
) -> None:
    points_mm = somewhere()
    _, beyond_mm = completed.visibility.nearest_in_view(points_mm)
    far = beyond_mm >= 10
    assert far.sum() > 3000
    model = completed.model.distances_mm(points_mm).clip(-completed.reach_mm, completed.reach_mm)
    found = completed.distances_mm(points_mm)
    np.testing.assert_array_equal(found[far, LV], np.maximum(model, -found[:, [RV]])[far, LV])


def test_the_correction_fades(completed: CompletedField, observed: LabelMap) -> None:
    """Straight out from the edge: whole at first, half at 5 mm, nothing at 10."""
    rim = np.argwhere(observed.labels[:, :, -3] == LV + 1)[0]
    start = observed.to_mm(np.array([*rim, observed.shape[2] - 2.5]))
    outwards = np.linalg.inv(observed.affine[:3, :3])[2]
    outwards /= np.linalg.norm(outwards)
    points_mm = start + np.array([[1e-4], [2.5], [5], [7.5], [10]]) * outwards
    missing = (completed.distances_mm(points_mm) - completed.model.distances_mm(points_mm))[:, LV]
    assert missing[0] == pytest.approx(2, abs=0.7)  # of the whole voxel where the search began
    np.testing.assert_allclose(
        missing / missing[0], [1, 0.84375, 0.5, 0.15625, 0], rtol=0, atol=1e-3
    )


def test_what_is_inferred_takes_nothing_from_what_is_observed(
    completed: CompletedField, observed: LabelMap
) -> None:
    points_mm = somewhere()
    found = completed.distances_mm(points_mm)
    shown = in_view(points_mm, observed)
    lowest = found[:, [LV, RV]].min(axis=1)
    assert (found[shown, LA] >= -lowest[shown] - 1e-5).all()
    predicted = completed.model.distances_mm(points_mm)
    taken = sign.inside(predicted[:, LA]) & sign.inside(lowest) & shown
    assert taken.sum() > 100  # the model would have


def test_the_label_map_is_the_input_s_where_that_shows_something(
    completed: CompletedField, observed: LabelMap
) -> None:
    """But for corners that smoothing rounds off: fewer than 1 in 1000 voxels of the structures."""
    found = rasterize(completed, observed).labels
    view = np.zeros(observed.shape, dtype=bool)
    view[2:-2, 2:-2, 2:-2] = True
    seen = view & (observed.labels > 0)
    changed = np.count_nonzero(found[seen] != observed.labels[seen])
    assert changed <= 1e-3 * seen.sum()
    invented = view & (observed.labels == 0) & (found > 0) & (found != LA + 1)
    assert invented.sum() <= 1e-3 * seen.sum()
    assert (found == LA + 1).sum() > 500  # what is left of the inferred ball
    taken = rasterize(completed.model, observed).labels[seen] == LA + 1
    assert taken.sum() > 400  # the model would have


def test_the_mesh_is_the_input_s_surface_in_view_and_the_model_s_beyond(
    completed: CompletedField, geometry: Geometry
) -> None:
    spacing_mm = 0.8
    grid = grid_about((0, 0, 0), spacing_mm * np.eye(3), 40)
    kept = CompletedField.of(
        AnalyticField({"LV": PREDICTED["LV"], "RV": PREDICTED["RV"], "LA": NOWHERE}), geometry
    )
    surfaces = field_surfaces(kept, grid)
    vertices_mm = surfaces["LV"].vertices_mm.astype(float)
    beyond_mm = kept.visibility.nearest_in_view(vertices_mm)[1]
    shown = vertices_mm[beyond_mm == 0]
    inner = edge_distances_mm(shown, geometry.label_map) > 1
    off_mm = signed_distances_mm(shown[inner], geometry.closed, geometry.label_map)[:, LV]
    # Meshing adds its own hundredths of a voxel, and more at the input's steps of 1.5 mm.
    assert np.percentile(np.abs(off_mm), 99) <= 0.06 * spacing_mm
    assert np.abs(off_mm).max() <= 0.15 * spacing_mm
    radius_mm = np.linalg.norm(vertices_mm, axis=1)
    np.testing.assert_allclose(radius_mm[beyond_mm > 10], 22, atol=0.05 * spacing_mm)
    assert "LA" not in surfaces


def test_the_octree_finds_all_of_it(completed: CompletedField) -> None:
    grid = grid_about((0, 0, 0), 1.5 * np.eye(3), 36)
    np.testing.assert_array_equal(
        evaluate_exclusive(completed, grid).labels, dense_octree(completed, grid).labels
    )


def test_left_stays_left() -> None:
    """The observed arms are of unequal length; the model has them mirrored."""
    matrix = OBLIQUE @ np.diag([0.8, -0.8, 1.0])
    observed = rasterize(AnalyticField({"PA": ASYMMETRIC}), grid_about((8, 3, 1), matrix, 38))
    geometry = Geometry.of_label_map(observed, 1)
    mirrored = AnalyticField({"PA": lambda points: ASYMMETRIC(points * [-1, 1, 1])})
    grid = grid_about((12, 4, 2), np.eye(3), 34)
    surface = field_surfaces(CompletedField.of(mirrored, geometry), grid)["PA"]
    np.testing.assert_allclose(surface.vertices_mm.max(axis=0), [36, 24, 6], atol=0.6)
    np.testing.assert_allclose(surface.vertices_mm.min(axis=0), [-6, -6, -16], atol=0.6)
    assert mirrored.asked == 0  # nothing was left to ask the model


def test_closed_meshes_are_whole_and_the_model_adds_what_is_hidden() -> None:
    found = field_surfaces(
        AnalyticField({"LV": ball((0, 0, 0), 20)}), grid_about((0, 0, 0), np.eye(3), 24)
    )["LV"]
    nothing = (np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
    given = (found.vertices_mm.astype(float), found.faces)
    geometry = Geometry.of_surfaces([given, nothing, nothing])
    completed = CompletedField.of(AnalyticField(PREDICTED), geometry)
    points_mm = somewhere(5000)
    distances = completed.distances_mm(points_mm)
    truth = AnalyticField(TRUE).distances_mm(points_mm).clip(-7, 7)
    np.testing.assert_allclose(distances[:, LV], truth[:, LV], atol=0.05)
    model = completed.model.distances_mm(points_mm).clip(-7, 7)
    expected = np.maximum(model[:, 1:], -distances[:, [LV]])
    np.testing.assert_array_equal(distances[:, 1:], expected)


def test_blending_needs_some_room(geometry: Geometry) -> None:
    with pytest.raises(InputError, match=r"not 0.0 mm"):
        CompletedField.of(AnalyticField(PREDICTED), geometry, 0.0)


# The seam


def test_no_seam_and_that_one_would_be_seen(
    completed: CompletedField, geometry: Geometry, observed: LabelMap
) -> None:
    assert seams_mm(completed, observed).max() <= 0.02
    model = AnalyticField(PREDICTED | {"LA": NOWHERE})
    abrupt = CompletedField.of(model, geometry, 1e-4)
    # The model's ball is 2 mm larger, and the label map's steps are up to 0.3 mm off.
    assert seams_mm(abrupt, observed)[LV] == pytest.approx(2, abs=0.3)


def test_a_tube_that_leaves_the_scan_askew_has_no_seam() -> None:
    """The model has it 3 mm beside where it is, and thinner."""
    true = {"Aorta": tube((0, 0, -20), (16, 6, 40), 9), "PA": ball((-16, 0, 0), 9)}
    model = {"Aorta": tube((3, 0, -20), (19, 6, 40), 8), "PA": ball((-15, 0, 3), 9)}
    observed = scan(AFFINES["oblique, mirrored, anisotropic"], true)
    geometry = Geometry.of_label_map(observed, 2)
    assert geometry.cut.all()
    kept = CompletedField.of(AnalyticField(model), geometry)
    assert seams_mm(kept, observed).max() <= 0.02
    assert seams_mm(CompletedField.of(kept.model, geometry, 1e-4), observed).min() > 1.5


def test_the_seam_s_measure_reads_a_known_step() -> None:
    observed = scan(np.eye(3))
    edge = observed.to_mm(np.array([0, 0, observed.shape[2] - 2.5]))[2]

    def stepped(points: np.ndarray) -> np.ndarray:
        return ball((0, 0, 0), 20)(points) + np.where(points[..., 2] > edge, -1.3, 0)

    found = seams_mm(AnalyticField({"LV": stepped, "RV": NOWHERE}), observed)
    np.testing.assert_allclose(found, [1.3, 0], atol=0.01)


# The visibility


def test_what_is_observed_where(geometry: Geometry, observed: LabelMap) -> None:
    visibility = Visibility.of_geometry(geometry)
    points_mm = somewhere(4000)
    view = in_view(points_mm, observed)
    assert 500 < view.sum() < 3500
    np.testing.assert_array_equal(visibility.observed_vertices(points_mm, LV), view)
    assert visibility.observed_vertices(points_mm, RV).all()  # whole
    assert not visibility.observed_vertices(points_mm, LA).any()  # not there
    mixed = np.random.default_rng(1).integers(0, 3, len(points_mm))
    each = np.stack([visibility.observed_vertices(points_mm, k) for k in range(3)], axis=1)
    np.testing.assert_array_equal(
        visibility.observed_points(points_mm, mixed), each[np.arange(len(points_mm)), mixed]
    )


def test_what_is_observed_of_points() -> None:
    visibility = Visibility.of_points(np.array([0, 2, 2]), 4)
    assert visibility.present.tolist() == [True, False, True, False]
    points_mm = somewhere(4)
    observed = visibility.observed_points(points_mm, np.arange(4))
    assert observed.tolist() == [True, False, True, False]


def test_the_inferred_voxels(completed: CompletedField, observed: LabelMap) -> None:
    grid = grid_about((0, 0, 0), np.eye(3), 40)
    labels = rasterize(completed, grid)
    inferred = completed.visibility.inferred_part(labels)
    np.testing.assert_array_equal(inferred.affine, labels.affine)
    voxels = np.argwhere(labels.labels)
    view = in_view(grid.to_mm(voxels.astype(float)), observed)
    label, kept = labels.labels[tuple(voxels.T)], inferred.labels[tuple(voxels.T)]
    expected = np.where((label == LA + 1) | ((label == LV + 1) & ~view), label, 0)
    np.testing.assert_array_equal(kept, expected)
    assert len(np.unique(expected)) == 3  # background, LV and LA
    assert not inferred.labels[labels.labels == 0].any()


def test_a_shared_wall_is_observed_if_both_its_structures_are(completed: CompletedField) -> None:
    octree = evaluate_exclusive(completed, grid_about((0, 0, 0), np.eye(3), 40))
    interfaces = shared_interfaces(octree)
    observed = completed.visibility.observed_interface_vertices(interfaces)
    vertices_mm, visibility = interfaces.vertices_mm, completed.visibility
    of_label: dict[int, set[int]] = {
        label: set(interfaces.faces[(interfaces.sides == label).any(axis=1)].ravel().tolist())
        for label in (1, 2, 3)
    }
    for vertex in range(0, len(vertices_mm), 17):
        meeting = [label - 1 for label in of_label if vertex in of_label[label]]
        shown = [visibility.observed_vertices(vertices_mm[[vertex]], k)[0] for k in meeting]
        assert observed[vertex] == all(shown)
    assert (of_label[1] & of_label[3]) - set(np.flatnonzero(~observed)) == set()
    assert 0.2 < observed.mean() < 0.95


def test_a_structure_that_only_touches_the_edge_is_left_to_the_model() -> None:
    """Its last 1.5 mm reach into the scan, nearer to the edge than anything is known."""
    shapes = {"LV": TRUE["LV"], "LA": ball((26, 0, 15), 10)}
    observed = scan(np.eye(3), shapes)
    geometry = Geometry.of_label_map(observed, 2)
    assert geometry.cut.all()
    assert 30 < np.count_nonzero(observed.labels == 2) < 300
    completed = CompletedField.of(AnalyticField(shapes), geometry)
    points_mm = np.random.default_rng(0).uniform(12, 36, (5000, 3)) - [0, 24, 0]
    found = completed.distances_mm(points_mm)
    model = completed.model.distances_mm(points_mm).clip(-7, 7)
    sides = [sign.inside(distances[:, 1]) for distances in (found, model)]
    assert sides[1].sum() > 500
    np.testing.assert_array_equal(*sides)


def test_a_scan_too_thin_for_its_edges_shows_nothing_of_what_it_cuts() -> None:
    labels = np.zeros((30, 30, 4), dtype=np.uint8)
    labels[8:22, 8:22] = 1
    geometry = Geometry.of_label_map(LabelMap(labels, np.eye(4)), 1)
    completed = CompletedField.of(AnalyticField({"LV": ball((14, 14, 2), 9)}), geometry)
    points_mm = np.random.default_rng(0).uniform(0, 28, (500, 3))
    model = completed.model.distances_mm(points_mm).clip(-7, 7)
    np.testing.assert_array_equal(completed.distances_mm(points_mm), model)
    assert not completed.visibility.observed_vertices(points_mm, 0).any()
    assert not completed.visibility.present.any()


# The command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    untrained(NAMES).save_pretrained(folder)
    return folder


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    field = AnalyticField(PREDICTED)
    monkeypatch.setattr(HeartField, "distances_mm", lambda _, points: field.distances_mm(points))


def observed_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of a VTP file, and what it says of each."""
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    found = reader.GetOutput()
    flags = vtk_to_numpy(found.GetPointData().GetArray("observed"))
    assert flags.dtype == np.uint8
    return vtk_to_numpy(found.GetPoints().GetData()).astype(float), flags


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.usefixtures("predicted")
def test_every_vertex_and_voxel_says_whether_it_is_observed(
    keep: bool, model: Path, tmp_path: Path
) -> None:
    three = TRUE | {"LA": ball((-18, -4, -20), 8)}
    observed = scan(AFFINES["oblique, mirrored, anisotropic"], three)
    default = label_set("default")
    write_label_map(observed.to_label_set(default, NAMES), tmp_path / "scan.nii.gz")
    options = ReconstructOptions(
        EncodeOptions(hide=("LA",)), resolution=80, space="ras", keep_observed=keep
    )
    assert reconstruct(model, [tmp_path / "scan.nii.gz"], tmp_path / "r", options) == {}
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["provenance"]["keep_observed"] is keep
    shares = {}
    for name in NAMES:
        vertices_mm, flags = observed_of(tmp_path / "r" / f"{name}.vtp")
        view = in_view(vertices_mm, observed)
        expected = {"LV": view, "RV": np.ones(len(view)), "LA": np.zeros(len(view))}[name]
        assert (flags != expected).sum() <= 2  # float32 at the very edge
        shares[name] = summary["structures"][name]["observed_share"]
        assert shares[name] == pytest.approx(flags.mean())
        assert summary["structures"][name]["observed"] is (name != "LA")
        if name == "LV":
            radius_mm = np.linalg.norm(vertices_mm[flags == 1], axis=1)
            assert np.median(radius_mm) == pytest.approx(20 if keep else 22, abs=0.1)
    assert 0.3 < shares["LV"] < 0.9
    assert (shares["RV"], shares["LA"]) == (1, 0)
    _, flags = observed_of(tmp_path / "r" / "interfaces.vtp")
    assert 0.2 < flags.mean() < 0.9
    labels, inferred = (
        np.asarray(nib.load(tmp_path / "r" / f"{name}.nii.gz").dataobj)
        for name in ("labels", "inferred")
    )
    view = np.zeros(labels.shape, dtype=bool)
    view[2:-2, 2:-2, 2:-2] = True
    ids = {name: default.id_of(name) for name in NAMES}
    left = (labels == ids["LA"]) | ((labels == ids["LV"]) & ~view)
    np.testing.assert_array_equal(inferred, np.where(left, labels, 0))
    given = observed.to_label_set(default, NAMES).labels
    seen = view & np.isin(given, [ids["LV"], ids["RV"]])
    changed = (labels[seen] != given[seen]).mean()
    assert changed <= 1e-3 if keep else changed > 0.02


@pytest.mark.usefixtures("predicted")
def test_of_points_nothing_can_be_kept(model: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0).normal(size=(300, 3))
    points_mm = 20 * draw / np.linalg.norm(draw, axis=1, keepdims=True)
    rows = "".join(f"{x:.3f},{y:.3f},{z:.3f},LV\n" for x, y, z in points_mm)
    (tmp_path / "points.csv").write_text("x,y,z,structure\n" + rows)
    kept = ReconstructOptions(keep_observed=True, resolution=24)
    with pytest.raises(InputError, match=r"points\.csv: .*leave --keep-observed out"):
        reconstruct(model, [tmp_path / "points.csv"], tmp_path / "r", kept)
    assert not (tmp_path / "r" / "summary.json").exists()
    plain = ReconstructOptions(resolution=24)
    assert reconstruct(model, [tmp_path / "points.csv"], tmp_path / "r", plain) == {}
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())["structures"]
    assert [summary[name]["observed_share"] for name in NAMES] == [1, 0, 0]
