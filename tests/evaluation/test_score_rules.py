"""Scores of one heart: what is there, what is not, and the topology of vessels."""

import numpy as np
import pytest
import trimesh
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from support.maps import OBLIQUE

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure, structure_names
from vecsetx.errors import InputError
from vecsetx.evaluation.heart_scores import penalty_mm, score_label_maps, with_mesh_scores
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.evaluation.scores import Score
from vecsetx.evaluation.topology import centreline, centreline_dice, piece_count
from vecsetx.reconstruction.surfaces import Surface

STRUCTURES = ("LV", "Aorta", "LA", "RA", "PV")
SPACING_MM = (0.5, 1.0, 2.0)
TRUE_DIAGONAL_MM = np.linalg.norm(np.multiply((20, 12, 8), SPACING_MM))


def heart() -> tuple[LabelMap, LabelMap]:
    """LV found, Aorta missed, LA invented, RA in neither, PV not annotated but predicted."""
    affine = np.diag([*SPACING_MM, 1.0])
    truth, prediction = np.zeros((2, 30, 20, 16), np.uint8)
    truth[2:8, 2:8, 2:8] = 1
    prediction[2:8, 2:8, 2:7] = 1
    truth[10:22, 10:14, 8:10] = 2  # the true heart is 20 × 12 × 8 voxels in all
    prediction[2:4, 15:18, 12:14] = 3
    prediction[25:27, 2:4, 12:14] = 5
    return LabelMap(truth, affine), LabelMap(prediction, affine)


def scored() -> dict[str, Score]:
    truth, prediction = heart()
    rows = score_label_maps("a", truth, prediction, STRUCTURES, STRUCTURES[:4])
    assert [row.structure for row in rows] == list(STRUCTURES)
    return {row.structure: row for row in rows}


def test_states() -> None:
    states = {name: row.state for name, row in scored().items()}
    assert states == {
        "LV": "found",
        "Aorta": "missed",
        "LA": "invented",
        "RA": "absent",
        "PV": "not annotated",
    }


def test_found() -> None:
    """One layer of voxels, 2 mm thick, is missing at one end."""
    values = scored()["LV"].values
    assert values["dice"] == pytest.approx(2 * 180 / (216 + 180))
    assert values["truth_ml"] == pytest.approx(0.216)
    assert values["volume_error_ml"] == pytest.approx(-0.036)
    assert values["volume_error_relative"] == pytest.approx(-1 / 6)
    assert values["hd95_mm"] == 2.0
    assert 0 < values["assd_mm"] < 2
    assert values["piece_error"] == 0
    assert "cldice" not in values


def test_missed_counts_as_nothing_and_as_far_as_the_heart_is_wide() -> None:
    values = scored()["Aorta"].values
    assert values == pytest.approx(
        {
            **{"dice": 0, "iou": 0, "nsd": 0, "cldice": 0},
            **{"assd_mm": TRUE_DIAGONAL_MM, "hd95_mm": TRUE_DIAGONAL_MM},
            **{"volume_error_ml": -0.096, "volume_error_relative": -1, "truth_ml": 0.096},
            **{"piece_error": -1, "truth_pieces": 1, "prediction_pieces": 0},
            "prediction_ml": 0,
        }
    )


def test_invented_counts_the_same_but_for_the_relative_error() -> None:
    values = dict(scored()["LA"].values)
    assert values.pop("volume_error_relative") is None
    assert values == pytest.approx(
        {
            **{"dice": 0, "iou": 0, "nsd": 0},
            **{"assd_mm": TRUE_DIAGONAL_MM, "hd95_mm": TRUE_DIAGONAL_MM},
            **{"volume_error_ml": 0.012, "truth_ml": 0, "prediction_ml": 0.012},
            **{"piece_error": 1, "truth_pieces": 0, "prediction_pieces": 1},
        }
    )


@pytest.mark.parametrize("name", ["RA", "PV"])
def test_absent_and_not_annotated_are_not_scored(name: str) -> None:
    assert set(scored()[name].values.values()) == {None}


def test_every_measure_is_known() -> None:
    truth, prediction = heart()
    rows = score_label_maps("a", truth, prediction, STRUCTURES, STRUCTURES)
    found = {measure for row in with_mesh_scores(rows, {}, {}, 1.0) for measure in row.values}
    assert found == set(MEASURES)


def test_vessels_and_they_alone_have_a_centreline_to_score() -> None:
    names = structure_names()
    labels = np.arange(1, len(names) + 1, dtype=np.uint8).reshape(-1, 1, 1)
    one_voxel_each = LabelMap(labels, np.eye(4))
    rows = score_label_maps("a", one_voxel_each, one_voxel_each, names, names)
    assert {row.structure: "cldice" in row.values for row in rows} == {
        name: structure(name).vessel for name in names
    }


def test_a_perfect_heart_is_perfect_in_every_measure() -> None:
    truth, _ = heart()
    box = Surface(*_box((0, 0, 0)))
    rows = score_label_maps("a", truth, truth, STRUCTURES, STRUCTURES)
    rows = with_mesh_scores(rows, {"LV": box, "Aorta": box}, {"LV": box, "Aorta": box}, 99.0)
    for row in rows[:2]:
        for name, value in row.values.items():
            if MEASURES[name].perfect is not None:
                assert value == pytest.approx(MEASURES[name].perfect, abs=1e-6), name
    assert rows[1].values["cldice"] == 1


def test_no_distance_counts_more_than_missing_it() -> None:
    """A structure at the far end of a long scan is as bad as none, not worse."""
    truth, prediction = np.zeros((2, 200, 6, 6), np.uint8)
    truth[:4, :4, :4] = prediction[195:, :4, :4] = 1
    rows = score_label_maps("a", LabelMap(truth, np.eye(4)), LabelMap(prediction, np.eye(4)),
                            ("LV",), ("LV",))  # fmt: skip
    assert rows[0].state == "found"
    assert rows[0].values["assd_mm"] == rows[0].values["hd95_mm"] == pytest.approx(4 * np.sqrt(3))


def test_the_penalty_is_the_diagonal_of_the_true_heart_on_any_grid() -> None:
    truth, _ = heart()
    assert penalty_mm(truth) == pytest.approx(TRUE_DIAGONAL_MM)
    turned = LabelMap(truth.labels[::-1], OBLIQUE)
    sides = np.linalg.norm(OBLIQUE[:3, :3], axis=0) * (20, 12, 8)
    assert penalty_mm(turned) == pytest.approx(np.linalg.norm(sides))
    sheared = np.eye(4)
    sheared[0, 1] = 1.0  # a unit square becomes one with diagonals 1 and √5
    one = LabelMap(np.ones((1, 1, 1), np.uint8), sheared)
    assert penalty_mm(one) == pytest.approx(np.sqrt(5 + 1))


def test_an_empty_truth_and_two_grids_are_refused() -> None:
    truth, prediction = heart()
    nothing = LabelMap(np.zeros_like(truth.labels), truth.affine)
    with pytest.raises(InputError, match="nothing to score"):
        score_label_maps("a", nothing, prediction, STRUCTURES, STRUCTURES)
    with pytest.raises(InputError, match="a: truth and prediction must have the same grid"):
        score_label_maps("a", truth, LabelMap(prediction.labels, OBLIQUE), STRUCTURES, STRUCTURES)


def test_the_tolerance_decides_the_nsd() -> None:
    truth, prediction = heart()
    shares = [
        score_label_maps("a", truth, prediction, STRUCTURES, STRUCTURES, tolerance)[0].values["nsd"]
        for tolerance in (1.9, 2.1)
    ]
    assert shares[0] < shares[1] == 1


def test_grids_that_lie_anywhere_score_the_same() -> None:
    """The same labels on a turned and shifted grid of the same spacing."""
    truth, prediction = heart()
    turned = OBLIQUE.copy()
    turned[:3, :3] *= SPACING_MM / np.linalg.norm(OBLIQUE[:3, :3], axis=0)
    here, there = (
        score_label_maps(
            "a",
            LabelMap(truth.labels, affine),
            LabelMap(prediction.labels, affine),
            STRUCTURES,
            STRUCTURES,
        )
        for affine in (truth.affine, turned)
    )
    for a, b in zip(here, there, strict=True):
        assert a.values == pytest.approx(b.values)


# Meshes


def _box(corner) -> tuple[np.ndarray, np.ndarray]:
    """A cube of 10 mm, finely meshed."""
    mesh = trimesh.creation.box((10, 10, 10))
    for _ in range(3):
        mesh = mesh.subdivide()
    return (mesh.vertices + corner).astype(np.float32), np.asarray(mesh.faces, np.int64)


def test_meshes_follow_the_same_rules() -> None:
    names = ("LV", "LA", "RV", "RA", "PA")
    rows = [Score("a", name, "found", {"dice": 0.5}) for name in names[:4]]
    rows.append(Score("a", "PA", "not annotated", {"dice": None}))
    here, moved = Surface(*_box((0, 0, 0))), Surface(*_box((0, 0, 2)))
    prediction = {"LV": moved, "RV": here, "PA": here}
    found = with_mesh_scores(rows, {"LV": here, "LA": here}, prediction, 77.0, 1.0)
    lv, la, rv, ra, pa = (row.values for row in found)
    assert all(
        row.values["dice"] == before.values["dice"] for row, before in zip(found, rows, strict=True)
    )
    # Two ends of six lie 2 mm apart, and four sides slide along each other but for 2 mm of 10.
    assert lv["mesh_hd95_mm"] == pytest.approx(2)
    assert lv["mesh_nsd"] == pytest.approx(4 / 6 + 2 / 60, abs=0.06)
    assert lv["mesh_volume_error_ml"] == pytest.approx(0, abs=1e-6)
    missed = {"mesh_nsd": 0, "mesh_assd_mm": 77, "mesh_hd95_mm": 77}
    assert la == pytest.approx({"dice": 0.5, **missed, "mesh_volume_error_ml": -1.0})
    assert rv == pytest.approx({"dice": 0.5, **missed, "mesh_volume_error_ml": 1.0})
    assert {value for name, value in ra.items() if name != "dice"} == {None}
    assert set(pa.values()) == {None}


# Topology

masks = arrays(np.bool_, st.tuples(*[st.integers(1, 6)] * 3)).filter(np.any)


@given(masks)
def test_pieces_are_those_of_a_second_implementation(mask: np.ndarray) -> None:
    assert piece_count(mask) == ndimage.label(mask, np.ones((3, 3, 3)))[1]


@example(np.array([[[True, False, True, False, True]]]))
@given(masks)
def test_a_centreline_reaches_every_piece_and_leaves_none(mask: np.ndarray) -> None:
    line = centreline(mask)
    assert not (line & ~mask).any()
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert set(pieces[line]) == set(range(1, count + 1))
    assert centreline_dice(mask, mask) == 1


def test_a_piece_of_even_section_keeps_a_centreline() -> None:
    tube = np.zeros((8, 8, 30), bool)
    tube[2:6, 2:6, 3:27] = True
    assert centreline(tube).any()
    assert centreline_dice(tube, tube) == 1


def _tube(radius: float, start: float, end: float, offset: float = 0.0) -> np.ndarray:
    x, y, z = np.indices((24, 24, 60)) - np.array([11.2 + offset, 11.1, 0])[:, None, None, None]
    return (np.hypot(x, y) < radius) & (z >= start) & (z < end)


def test_half_a_vessel_by_hand() -> None:
    """Of the truth's centreline half lies in the prediction, of the prediction's all: 2/3."""
    whole, half = _tube(4, 0, 60), _tube(4, 0, 30)
    assert centreline_dice(whole, half) == pytest.approx(2 / 3, abs=0.05)
    assert centreline_dice(half, whole) == pytest.approx(2 / 3, abs=0.05)


def test_a_thinner_vessel_has_the_same_course() -> None:
    """Dice falls with the calibre, clDice does not."""
    assert centreline_dice(_tube(6, 2, 58), _tube(3, 2, 58)) > 0.97
    assert centreline_dice(_tube(3, 2, 58), _tube(3, 2, 58, offset=8)) == 0


def test_a_vessel_without_voxels_has_no_centreline() -> None:
    with pytest.raises(InputError, match="clDice"):
        centreline_dice(_tube(3, 2, 58), np.zeros((24, 24, 60), bool))
