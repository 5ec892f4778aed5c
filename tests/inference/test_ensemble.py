"""How sure a reconstruction is: draws of a heart, and what every vertex says of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.analytic_fields import AnalyticField, ball, grid_about, half_space, heart
from support.runs import untrained
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_source
from vecsetx.inference.ensemble import Ensemble, encode_ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import ModelSpec
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation

NAMES = ("LV", "RV", "LA")
SHAPES = {"LV": ball((0, 0, 0), 20), "RV": ball((0, 34, -14), 8), "LA": ball((-24, -20, -20), 8)}
APART = ball((500, 0, 0), 5)


def on_sphere(radius_mm: float, count: int = 50) -> np.ndarray:
    draw = np.random.default_rng(1).normal(size=(count, 3))
    return radius_mm * draw / np.linalg.norm(draw, axis=1, keepdims=True)


def balls(*radii_mm: float) -> tuple[AnalyticField, ...]:
    return tuple(AnalyticField({"LV": ball((0, 0, 0), r), "RV": APART}) for r in radii_mm)


def ensemble_of(*radii_mm: float, **more) -> Ensemble:
    return Ensemble(balls(*radii_mm), np.zeros((len(radii_mm), 2), dtype=bool), **more)


# The ensemble


def test_radii_from_a_normal_distribution_give_its_standard_deviation() -> None:
    """400 draws: the standard error of a standard deviation is 3.5% of it."""
    radii_mm = np.random.default_rng(0).normal(20, 1.5, 400)
    sd_mm = ensemble_of(*radii_mm.tolist()).spread(on_sphere(20)).sd_mm[:, 0]
    np.testing.assert_allclose(sd_mm, np.sqrt(np.mean((radii_mm - 20) ** 2)), rtol=1e-5)
    np.testing.assert_allclose(sd_mm, 1.5, rtol=0.1)


def test_the_spread_is_about_the_place_that_is_drawn_and_grows_with_the_factor() -> None:
    points_mm = on_sphere(22)
    spread = ensemble_of(20, 21).spread(points_mm)
    np.testing.assert_allclose(spread.sd_mm[:, 0], np.sqrt((4 + 1) / 2), rtol=1e-5)
    assert not spread.beyond_reach[:, 0].any()
    larger = ensemble_of(20, 21, factor=1.7).spread(points_mm).sd_mm
    np.testing.assert_allclose(larger, 1.7 * spread.sd_mm, rtol=1e-6)
    of_each = ensemble_of(20, 21, factor=np.array([1.7, 0.3])).spread(points_mm).sd_mm
    np.testing.assert_allclose(of_each, spread.sd_mm * [1.7, 0.3], rtol=1e-6)


def test_where_distances_do_not_reach_is_told() -> None:
    """The fields' distances end at 8 mm, of which 7 are relied on."""
    spread = ensemble_of(20, 20, 40).spread(on_sphere(20))
    np.testing.assert_allclose(spread.sd_mm[:, 0], 7 / np.sqrt(3), rtol=1e-5)
    assert spread.beyond_reach.all()  # RV is 480 mm away
    assert not ensemble_of(20, 26).spread(on_sphere(20)).beyond_reach[:, 0].any()


def test_a_structure_is_judged_by_the_draws_that_were_shown_it() -> None:
    shown = np.array([[True, False], [True, False], [False, False]])
    ensemble = Ensemble(balls(20, 21, 25), shown)
    sd_mm = ensemble.spread(on_sphere(20)).sd_mm
    np.testing.assert_allclose(sd_mm[:, 0], np.sqrt(1 / 2), rtol=1e-5)
    np.testing.assert_allclose(sd_mm[:, 1], 7)  # nobody was shown it: all count


def test_of_shared_walls_it_is_the_walls_that_vary() -> None:
    """Two structures that overlap by 4 mm, whose wall is where neither has its own surface."""
    overlapping = AnalyticField({"LV": half_space((1, 0, 0), 2), "RV": half_space((-1, 0, 0), 2)})
    at_wall = np.zeros((1, 3))
    shared = Ensemble((overlapping,), np.zeros((1, 2), dtype=bool))
    np.testing.assert_allclose(shared.spread(at_wall).sd_mm, 0, atol=1e-6)
    own = Ensemble((overlapping,), np.zeros((1, 2), dtype=bool), exclusive=False)
    np.testing.assert_allclose(own.spread(at_wall).sd_mm, 2, rtol=1e-6)


# The draws


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    untrained(NAMES).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole_heart() -> tuple[Geometry, TrainedModel]:
    """Ten structures, and a network for them."""
    field = heart()
    grid = grid_about((0, 0, 10), np.eye(3) * 2.5, 85)
    trained = untrained(field.structures, points=256)
    return Geometry.of_label_map(rasterize(field, grid), 10), trained


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Observation, int | None]]:
    """What models are shown from here on, and how many latents they are to have."""
    calls: list[tuple[Observation, int | None]] = []
    encode = TrainedModel.encode

    def spy(
        self: TrainedModel, observation: Observation, latents: int | None, anchors: Any = None
    ) -> HeartField:
        calls.append((observation, latents))
        return encode(self, observation, latents, anchors)

    monkeypatch.setattr(TrainedModel, "encode", spy)
    return calls


def test_a_draw_sees_a_quarter_of_the_points_and_two_thirds_of_the_structures(
    whole_heart: tuple[Geometry, TrainedModel], encoded: list[tuple[Observation, int | None]]
) -> None:
    geometry, trained = whole_heart
    ensemble = encode_ensemble(geometry, trained, 5, seed=3)
    assert [(len(seen.points_mm), latents) for seen, latents in encoded] == [(64, 8)] * 5
    assert ensemble.observed.sum(axis=1).tolist() == [7] * 5
    for (seen, _), shown in zip(encoded, ensemble.observed, strict=True):
        assert set(seen.structure.tolist()) <= set(np.flatnonzero(shown).tolist())
    assert len({tuple(shown) for shown in ensemble.observed.tolist()}) > 1
    assert len({seen.frame.center_mm for seen, _ in encoded}) > 1


def test_draws_follow_from_the_seed(whole_heart: tuple[Geometry, TrainedModel]) -> None:
    geometry, trained = whole_heart
    points_mm = np.random.default_rng(0).uniform(-40, 40, (100, 3))
    found = [
        [
            draw.distances_mm(points_mm)
            for draw in encode_ensemble(geometry, trained, n, seed).members
        ]
        for n, seed in ((2, 0), (3, 0), (2, 1))
    ]
    np.testing.assert_array_equal(found[0], found[1][:2])  # however many follow
    assert not np.array_equal(found[0][0], found[0][1])
    assert not np.array_equal(found[0][0], found[2][0])


def test_of_two_structures_none_is_hidden(
    whole_heart: tuple[Geometry, TrainedModel],
) -> None:
    geometry, trained = whole_heart
    two = geometry.without(np.arange(10) >= 2)
    assert encode_ensemble(two, trained, 4, 0).observed[:, :2].all()
    three = geometry.without(np.arange(10) >= 3)
    assert encode_ensemble(three, trained, 4, 0).observed.sum(axis=1).tolist() == [2] * 4


def test_a_model_with_learned_queries_keeps_their_number(
    whole_heart: tuple[Geometry, TrainedModel], encoded: list[tuple[Observation, int | None]]
) -> None:
    geometry, trained = whole_heart
    spec = ModelSpec(queries="learnable", latents=16, width=32, heads=4, layers=1)
    learned = TrainedModel(
        spec.build(10).eval(), trained.structures, trained.label_set, 80.0, 0.1, 256, {}
    )
    encode_ensemble(geometry, learned, 2, 0)
    assert [latents for _, latents in encoded] == [None, None]


# The command


SHIFT_MM = 2.0


def shift_mm(field: HeartField) -> float:
    """How far the stand-in for a trained model moves every surface outwards, by its latents."""
    return SHIFT_MM * float(torch.sin(50 * field.latent_set.latents[..., 0].mean()))


@pytest.fixture
def shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = AnalyticField(SHAPES, truncation_mm=30)
    monkeypatch.setattr(
        HeartField,
        "distances_mm",
        lambda self, points: (shapes.distances_mm(points) - shift_mm(self)).clip(-8, 8),
    )


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """The shapes on a grid that ends 6 mm above the origin."""
    whole = grid_about((0, 0, 0), np.eye(3) * 1.2, 48)
    grid = Grid((*whole.shape[:2], 46), whole.affine)
    made = rasterize(AnalyticField(SHAPES), grid)
    write_label_map(made.to_label_set(label_set("default"), NAMES), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """Coordinates and point arrays of a VTP file."""
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    found = reader.GetOutput()
    points = found.GetPointData()
    names = [points.GetArrayName(index) for index in range(points.GetNumberOfArrays())]
    arrays = {name: vtk_to_numpy(points.GetArray(name)) for name in names}
    return arrays | {"vertices": vtk_to_numpy(found.GetPoints().GetData())}


def made_with(model: Path, source: Path, out: Path, **options) -> dict[str, dict[str, np.ndarray]]:
    """File → its arrays, of a reconstruction without LA."""
    seed = options.pop("seed", 0)
    made = ReconstructOptions(
        EncodeOptions(hide=options.pop("hide", ("LA",)), seed=seed),
        resolution=72,
        space="ras",
        **options,
    )
    assert reconstruct(model, [source], out, made) == {}
    return {file.stem: arrays_of(file) for file in out.glob("*.vtp")}


def summary_of(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def expected_sd_mm(model: Path, source: Path, draws: int, hide: tuple[str, ...]) -> float:
    trained = TrainedModel.from_pretrained(model)
    options = EncodeOptions(hide=hide)
    encoded = encode_source(find_hearts([source], label_set("default"))["scan"], trained, options)
    drawn = encode_ensemble(encoded.shown, trained, draws, 0).members
    off_mm = [shift_mm(draw) - shift_mm(encoded.field) for draw in drawn]  # type: ignore[arg-type]
    return float(np.sqrt(np.mean(np.square(off_mm))))


@pytest.mark.parametrize("kind", ["shared", "closed"])
@pytest.mark.usefixtures("shifted")
def test_every_vertex_tells_its_standard_deviation(
    kind: str, model: Path, scan: Path, tmp_path: Path
) -> None:
    expected = expected_sd_mm(model, scan, 4, ("LA",))
    assert 0.1 < expected < 5
    made = made_with(model, scan, tmp_path / "r", ensemble=4, surfaces=kind)
    summary = summary_of(tmp_path / "r")
    for name in NAMES:
        sd_mm = made[name]["sd_mm"]
        assert sd_mm.dtype == np.float32
        np.testing.assert_allclose(sd_mm, expected, atol=0.1)
        told = summary["structures"][name]["sd_mm"]
        assert told["all"]["mean"] == pytest.approx(sd_mm.mean(), rel=1e-5)
        assert told["all"]["p95"] == pytest.approx(np.percentile(sd_mm, 95), rel=1e-5)
        inferred = sd_mm[made[name]["observed"] == 0]
        if name == "RV":
            assert told["inferred"] is None
        else:
            assert told["inferred"]["mean"] == pytest.approx(inferred.mean(), rel=1e-5)
            assert told["beyond_reach_share"] == 0
    draws = summary["provenance"]["ensemble"]
    assert (draws["members"], draws["calibration"]) == (4, "uncalibrated")
    assert ("interfaces" in made) == (kind == "shared")


@pytest.mark.usefixtures("shifted")
def test_what_is_kept_is_measured_and_has_none(model: Path, scan: Path, tmp_path: Path) -> None:
    expected = expected_sd_mm(model, scan, 4, ("LA",))
    made = made_with(model, scan, tmp_path / "r", ensemble=4, keep_observed=True)
    for name in NAMES:
        observed = made[name]["observed"] == 1
        assert not made[name]["sd_mm"][observed].any()
        height_mm = made[name]["vertices"][:, 2]
        if name == "LV":
            far = height_mm > height_mm[observed].max() + 10.5  # beyond the blending
            np.testing.assert_allclose(made[name]["sd_mm"][far], expected, atol=0.1)
            assert far.sum() > 10
            at_edge = ~observed & (height_mm < height_mm[observed].max() + 0.5)
            assert made[name]["sd_mm"][at_edge].max() < 0.1 * expected
    np.testing.assert_allclose(made["LA"]["sd_mm"], expected, atol=0.1)
    assert summary_of(tmp_path / "r")["structures"]["RV"]["sd_mm"]["all"]["p95"] == 0


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.usefixtures("shifted")
def test_where_structures_meet_it_is_the_largest(
    keep: bool, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LV is observed and RV is not; they share a wall."""
    halves = {"LV": ball((0, 0, 0), 20), "RV": ball((0, 24, 0), 14), "LA": APART}
    whole = rasterize(AnalyticField(halves), grid_about((0, 10, 0), np.eye(3) * 1.5, 45))
    write_label_map(whole.to_label_set(label_set("default"), NAMES), tmp_path / "scan.nii.gz")
    fields = AnalyticField(halves, truncation_mm=30)
    growth = np.array([0.1, 0.3, 0.1])  # little enough that no gap opens between them

    def distances_mm(self: HeartField, points: np.ndarray) -> np.ndarray:
        return (fields.distances_mm(points) - (shift_mm(self) * growth)).clip(-8, 8)

    monkeypatch.setattr(HeartField, "distances_mm", distances_mm)
    made = made_with(
        model,
        tmp_path / "scan.nii.gz",
        tmp_path / "r",
        ensemble=3,
        keep_observed=keep,
        hide=("RV",),
    )
    of_vertex: dict[bytes, list[float]] = {}
    for name in ("LV", "RV"):
        for vertex, sd_mm in zip(made[name]["vertices"], made[name]["sd_mm"], strict=True):
            of_vertex.setdefault(vertex.tobytes(), []).append(float(sd_mm))
    shared = made["interfaces"]
    assert len(of_vertex) == len(shared["vertices"])
    expected = [max(of_vertex[vertex.tobytes()]) for vertex in shared["vertices"]]
    np.testing.assert_array_equal(shared["sd_mm"], np.array(expected, dtype=np.float32))
    twice = [values for values in of_vertex.values() if len(values) == 2]
    assert len(twice) > 50
    apart = np.median([abs(a - b) for a, b in twice])
    assert apart > 0.02 if keep else apart < 1e-6  # a wall has one place


@pytest.mark.usefixtures("shifted")
def test_reconstructions_follow_from_the_seed(model: Path, scan: Path, tmp_path: Path) -> None:
    found = [
        made_with(model, scan, tmp_path / name, ensemble=2, seed=seed)["LA"]
        for name, seed in (("a", 0), ("again", 0), ("b", 1))
    ]
    np.testing.assert_array_equal(found[0]["sd_mm"], found[1]["sd_mm"])
    assert abs(found[0]["sd_mm"].mean() - found[2]["sd_mm"].mean()) > 1e-3


@pytest.mark.usefixtures("shifted")
def test_without_draws_nobody_says_how_sure(model: Path, scan: Path, tmp_path: Path) -> None:
    made = made_with(model, scan, tmp_path / "r")
    assert all(set(arrays) == {"observed", "vertices"} for arrays in made.values())
    summary = summary_of(tmp_path / "r")
    assert summary["provenance"]["ensemble"] is None
    assert all(summary["structures"][name]["sd_mm"] is None for name in NAMES)


@pytest.mark.usefixtures("shifted")
def test_points_are_drawn_from_as_well(
    model: Path, tmp_path: Path, encoded: list[tuple[Observation, int | None]]
) -> None:
    rows = [
        f"{x:.3f},{y:.3f},{z:.3f},{name}\n"
        for name, middle in (("LV", (0, 0, 0)), ("RV", (0, 34, -14)), ("LA", (-24, -20, -20)))
        for x, y, z in on_sphere(10, 40) + middle
    ]
    (tmp_path / "points.csv").write_text("x,y,z,structure\n" + "".join(rows))
    made = made_with(model, tmp_path / "points.csv", tmp_path / "r", ensemble=3, hide=())
    assert set(made) == {*NAMES, "interfaces"}
    assert all(made[name]["sd_mm"].min() > 0 for name in NAMES)
    whole, *draws = (seen for seen, _ in encoded)
    assert len(whole.points_mm) == 120
    given = set(map(bytes, whole.points_mm))
    for seen in draws:
        assert len(seen.points_mm) == 16
        assert len(set(seen.structure.tolist())) == 2
        assert set(map(bytes, seen.points_mm)) <= given
        assert seen.frame != whole.frame
    few = Observation(whole.points_mm[:10], whole.structure[:10], None, whole.frame)
    encoded.clear()
    encode_ensemble(few, TrainedModel.from_pretrained(model), 2, 0)
    assert all(len(seen.points_mm) <= 5 for seen, _ in encoded)  # or all draws would be alike


# The factor


@pytest.fixture
def calibrated(model: Path):
    trained = TrainedModel.from_pretrained(model)
    path = SdFactor(1.5, {"LA": 2.5, "LV": 0.5}, 4.0, 8, ("one", "other"), "2026-01-31").write(
        model, trained, {"more": [1, 2]}
    )
    yield path
    path.unlink()


@pytest.mark.usefixtures("shifted")
def test_the_model_s_factors_are_used_and_told(
    model: Path, scan: Path, tmp_path: Path, calibrated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    factored = made_with(model, scan, tmp_path / "f", ensemble=2)
    calibrated.rename(tmp_path / "away.json")
    plain = made_with(model, scan, tmp_path / "p", ensemble=2)
    assert "uncalibrated" in caplog.text
    (tmp_path / "away.json").rename(calibrated)
    caplog.clear()
    made_with(model, scan, tmp_path / "f", ensemble=2)
    assert "uncalibrated" not in caplog.text
    for name, factor in (("LA", 2.5), ("LV", 0.5), ("RV", 1.5)):
        assert plain[name]["sd_mm"].min() > 0
        np.testing.assert_allclose(
            factored[name]["sd_mm"], factor * plain[name]["sd_mm"], rtol=1e-5
        )
    assert summary_of(tmp_path / "p")["provenance"]["ensemble"]["calibration"] == "uncalibrated"
    for folder, said in (("p", 0), ("f", 1)):
        remarks = [remark["text"] for remark in summary_of(tmp_path / folder)["remarks"]]
        other = "Standard deviations are of 2 members, and their factors were calibrated with 8: "
        assert sum(text == f"{other}--ensemble 8 fits them" for text in remarks) == said
    assert summary_of(tmp_path / "f")["provenance"]["ensemble"]["calibration"] == {
        "factor": 1.5,
        "factors": {"LA": 2.5, "LV": 0.5},
        "cut_factor": 4.0,
        "members": 8,
        "hearts": 2,
        "date": "2026-01-31",
        "few": False,
        "slice_factor": None,
    }


@pytest.mark.usefixtures("shifted")
def test_beyond_the_scan_cut_structures_have_the_factor_of_those(
    model: Path, scan: Path, tmp_path: Path, calibrated: Path
) -> None:
    """The scan cuts the LV, shows the RV whole, and not the LA."""
    factored = made_with(model, scan, tmp_path / "f", ensemble=2, keep_observed=True)
    calibrated.rename(tmp_path / "away.json")
    plain = made_with(model, scan, tmp_path / "p", ensemble=2, keep_observed=True)
    (tmp_path / "away.json").rename(calibrated)
    inferred = plain["LV"]["observed"] == 0
    assert plain["LV"]["sd_mm"][inferred].max() > 0
    for name, factor in (("LV", 4.0), ("LA", 2.5)):
        np.testing.assert_allclose(
            factored[name]["sd_mm"], factor * plain[name]["sd_mm"], rtol=1e-5
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "0" * 64}, "other weights; run vecsetx calibrate again"),
        ({"factor": -1}, "damaged: .*must be at least 0.001"),
        ({"factors": {"LA": 0}}, "damaged: .*must be at least 0.001"),
        ({"members": "many"}, "damaged: "),
    ],
)
def test_a_factor_that_does_not_fit_is_refused(
    change: dict, message: str, model: Path, calibrated: Path, tmp_path: Path
) -> None:
    data = json.loads(calibrated.read_text())
    calibrated.write_text(json.dumps(data | change))
    with pytest.raises(InputError, match=rf"calibration\.json: .*{message}"):
        SdFactor.read(model, TrainedModel.from_pretrained(model))
    calibrated.write_text("{")
    with pytest.raises(InputError, match=r"calibration\.json: damaged"):
        SdFactor.read(model, TrainedModel.from_pretrained(model))
