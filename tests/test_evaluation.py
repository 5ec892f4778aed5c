"""Dice and IoU by hand, the rules for what is absent, and the files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vecsetx.errors import InputError
from vecsetx.evaluation.overlap import Overlap, overlaps
from vecsetx.evaluation.scores import Score, score_heart, summarize, write_scores


def line(*labels: int) -> np.ndarray:
    return np.array(labels, dtype=np.uint8).reshape(-1, 1, 1)


def test_by_hand() -> None:
    truth = line(1, 1, 1, 0, 2, 2, 0, 0)
    prediction = line(1, 1, 0, 1, 2, 1, 0, 0)
    # 1: 3 and 4 voxels, 2 in both. 2: 2 and 1 voxels, 1 in both.
    assert overlaps(truth, prediction, 2) == [Overlap(4 / 7, 2 / 5), Overlap(2 / 3, 1 / 2)]


def test_the_background_scores_nothing() -> None:
    truth, prediction = np.zeros((2, 9, 9, 9), dtype=np.uint8)
    truth[0, 0, 0] = prediction[8, 8, 8] = 1
    assert overlaps(truth, prediction, 1) == [Overlap(0.0, 0.0)]


def test_absent_missed_and_invented() -> None:
    truth, prediction = line(1, 1, 2, 0), line(1, 1, 0, 3)
    perfect, missed, invented, absent = overlaps(truth, prediction, 4)
    assert perfect == Overlap(1.0, 1.0)
    assert missed == Overlap(0.0, 0.0)
    assert invented == Overlap(0.0, 0.0)
    assert absent == Overlap(None, None)


@given(
    labels=arrays(np.uint8, (2, 4, 3, 5), elements=st.integers(0, 3)),
)
def test_like_the_definition(labels: np.ndarray) -> None:
    truth, prediction = labels
    for label, overlap in enumerate(overlaps(truth, prediction, 3), start=1):
        t, p = truth == label, prediction == label
        if not (t | p).any():
            assert overlap == Overlap(None, None)
            continue
        assert overlap.iou == pytest.approx((t & p).sum() / (t | p).sum())
        assert overlap.dice == pytest.approx(2 * overlap.iou / (1 + overlap.iou))


def test_other_integer_types_score_the_same() -> None:
    truth, prediction = line(1, 2, 0), line(1, 0, 2)
    assert overlaps(truth.astype(np.int64), prediction.astype(np.uint16), 2) == overlaps(
        truth, prediction, 2
    )


def test_other_grids_and_labels_are_refused() -> None:
    with pytest.raises(InputError, match="one grid"):
        overlaps(line(1, 0), line(1, 0, 0), 1)
    with pytest.raises(InputError, match="truth: labels run from 205 to 205"):
        overlaps(line(205, 0), line(1, 0), 1)
    with pytest.raises(InputError, match="prediction: labels run from -1 to 1"):
        overlaps(line(1, 0), np.array([[[1]], [[-1]]]), 1)


ROWS = [
    Score("a", "LV", 0.9, 0.8),
    Score("a", "PV", 0.0, 0.0),
    Score("a", "LAA", None, None),
    Score("b", "LV", 0.7, 0.6),
    Score("b", "PV", None, None),
    Score("b", "LAA", None, None),
]


def test_summary_by_hand() -> None:
    result = summarize(ROWS)
    assert set(result) == {"summary", "hearts"}
    lv = result["summary"]["structures"]["LV"]["dice"]
    assert lv == pytest.approx({"mean": 0.8, "std": 0.1, "median": 0.8, "n": 2})
    pv = result["summary"]["structures"]["PV"]
    assert pv["dice"] == pv["iou"] == {"mean": 0, "std": 0, "median": 0, "n": 1}
    nothing = {"mean": None, "std": None, "median": None, "n": 0}
    assert result["summary"]["structures"]["LAA"] == {"dice": nothing, "iou": nothing}
    # The mean of 0.8 and 0 over the two structures scored, not of the rows (0.533).
    assert result["summary"]["mean"] == pytest.approx({"dice": 0.4, "iou": 0.35})
    assert result["hearts"] == {
        "a": {
            "LV": {"dice": 0.9, "iou": 0.8},
            "PV": {"dice": 0.0, "iou": 0.0},
            "LAA": {"dice": None, "iou": None},
        },
        "b": {
            "LV": {"dice": 0.7, "iou": 0.6},
            "PV": {"dice": None, "iou": None},
            "LAA": {"dice": None, "iou": None},
        },
    }


def test_nothing_scored_has_no_mean() -> None:
    assert summarize([Score("a", "LV", None, None)])["summary"]["mean"] == {
        "dice": None,
        "iou": None,
    }


def test_two_hearts_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="a: LV is scored twice"):
        summarize([ROWS[0], ROWS[0]])


def test_rows_of_a_heart() -> None:
    rows = score_heart("a", line(1, 1, 0, 0), line(1, 0, 2, 0), ("LV", "PV", "LA"))
    assert rows == [
        Score("a", "LV", 2 / 3, 1 / 2),
        Score("a", "PV", 0.0, 0.0),
        Score("a", "LA", None, None),
    ]


def test_files(tmp_path: Path) -> None:
    provenance = {"model": "run", "data": "data", "truth": "network", "grid": "the label map's"}
    write_scores(tmp_path / "out", ROWS, provenance)
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert written == {**summarize(ROWS), "provenance": provenance}
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["heart", "structure", "dice", "iou"]
    assert table[1] == ["a", "LV", "0.9", "0.8"]
    assert table[3] == ["a", "LAA", "", ""]
    assert len(table) == 1 + len(ROWS)
