"""What a model infers is held against its training hearts and its own uncertainty."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from vecsetx.data.dataset import DataSet
from vecsetx.inference.doubts import WHOLE_ONLY, doubts, inference_remarks
from vecsetx.inference.heart_meshes import HeartMeshes, VertexAttributes
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.specks import Specks
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.quality.cohort import Usual
from vecsetx.sampling.quality.usual_heart import UsualHeart, UsualStructure, scaled_distance

HEARTS = 10**6
CENTRES = {"LV": (0.0, 0, 0), "RV": (40.0, 0, 0), "PA": (15.0, 50, 30)}
RADII = {"LV": 25.0, "RV": 22.0, "PA": 10.0}
_SPHERE = trimesh.creation.icosphere(3)


def ball(name: str, scale: float = 1.0, offset_mm: Any = 0.0) -> Surface:
    radius = scale * RADII[name]
    vertices_mm = _SPHERE.vertices * radius + CENTRES[name] + np.asarray(offset_mm)
    return Surface(vertices_mm.astype(np.float32), np.asarray(_SPHERE.faces))


def usual() -> UsualHeart:
    """Volumes vary by 10% (one s.d.), distances by 5%."""
    surfaces = {name: ball(name) for name in CENTRES}
    structures = {}
    for name, one in surfaces.items():
        distances = {
            other: Usual(
                scaled_distance(one.centroid_mm, its.centroid_mm, its.volume_mm3 / 1000),
                0.05,
                HEARTS,
            )
            for other, its in surfaces.items()
            if other != name
        }
        volume = Usual(one.volume_mm3 / 1000, 0.1, HEARTS)
        structures[name] = UsualStructure(HEARTS, 0.0, volume, 1, distances)
    return UsualHeart(HEARTS, structures)


def made(
    pa: Surface | None, pieces: int = 1, observed_share: float = 0.0, sd_mm: float | None = None
) -> tuple[HeartMeshes, VertexAttributes]:
    """A heart whose LV and RV are observed, with that PA."""
    surfaces = {"LV": ball("LV"), "RV": ball("RV")} | ({"PA": pa} if pa else {})
    observed = {name: np.ones(len(one.vertices_mm), bool) for name, one in surfaces.items()}
    if pa:
        count = len(pa.vertices_mm)
        observed["PA"] = np.arange(count) < observed_share * count
    counts = {"LV": 1, "RV": 1, "PA": pieces if pa else 0}
    spread = {}
    if sd_mm is not None:
        # Large where it is observed, which must not count.
        spread = {n: np.where(seen, 99, sd_mm).astype(np.float32) for n, seen in observed.items()}
    specks = Specks(Grid((2, 2, 2), np.eye(4)), counts, {}, {}, {})
    return HeartMeshes(surfaces, None, {}, specks), VertexAttributes(observed, spread)


def test_what_fits_is_not_doubtful_and_what_is_observed_is_not_checked() -> None:
    assert doubts(*made(ball("PA")), usual()) == {"LV": None, "RV": None, "PA": []}
    assert inference_remarks(*made(ball("PA")), usual()) == ()
    wrong = ball("PA", 0.2, (0, 60, 0))
    assert doubts(*made(wrong, observed_share=0.51), usual())["PA"] is None
    assert doubts(*made(wrong, observed_share=0.49), usual())["PA"]


def test_a_volume_beyond_the_limits_is_told_with_them() -> None:
    whole_ml = ball("PA").volume_mm3 / 1000
    low, high = whole_ml * np.exp(-0.4), whole_ml * np.exp(0.4)
    for ml, odd in ((low * 0.99, True), (low * 1.01, False), (high * 0.99, False), (0.2, True)):
        found = doubts(*made(ball("PA", (ml / whole_ml) ** (1 / 3))), usual())["PA"]
        expected = f"{ml:.1f} ml in its mesh, and training hearts have {low:.1f} to {high:.1f} ml"
        assert found == ([expected] if odd else [])


def test_a_place_is_judged_by_what_is_observed_whatever_the_scanner_s_axes() -> None:
    turn = Rotation.from_euler("xyz", (40, -70, 100), degrees=True)
    for offset, odd in (((0, 3, 0), False), ((0, 26, 0), True), ((0, -20, -20), True)):
        meshes, known = made(ball("PA", offset_mm=offset))
        (found,) = [doubts(meshes, known, usual())["PA"]]
        assert bool(found) == odd
        turned = {
            name: replace(one, vertices_mm=turn.apply(one.vertices_mm).astype(np.float32) + 300)
            for name, one in meshes.surfaces.items()
        }
        assert doubts(replace(meshes, surfaces=turned), known, usual())["PA"] == found
        if odd:
            assert "its centre is" in found[0]
            assert "from that of" in found[0]
    # 26 mm forward: 83.1 mm from the LV, where 4.5 · 5% about 60.2 mm leave 48.1 to 75.4.
    # Few hearts would have wider limits.
    (sentence,) = doubts(*made(ball("PA", offset_mm=(0, 26, 0))), usual())["PA"]
    assert "its centre is 83.1 mm from that of LV" in sentence
    assert "training hearts have 48.1 to 75.4 mm" in sentence
    # With nothing observed near it, there is no place to judge.
    meshes, known = made(ball("PA", offset_mm=(0, 26, 0)))
    none = {name: np.zeros_like(seen) for name, seen in known.observed.items()}
    found = doubts(meshes, VertexAttributes(none), usual())
    assert found == {"LV": [], "RV": [], "PA": []}


def test_pieces_uncertainty_and_absence() -> None:
    assert doubts(*made(ball("PA"), pieces=2), usual())["PA"] == [
        "2 pieces, and training hearts have at most 1"
    ]
    # A ball of 10 mm has a mean thickness 2 V / A of 6.7 mm.
    assert doubts(*made(ball("PA"), sd_mm=3.2), usual())["PA"] == []
    (sentence,) = doubts(*made(ball("PA"), sd_mm=3.4, observed_share=0.4), usual())["PA"]
    assert sentence.startswith("its surface has a standard deviation of 3.4 mm, more than half")
    assert doubts(*made(None), usual())["PA"] == ["it has no surface"]
    cohort = usual()
    lacking = replace(cohort.structures["PA"], lacking_share=0.1)
    cohort = replace(cohort, structures={**cohort.structures, "PA": lacking})
    assert doubts(*made(None), cohort)["PA"] == []


def test_what_cannot_be_checked_is_said() -> None:
    tiny = made(ball("PA", 0.2))
    assert doubts(*tiny, None)["PA"] is None
    (remark,) = inference_remarks(*tiny, None)
    assert "not checked against training hearts" in remark
    assert "train it again" in remark
    few = UsualHeart(5, {"PA": UsualStructure(3, 0.0, None, None, {})})
    assert doubts(*tiny, few)["PA"] is None
    (remark,) = inference_remarks(*tiny, few)
    assert "at least 8 must have the structure whole: PA (whole in 3)" in remark
    # Absence and uncertainty need no training hearts.
    assert doubts(*made(None), None)["PA"] == ["it has no surface"]
    assert doubts(*made(ball("PA"), sd_mm=9.0), few)["PA"]
    # Nothing is inferred, so there is nothing to say.
    assert inference_remarks(*made(ball("PA"), observed_share=1.0), None) == ()


def test_nothing_is_trusted_that_a_model_of_whole_hearts_infers() -> None:
    """What it infers may fit the training hearts; partial models and older ones are not blamed."""
    fits = made(ball("PA"))
    assert doubts(*fits, usual(), False) == {"LV": None, "RV": None, "PA": [WHOLE_ONLY]}
    assert doubts(*fits, None, False)["PA"] == [WHOLE_ONLY]
    for partial in (True, None):
        assert doubts(*fits, usual(), partial) == doubts(*fits, usual())
        assert inference_remarks(*fits, usual(), partial) == ()
    odd = doubts(*made(ball("PA"), pieces=2), usual(), False)["PA"]
    assert odd == ["2 pieces, and training hearts have at most 1", WHOLE_ONLY]
    # Without a surface, it counts only if the structure was hidden, not if the model lost it.
    meshes, known = made(None)
    assert doubts(meshes, known, usual(), False)["PA"] == ["it has no surface"]
    hidden = replace(known, hidden=frozenset({"PA"}))
    assert doubts(meshes, hidden, usual(), False)["PA"] == ["it has no surface", WHOLE_ONLY]
    (remark,) = inference_remarks(meshes, hidden, usual(), False)
    assert remark == (
        f"{WHOLE_ONLY}, so what it infers is not to be trusted (PA): train one that learns to "
        "infer, with --preset tiny-partial, small-partial, base-partial, large-partial or general"
    )
    # Of a cut structure, a part is inferred; what the scan's edge cuts off any aorta is not worth
    # a remark.
    (remark,) = inference_remarks(*made(ball("PA"), observed_share=0.6), usual(), False)
    assert "(40% of PA)" in remark
    assert inference_remarks(*made(ball("PA"), observed_share=0.95), usual(), False) == ()


def test_what_is_usual_in_prepared_hearts(dataset: DataSet, tmp_path: Path) -> None:
    """Four hearts are too few; three times as many, of which some lack a structure, are not."""
    files = [dataset.open(heart) for heart in dataset.hearts]
    annotated = [heart.annotated for heart in dataset.hearts]
    few = UsualHeart.of(dataset.structures, files, annotated)
    assert few.hearts == 4
    assert set(few.structures) == set(dataset.structures)
    assert all(one.volume_ml is None and not one.distances for one in few.structures.values())
    many = UsualHeart.of(dataset.structures, 3 * files, 3 * annotated)
    infos = [file.info for file in files]
    for name, one in many.structures.items():
        whole = [i for i in infos if name in i.structures and name not in i.cut]
        assert one.hearts == 3 * len(whole)
        if one.hearts >= 8:
            median = np.exp(np.median(np.log([i.volumes_ml[name] for i in whole])))
            assert one.volume_ml.median == pytest.approx(median)
            assert one.most_pieces >= max(i.pieces[name] for i in whole)
            assert name not in one.distances
    assert many.structures["LV"].distances.keys() >= {"LA", "RA"}
    # The place comes from the points on the surface: LA and LV of the hearts themselves.
    values = []
    for file in files:
        info, surface = file.info, file.read().surface
        la, lv = (
            surface.points_mm[surface.structure == info.structures.index(n)].mean(0).astype(float)
            for n in ("LA", "LV")
        )
        values.append(scaled_distance(la, lv, info.volumes_ml["LV"]))
    found = many.structures["LA"].distances["LV"]
    assert found.median == pytest.approx(np.exp(np.median(np.log(values))), rel=1e-6)
    # A structure that a label set does not annotate is not lacking; an annotated one is.
    lacking = UsualHeart.of((*dataset.structures, "X"), 3 * files, 8 * [("X",)] + 4 * [()])
    assert lacking.structures["X"] == UsualStructure(0, 1.0, None, None, {})
    # A file that is gone is left out.
    gone = dataset.open(dataset.hearts[0])
    gone.path = tmp_path / "gone"
    assert UsualHeart.of(dataset.structures, [gone, *files], [(), *annotated]) == few


@pytest.mark.parametrize("count", [8, 12, 20, 40])
def test_limits_of_few_hearts_give_as_few_false_alarms(count: int) -> None:
    """Hearts of one population, each held against others of it."""
    generator = np.random.default_rng(count)
    plain = widened = 0
    trials = 3000
    for _ in range(trials):
        values = np.exp(generator.normal(3.0, 0.2, count + 1))
        found = Usual.of(values[1:])
        z = abs(found.z(float(values[0])))
        plain += z > 4
        widened += z > found.limit(4.0)
    assert widened <= 0.004 * trials
    assert plain > widened
    assert Usual(1.0, 0.1, 10**6).limit(4.0) == pytest.approx(4, abs=1e-3)
