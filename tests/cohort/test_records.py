"""Results that a record holds are of their types, or are made again."""

import json
from pathlib import Path
from typing import Any

import pytest

from vecsetx.cohort.checking import Checking
from vecsetx.cohort.scoring import FoundScores, Scoring
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.evaluation.inputs import EvaluateOptions
from vecsetx.evaluation.scores import Score
from vecsetx.sampling.quality.measures import HeartQuality, StructureQuality


def _scoring() -> Scoring:
    return Scoring(WorkingModel(Path("/none"), "cpu", "0"), EvaluateOptions(), None)


def _scores() -> dict[str, Any]:
    row = Score("a", "LV", "found", {"dice": 0.1 + 0.2, "truth_pieces": 2, "nsd": None}, False)
    found = FoundScores([row], 9.5, True, "mine", {}, ("said",), None, "")
    record: dict[str, Any] = json.loads(json.dumps(_scoring().to_record(found)))
    again = _scoring().of_record(record)
    assert again == found
    assert isinstance(again.rows[0].values["truth_pieces"], int)
    return record


@pytest.mark.parametrize(
    "edited",
    [
        {"rows": 7},
        {"rows": [{"heart": "a"}]},
        {"rows": [{"heart": "a", "structure": "LV", "state": "odd", "values": {}}]},
        {"rows": [{"heart": "a", "structure": "LV", "state": "found", "values": {"dice": "x"}}]},
        {"rows": [{"heart": ["a"], "structure": "LV", "state": "found", "values": {}}]},
        {"remarks": [1]},
        {"remarks": "said"},
        {"refined": 5},
        {"refined": {"steps": "x"}},
    ],
    ids=str,
)
def test_scores_of_other_types_are_none(edited: dict[str, Any]) -> None:
    record = _scores()
    with pytest.raises((KeyError, TypeError, ValueError)):
        _scoring().of_record(record | edited)


@pytest.mark.parametrize(
    "edited",
    [
        {"problems": "bad"},
        {"remarks": [1]},
        {"structures": {"LV": {"state": "odd"}}},
        {"structures": {"LV": {"state": "cut", "volume_ml": "x"}}},
        {"agreement": [1]},
    ],
    ids=str,
)
def test_checks_of_other_types_are_none(edited: dict[str, Any]) -> None:
    structure = StructureQuality("cut", 0.1 + 0.2, pieces=2, points={"surface": 5})
    quality = HeartQuality("a", doubts=("odd",), structures={"LV": structure})
    record = json.loads(json.dumps(Checking().to_record(quality)))
    assert Checking().of_record(record) == quality
    with pytest.raises((KeyError, TypeError, ValueError)):
        Checking().of_record(record | edited)
