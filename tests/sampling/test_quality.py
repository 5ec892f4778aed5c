"""A sound heart passes; every flaw put into one is found and named."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES, PhantomHeart
from vecsetx.data.sources import LabelMapSource
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.pieces import Gap
from vecsetx.sampling.quality.cohort import (
    MAX_Z,
    Duplicates,
    Usual,
    duplicates,
    outliers,
    usual_thicknesses,
    usual_volumes,
)
from vecsetx.sampling.quality.heart_quality import heart_quality
from vecsetx.sampling.quality.pose import pose
from vecsetx.sampling.quality.probes import agreement, contradicting, slopes, steep_shares
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints

GROUPS = ("surface", "near", "volume")
VOXEL_MM = 1.6


@pytest.fixture(scope="module")
def heart(tmp_path_factory):
    """Samples of a phantom and its label map."""
    path = tmp_path_factory.mktemp("heart") / "phantom.nii.gz"
    phantom = PhantomHeart.random(np.random.default_rng([0, 3]))
    write_label_map(phantom.voxelize(96, VOXEL_MM), path)
    source = LabelMapSource("phantom", path, label_set("default"))
    samples = source.samples(STRUCTURES, SamplingSpec(8000, 8000, 8000), 0)
    return samples, source.segmentation(samples.info.structures).sampled_voxels()


def with_points(samples, change, groups=GROUPS):
    parts = {g: getattr(samples, g) for g in groups}
    return replace(
        samples,
        **{
            g: replace(part, points_mm=change(part.points_mm).astype(np.float32))
            for g, part in parts.items()
        },
    )


def with_distances(samples, change):
    parts = {g: getattr(samples, g) for g in GROUPS}
    return replace(
        samples,
        **{
            g: replace(part, distances_mm=change(part.distances_mm).astype(np.float32))
            for g, part in parts.items()
        },
    )


def with_info(samples, **changes):
    return replace(samples, info=replace(samples.info, **changes))


def quality(samples, label_map):
    return heart_quality(samples, STRUCTURES, STRUCTURES, label_map)


def test_a_sound_heart_passes_without_remarks(heart):
    found = quality(*heart)
    assert found.problems == ()
    assert found.remarks == ()
    assert found.doubts == ()
    assert found.state == "fit"
    assert tuple(found.structures) == STRUCTURES
    assert 0.9 < found.agreement < 1
    assert found.untrusted_share == 0
    for structure in found.structures.values():
        assert structure.state == "present"
        assert structure.slope == pytest.approx(1, abs=0.05)
        assert structure.steep_share < 2e-3
        assert 0.1 < structure.inside_share_near < 0.7
    assert found.structures["Myocardium"].thickness_mm == pytest.approx(8, abs=3)


FLAWS = {
    "twice as far": (lambda s: with_distances(s, lambda d: 2 * d), "change by .* mm per mm"),
    "half as far": (lambda s: with_distances(s, lambda d: d / 2), "change by 0.[45]"),
    "in voxels": (lambda s: with_distances(s, lambda d: d / VOXEL_MM), "change by 0.6"),
    "without the half voxel": (
        lambda s: with_distances(s, lambda d: d + np.sign(d) * VOXEL_MM / 2),
        "differ by more than the points are apart",
    ),
    "signs swapped": (lambda s: with_distances(s, np.negative), "change by -"),
    "structures permuted": (
        lambda s: with_distances(s, lambda d: np.roll(d, 1, axis=1)),
        "contradict the label map",
    ),
    "all points moved": (
        lambda s: with_points(s, lambda p: p + [3, 0, 0]),
        "points are shifted from the label map",
    ),
    "query points moved": (
        lambda s: with_points(s, lambda p: p + [0, 3, 0], ("near", "volume")),
        "differ by more than the points are apart",
    ),
    "half a voxel off": (
        lambda s: with_points(s, lambda p: p + VOXEL_MM / 2),
        "points are shifted from the label map",
    ),
    "LPS for RAS": (lambda s: with_points(s, lambda p: p * [-1, -1, 1]), "contradict"),
    "not a number": (
        lambda s: with_distances(s, lambda d: np.where(np.arange(len(d))[:, None] == 7, np.nan, d)),
        "near points have non-finite distances",
    ),
    "inside two": (
        lambda s: with_distances(s, lambda d: d - 0.5),
        "inside more than one structure",
    ),
    "no normals": (
        lambda s: replace(s, surface=replace(s.surface, normals=s.surface.normals / 2)),
        "normals are not of unit length",
    ),
    "far away": (
        lambda s: with_info(s, frame=Frame((500.0, 0.0, 0.0), s.info.frame.mm_per_unit)),
        "mm from its centre",
    ),
}


@pytest.mark.parametrize("flaw", list(FLAWS))
def test_every_flaw_is_found(flaw, heart):
    samples, label_map = heart
    spoil, message = FLAWS[flaw]
    found = quality(spoil(samples), label_map)
    assert found.state == "unfit"
    assert any(re.search(message, problem) for problem in found.problems), found.problems


@pytest.mark.parametrize(
    "flaw", ["twice as far", "half as far", "without the half voxel", "query points moved"]
)
def test_distances_are_judged_without_the_label_map_too(flaw, heart):
    samples, _ = heart
    found = quality(FLAWS[flaw][0](samples), None)
    assert found.state == "unfit"
    assert found.agreement is None


def test_a_starved_structure_is_found(heart):
    samples, label_map = heart
    k = samples.info.structures.index("Coronary")
    kept = samples.near.distances_mm[:, k] > 0
    near = samples.near
    fewer = QueryPoints(near.points_mm[kept], near.distances_mm[kept], near.edge_mm[kept])
    found = quality(replace(samples, near=fewer), label_map)
    assert any(
        problem.startswith("too few near points in Coronary: 0 ") for problem in found.problems
    )
    assert any("wall of Coronary lie inside it" in problem for problem in found.problems)


def test_absent_and_not_annotated_structures_differ(heart):
    samples, label_map = heart
    found = heart_quality(samples, (*STRUCTURES, "SVC", "IVC"), (*STRUCTURES, "SVC"), label_map)
    assert found.structures["SVC"].state == "absent"
    assert found.structures["IVC"].state == "not annotated"
    (doubt,) = found.doubts
    assert doubt.startswith("annotated, but absent: SVC; if it was not annotated, prepare ")
    assert found.state == "look"


def test_doubts_on_pieces_and_walls_and_remarks_on_cuts_and_coarse_grids(heart):
    samples, label_map = heart
    info = samples.info
    pieces = {**info.pieces, "LV": 2, "Coronary": 4, "PV": 5}
    areas = {**info.areas_mm2, "Myocardium": 2000 * info.volumes_ml["Myocardium"] / 2.5}
    changed = with_info(samples, pieces=pieces, areas_mm2=areas, cut=("Aorta",))
    found = quality(changed, label_map)
    doubts, remarks = " · ".join(found.doubts), " · ".join(found.remarks)
    assert "LV has 2 pieces (normally at most 1)" in doubts
    assert "PV has 5 pieces" in doubts
    assert "Coronary" not in doubts
    assert "Myocardium is 2.5 mm thick" in doubts
    assert "Myocardium is 1.6 voxels thick" in remarks
    assert "cut by the field of view: Aorta" in remarks


def test_untrusted_distances_are_not_judged(heart):
    samples, label_map = heart
    k = samples.info.structures.index("Aorta")

    def spoil(distances):
        distances = distances.copy()
        distances[:, k] *= 2
        return distances

    spoilt = with_distances(samples, spoil)
    assert any("change by" in problem for problem in quality(spoilt, label_map).problems)
    nothing_known = {
        g: replace(getattr(spoilt, g), edge_mm=np.zeros(8000, np.float32)) for g in GROUPS
    }
    cut = with_info(replace(spoilt, **nothing_known), cut=("Aorta",))
    found = quality(cut, label_map)
    assert not any("change by" in problem for problem in found.problems)
    assert not any("differ" in problem for problem in found.problems)
    assert found.untrusted_share == pytest.approx(0.1, abs=0.02)  # one structure of ten


def sphere(radius, count=4000):
    """Samples of an analytic ball at the origin."""
    generator = np.random.default_rng(0)

    def directions():
        drawn = generator.standard_normal((count, 3))
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    normals = directions()
    near = normals * radius + 3 * generator.standard_normal((count, 3))
    volume = directions() * radius * 1.3 * generator.random((count, 1)) ** (1 / 3)
    edge = np.full(count, np.inf, np.float32)

    def query(points):
        distances = np.linalg.norm(points, axis=1, keepdims=True) - radius
        return QueryPoints(points.astype(np.float32), distances.astype(np.float32), edge)

    surface = SurfacePoints(
        (normals * radius).astype(np.float32),
        np.zeros(count, np.uint8),
        normals.astype(np.float32),
        np.zeros((count, 1), np.float32),
        edge,
    )
    info = HeartInfo(
        *("ball", "label map", "", "", "", {}, ("LV",), (), Frame((0.0, 0.0, 0.0), 100.0), 50.0),
        *((1.0, 1.0, 1.0), {"LV": 1.0}, {"LV": 4 * np.pi * radius**2}, {"LV": 1}),
        *(0, (), {}, 0, ""),
    )
    return Samples(surface, query(near), query(volume), info)


@given(radius=st.floats(10, 40), factor=st.sampled_from([-1.0, 0.5, 0.8, 1.0, 1.3, 2.0]))
def test_the_slope_of_a_sphere_is_right_to_3_percent(radius, factor):
    ball = with_distances(sphere(radius), lambda d: factor * d)
    np.testing.assert_allclose(slopes(ball) / factor, 1, atol=0.03)
    if factor in (1.0, -1.0):
        assert steep_shares(ball)[0] == 0
    if factor > 1.2:
        assert steep_shares(ball)[0] > 0.02


def test_too_few_points_have_no_slope():
    assert np.isnan(slopes(sphere(20, count=40))[0])
    # The surface's points lie 8.7 mm apart, and then 4.8 mm.
    assert np.isnan(slopes(sphere(60, count=600))[0])
    assert slopes(sphere(60, count=2000))[0] == pytest.approx(1, abs=0.03)


def test_labels_are_those_of_the_voxels(heart):
    _, label_map = heart
    index = np.argwhere(label_map.labels == 5)[::97]
    points = label_map.to_mm(index + np.random.default_rng(1).uniform(-0.49, 0.49, index.shape))
    assert (label_map.at(points) == 5).all()
    assert (label_map.at(points + 1e4) == 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [-0.5, 0.0, 0.3])
def test_a_shift_is_measured_to_a_fifth_of_a_voxel(axis, shift, heart):
    samples, label_map = heart
    step = shift * label_map.affine[:3, axis]
    found = agreement(with_points(samples, lambda p: p + step), label_map).shift_voxels
    expected = np.zeros(3)
    expected[axis] = shift
    np.testing.assert_allclose(found, expected, atol=0.2)
    assert np.sign(found[axis]) == np.sign(shift) or shift == 0


def test_smoothed_walls_are_no_contradiction(heart):
    samples, label_map = heart
    assert contradicting(samples.near, label_map).mean() < 1e-3
    moved = with_points(samples, lambda p: p + [20, 0, 0])
    assert contradicting(moved.near, label_map).mean() > 0.1


@pytest.mark.parametrize(
    ("turn", "degrees", "mirrored"),
    [((1, 1, 1), 0, False), ((-1, -1, 1), 180, False), ((1, -1, -1), 180, False)],
)
def test_a_rotated_heart_is_detected(turn, degrees, mirrored, heart):
    found = pose(with_points(heart[0], lambda p: p * turn))
    assert found.rotation_deg == pytest.approx(degrees, abs=25)
    assert found.mirrored == mirrored


@pytest.mark.parametrize("turn", [(-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)])
def test_a_mirrored_heart_is_detected(turn, heart):
    samples, _ = heart
    assert pose(with_points(samples, lambda p: p * turn)).mirrored
    doubts = quality(with_points(samples, lambda p: p * turn), None).doubts
    assert any("mirrored" in doubt for doubt in doubts)


def test_few_structures_have_no_pose():
    assert pose(sphere(20)) is None


def cohort(heart, count):
    """Infos of hearts whose volumes spread by some 10%."""
    generator = np.random.default_rng(0)
    info = heart[0].info
    hearts = {}
    for number in range(count):
        factors = np.exp(0.1 * generator.standard_normal(len(info.structures)))
        volumes = {
            name: float(factor * info.volumes_ml[name])
            for name, factor in zip(info.structures, factors, strict=True)
        }
        name = f"heart{number}"
        hearts[name] = replace(info, name=name, content=name, volumes_ml=volumes)
    return hearts


@pytest.mark.parametrize(
    ("remark", "state"),
    [
        ("the header gives no orientation; LPS is assumed, so left and right are a guess", "look"),
        ("the header gives no spacing; 1 mm is assumed", "look"),
        ("sform and qform disagree by up to 3.1 mm; the sform is used", "look"),
        (str(Gap("LV", (50.0, 40.0), 3.0)), "look"),
        ("SVC: left out, not in label set default", "look"),
        ("the header gives lengths in micron; they were converted to mm", "fit"),
        ("its ids fit label set mmwhs, which was used", "fit"),
        ("left out 1 file (spleen): organs other than the heart", "fit"),
        ("LAA and LA share 27 voxels; they were given to LAA", "fit"),
    ],
)
def test_remarks_on_the_source_ask_for_a_look_or_only_inform(heart, remark: str, state: str):
    samples, label_map = heart
    found = quality(with_info(samples, remarks=(remark,)), label_map)
    assert (found.state, found.problems) == (state, ())
    assert (found.doubts, found.remarks) == (
        ((remark,), ()) if state == "look" else ((), (remark,))
    )


def test_the_spread_is_the_standard_deviation_and_outliers_do_not_count():
    values = np.exp(np.random.default_rng(0).normal(3, 0.2, 10_000))
    usual = Usual.of(values)
    assert usual.median == pytest.approx(np.exp(3), rel=0.01)
    assert usual.spread == pytest.approx(0.2, rel=0.03)
    spoilt = Usual.of(np.concatenate([values, np.full(500, 1e9)]))
    assert spoilt.spread == pytest.approx(0.2, rel=0.1)
    assert spoilt.z(1e9) > 20
    assert Usual.of(np.ones(9)).z(1.0) == 0
    low, high = usual.limits
    assert (usual.z(low), usual.z(high)) == pytest.approx((-MAX_Z, MAX_Z))


@pytest.mark.parametrize("count", [8, 9, 10, 15])
def test_the_spread_of_small_cohorts_has_no_bias(count: int):
    drawn = np.exp(np.random.default_rng(count).normal(0, 0.2, (4000, count)))
    assert np.mean([Usual.of(row).spread for row in drawn]) == pytest.approx(0.2, rel=0.02)


def test_outliers_are_doubted_but_not_if_cut_or_if_hearts_are_few(heart):
    hearts = cohort(heart, 12)
    odd = hearts["heart5"]
    hearts["heart5"] = replace(odd, volumes_ml={**odd.volumes_ml, "LA": 10 * odd.volumes_ml["LA"]})
    usual = usual_volumes(hearts)
    (doubt,) = outliers(hearts["heart5"], usual, {})
    low, high = usual["LA"].limits
    assert doubt.startswith(
        f"LA is unusually large: {10 * odd.volumes_ml['LA']:.1f} ml, and {low:.1f} to {high:.1f} "
        f"ml is usual among these 12 hearts (median {usual['LA'].median:.1f} ml; robust z +"
    )
    assert doubt.endswith(", limit ±4)")
    thin = {name: Usual(1000.0, 0.1, 12) for name in ("Myocardium", "Aorta")}
    (doubt,) = outliers(hearts["heart4"], {}, thin)  # vessels are not judged by their thickness
    assert doubt.startswith("Myocardium is unusually thin: ")
    assert usual_thicknesses(hearts)["Myocardium"].hearts == 12
    hearts["heart5"] = replace(hearts["heart5"], cut=("LA",))
    assert usual_volumes(hearts)["LA"].hearts == 11
    assert outliers(hearts["heart5"], usual, {}) == []
    assert usual_volumes(cohort(heart, 7)) == {}


@pytest.mark.parametrize(("count", "is_remarked"), [(200, False), (296, True)])
def test_unusually_many_speck_voxels_are_remarked(heart, count: int, is_remarked: bool):
    samples, label_map = heart
    specked = replace(samples, info=replace(samples.info, speck_voxels=count))
    found = heart_quality(specked, STRUCTURES, STRUCTURES, label_map)
    told = [doubt for doubt in found.doubts if "speck" in doubt]
    share = count / np.count_nonzero(label_map.labels)
    expected = f"{count} speck voxels were refilled, {share:.2%} of the heart"
    assert told == [expected] * is_remarked


def test_twins_are_found_by_content_and_by_volumes(heart):
    hearts = cohort(heart, 30)
    assert duplicates(hearts) == []
    hearts["copy"] = replace(hearts["heart4"], name="copy")
    moved = {name: 1.001 * ml for name, ml in hearts["heart9"].volumes_ml.items()}
    hearts["moved"] = replace(hearts["heart9"], name="moved", content="m", volumes_ml=moved)
    other = {name: 1.003 * ml for name, ml in hearts["heart8"].volumes_ml.items()}
    hearts["other"] = replace(hearts["heart8"], name="other", content="o", volumes_ml=other)
    pieces = {**hearts["heart7"].pieces, "PV": 1 + hearts["heart7"].pieces["PV"]}
    hearts["pieces"] = replace(hearts["heart7"], name="pieces", content="p", pieces=pieces)
    assert duplicates(hearts) == [
        Duplicates("heart4", "copy", by_volume=False),
        Duplicates("heart9", "moved", by_volume=True),
    ]
