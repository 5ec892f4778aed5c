"""Overlap on the grid, what scores come to, their intervals, and the files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vecsetx.anatomy.structures import structure, structure_names
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap, mean_over_structures
from vecsetx.evaluation.heart_scores import TOLERANCE_MM
from vecsetx.evaluation.overlap import Overlap, overlaps
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.evaluation.scores import Score, score_heart, summarize, write_scores
from vecsetx.report.page import Report, write_report
from vecsetx.schemas import SCORES


def line(*labels: int) -> np.ndarray:
    return np.array(labels, dtype=np.uint8).reshape(-1, 1, 1)


def test_by_hand() -> None:
    truth = line(1, 1, 1, 0, 2, 2, 0, 0)
    prediction = line(1, 1, 0, 1, 2, 1, 0, 0)
    # 1: 3 and 4 voxels, 2 in both. 2: 2 and 1 voxels, 1 in both.
    one, two = overlaps(truth, prediction, 2)
    assert (one, two) == (Overlap(3, 4, 2), Overlap(2, 1, 1))
    assert (one.dice, one.iou, two.dice, two.iou) == (4 / 7, 2 / 5, 2 / 3, 1 / 2)


def test_the_background_scores_nothing() -> None:
    truth, prediction = np.zeros((2, 9, 9, 9), dtype=np.uint8)
    truth[0, 0, 0] = prediction[8, 8, 8] = 1
    (overlap,) = overlaps(truth, prediction, 1)
    assert (overlap.dice, overlap.iou, overlap.state) == (0, 0, "found")


def test_absent_missed_and_invented() -> None:
    truth, prediction = line(1, 1, 2, 0), line(1, 1, 0, 3)
    found = [(o.state, o.dice, o.iou) for o in overlaps(truth, prediction, 4)]
    assert found == [
        ("found", 1.0, 1.0),
        ("missed", 0.0, 0.0),
        ("invented", 0.0, 0.0),
        ("absent", None, None),
    ]


@given(labels=arrays(np.uint8, (2, 4, 3, 5), elements=st.integers(0, 3)))
def test_like_the_definition(labels: np.ndarray) -> None:
    truth, prediction = labels
    for label, overlap in enumerate(overlaps(truth, prediction, 3), start=1):
        t, p = truth == label, prediction == label
        if not (t | p).any():
            assert overlap.dice is overlap.iou is None
            continue
        assert overlap.iou == pytest.approx((t & p).sum() / (t | p).sum())
        assert overlap.dice == pytest.approx(2 * overlap.iou / (1 + overlap.iou))


def test_other_integer_types_score_the_same() -> None:
    truth, prediction = line(1, 2, 0), line(1, 0, 2)
    assert overlaps(truth.astype(np.int64), prediction.astype(np.uint16), 2) == overlaps(
        truth, prediction, 2
    )


def test_other_grids_and_labels_are_refused() -> None:
    with pytest.raises(InputError, match="same grid"):
        overlaps(line(1, 0), line(1, 0, 0), 1)
    with pytest.raises(InputError, match="truth: labels run from 205 to 205"):
        overlaps(line(205, 0), line(1, 0), 1)
    with pytest.raises(InputError, match="prediction: labels run from -1 to 1"):
        overlaps(line(1, 0), np.array([[[1]], [[-1]]]), 1)


def score(heart: str, structure: str, dice: float | None, iou: float | None) -> Score:
    state = "absent" if dice is None else "found" if dice else "missed"
    return Score(heart, structure, state, {"dice": dice, "iou": iou})


ROWS = [
    score("a", "LV", 0.9, 0.8),
    score("a", "PV", 0.0, 0.0),
    score("a", "LAA", None, None),
    score("b", "LV", 0.7, 0.6),
    score("b", "PV", None, None),
    score("b", "LAA", None, None),
]


def test_summary_by_hand() -> None:
    result = summarize(ROWS)
    assert set(result) == {"summary", "hearts"}
    assert set(result["summary"]) == {"mean", "range", "n", "structures", "states"}
    lv = result["summary"]["structures"]["LV"]["dice"]
    assert lv.pop("range") == [0.7, 0.9]
    assert lv == pytest.approx({"mean": 0.8, "std": 0.1, "median": 0.8, "n": 2})
    pv = result["summary"]["structures"]["PV"]
    assert (
        pv["dice"]
        == pv["iou"]
        == {**dict.fromkeys(("mean", "std", "median"), 0), "n": 1, "range": [0, 0]}
    )
    nothing = {"mean": None, "std": None, "median": None, "n": 0, "range": None}
    assert result["summary"]["structures"]["LAA"] == {"dice": nothing, "iou": nothing}
    # The mean of 0.8 and 0 over the two structures scored, not of the rows (0.533).
    assert result["summary"]["mean"] == pytest.approx({"dice": 0.4, "iou": 0.35})
    none = {"found": 0, "missed": 0, "invented": 0, "absent": 0, "not annotated": 0}
    assert result["summary"]["states"] == {
        "LV": none | {"found": 2},
        "PV": none | {"missed": 1, "absent": 1},
        "LAA": none | {"absent": 2},
    }
    assert result["hearts"]["a"] == {
        "LV": {"state": "found", "observed": True, "dice": 0.9, "iou": 0.8},
        "PV": {"state": "missed", "observed": True, "dice": 0.0, "iou": 0.0},
        "LAA": {"state": "absent", "observed": True, "dice": None, "iou": None},
    }


def test_measures_that_a_structure_lacks_are_left_out_of_its_summary_only() -> None:
    vessel = Score("a", "PV", "found", {"dice": 0.5, "iou": 0.4, "cldice": 0.7})
    summary = summarize([ROWS[0], vessel])["summary"]
    assert "cldice" not in summary["structures"]["LV"]
    assert summary["structures"]["PV"]["cldice"]["mean"] == summary["mean"]["cldice"] == 0.7


def test_nothing_scored_has_no_mean() -> None:
    rows = [score("a", "LV", None, None)]
    assert summarize(rows)["summary"]["mean"] == {"dice": None, "iou": None}
    assert summarize([])["summary"]["mean"] == {"dice": None, "iou": None}
    with_intervals = summarize(rows, Bootstrap())["summary"]
    assert with_intervals["interval"] == {"dice": None, "iou": None}
    assert with_intervals["structures"]["LV"]["dice"]["interval"] is None


def test_two_hearts_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="a: LV is scored twice"):
        summarize([ROWS[0], ROWS[0]])


def test_rows_of_a_heart() -> None:
    rows = score_heart("a", line(1, 1, 0, 0), line(1, 0, 2, 0), ("LV", "PV", "LA"))
    assert rows == [
        Score("a", "LV", "found", {"dice": 2 / 3, "iou": 1 / 2}),
        Score("a", "PV", "invented", {"dice": 0.0, "iou": 0.0}),
        Score("a", "LA", "absent", {"dice": None, "iou": None}),
    ]
    assert [row.dice for row in rows] == [2 / 3, 0.0, None]


def test_files(tmp_path: Path) -> None:
    vessel = Score("b", "Aorta", "found", {"dice": 0.5, "iou": 0.4, "cldice": 0.7})
    rows = [*ROWS, vessel]
    scores = {**summarize(rows, Bootstrap()), "scoring": {}, "provenance": {"model": "run"}}
    write_scores(tmp_path / "out", rows, scores)
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert len(found.pop("sha256")) == 64
    assert found == {"schema": SCORES, **scores}
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["heart", "structure", "state", "observed", "dice", "iou", "cldice"]
    assert table[1] == ["a", "LV", "found", "true", "0.9", "0.8", ""]
    assert table[3] == ["a", "LAA", "absent", "true", "", "", ""]
    assert table[7] == ["b", "Aorta", "found", "true", "0.5", "0.4", "0.7"]
    assert len(table) == 1 + len(rows)


def test_the_page_in_the_docs_names_every_measure_and_vessel() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text()
    assert not [name for name in MEASURES if f"`{name}`" not in page]
    vessels = [name for name in structure_names() if structure(name).vessel]
    assert f"Vessels are {', '.join(vessels[:-1])} and {vessels[-1]}." in page


def test_the_page_in_the_docs_tells_the_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text()
    assert f"`--tolerance` is in mm; the default is {TOLERANCE_MM:g} mm." in page
    bootstrap = Bootstrap()
    told = f"Intervals are {bootstrap.level:.0%} percentile bootstrap intervals of the mean"
    assert told in page
    assert f"with {bootstrap.resamples} seeded resamples." in page


def test_the_page_of_scores_shows_their_tolerance(tmp_path: Path) -> None:
    scores = summarize(ROWS)
    pages = []
    for told in (scores, scores | {"scoring": {"tolerance_mm": 1.25}}):
        write_report(tmp_path / "report.html", Report("", told, (), (), {"model": "run"}))
        pages.append((tmp_path / "report.html").read_text())
    row = '<tr><th scope="row">tolerance of NSD</th><td>1.25 mm</td></tr>'
    assert (row in pages[0], row in pages[1]) == (False, True)


# Intervals

some_hearts = arrays(
    np.float64,
    st.tuples(st.integers(10, 14), st.integers(1, 3)),
    elements=st.floats(-5, 5, width=16),
)


@given(some_hearts)
def test_an_interval_lies_within_the_hearts_values(values: np.ndarray) -> None:
    low, high = Bootstrap(200).interval(values)
    means = values.mean(axis=1)
    assert means.min() - 1e-9 <= low <= high <= means.max() + 1e-9
    assert Bootstrap(200).interval(values) == [low, high]


def test_an_interval_is_about_what_the_normal_distribution_says() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)[:, None]
    low, high = Bootstrap(5000).interval(values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.03 * half)
    assert Bootstrap(seed=1).interval(values) != Bootstrap(seed=2).interval(values)


def test_hearts_are_drawn_whole() -> None:
    """Structures that make up for each other within every heart leave the mean no doubt."""
    a = np.random.default_rng(0).normal(size=20)
    assert Bootstrap().interval(np.stack([a, -a], axis=1)) == pytest.approx([0, 0], abs=1e-12)


def test_every_structure_weighs_the_same() -> None:
    nan = np.nan
    values = np.array([[1.0, 0.0, nan], *([[1.0, nan, nan]] * 9)])
    assert mean_over_structures(values) == 0.5
    low, high = Bootstrap().interval(values)
    # The second structure is 0 wherever it is drawn, and where it is not, the first stands alone.
    assert (low, high) == (0.5, 1.0)


def test_fewer_than_ten_hearts_have_no_interval_and_equal_ones_a_point() -> None:
    values = np.linspace(0, 1, 10)[:, None]
    assert Bootstrap(50).interval(values) is not None
    values[3] = np.nan  # a heart without a value does not count
    assert Bootstrap(50).interval(values) is None
    assert Bootstrap().interval(np.array([[0.5]] * 10 + [[np.nan]])) == [0.5, 0.5]


def test_the_range_is_that_of_hearts_each_a_mean_over_its_structures() -> None:
    rows = [score("a", "LV", 0.9, 0.8), score("a", "PV", 0.5, 0.4), score("b", "LV", 0.6, 0.5)]
    summary = summarize([*rows, score("c", "LV", None, None)])["summary"]
    assert summary["range"]["dice"] == pytest.approx([0.6, 0.7])
    assert summary["range"]["iou"] == pytest.approx([0.5, 0.6])
    assert summary["n"] == {"dice": 2, "iou": 2}
    assert summary["structures"]["LV"]["dice"]["range"] == [0.6, 0.9]
    assert summary["structures"]["PV"]["dice"]["range"] == [0.5, 0.5]
