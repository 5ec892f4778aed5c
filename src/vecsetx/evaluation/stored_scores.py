"""Check a ``scores.json`` that anybody may have changed since ``vecsetx evaluate`` wrote it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from vecsetx.evaluation.score_measures import MEASURES, Measure
from vecsetx.evaluation.scores import PARTS, SCORES_HASH
from vecsetx.plain_data import PlainDataError, hash_of, validated

__all__ = ["check_stored_scores"]

_Hearts = dict[str, dict[str, dict[str, Any]]]
_HEARTS = TypeAdapter(_Hearts).validate_python
_SUMMARY = TypeAdapter(dict[str, dict[str, Any]]).validate_python
_REMARKS = TypeAdapter(dict[str, list[str]]).validate_python
_TABLE = TypeAdapter(dict[str, Any]).validate_python


def check_stored_scores(scores: Mapping[str, Any]) -> None:
    """Check that scores are whole, as they were written, and values that their measures can have.

    Args:
        scores: The content of ``scores.json``. Those of earlier versions have no hash.

    Raises:
        PlainDataError: They are not.
    """
    for name in ("provenance", "scoring", "options"):
        _check(_TABLE, scores.get(name, {}), name)
    _check(_REMARKS, scores.get("remarks", {}), "remarks")
    _check_part({**_check(_TABLE, scores["summary"], "summary"), "hearts": scores["hearts"]}, "")
    for part in PARTS:
        if part in scores:
            _check_part(_check(_TABLE, scores[part], part), f"{part}.")
    if scores.get(SCORES_HASH, (found := hash_of(scores, SCORES_HASH))) != found:
        raise PlainDataError(
            "it was changed after vecsetx evaluate wrote it; evaluate again, or, if that was "
            f"meant, remove its {SCORES_HASH}"
        )


def _check_part(part: Mapping[str, Any], where: str) -> None:
    _check(_TABLE, part.get("mean"), f"{where}summary.mean")
    _check(_SUMMARY, part.get("structures"), f"{where}summary.structures")
    hearts: _Hearts = _check(_HEARTS, part.get("hearts"), f"{where}hearts")
    for heart, structures in hearts.items():
        for structure, found in structures.items():
            place = f"{where}hearts.{heart}.{structure}"
            if not isinstance(found.get("state"), str) or "truth_ml" not in found:
                raise PlainDataError(f"{place}: has no state or no truth_ml")
            for measure in MEASURES.values():
                if not _is_possible(value := found.get(measure.name), measure):
                    raise PlainDataError(f"{place}.{measure.name}: {value!r:.80} is no value of it")


def _is_possible(value: object, measure: Measure) -> bool:
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    most = 1.0 if measure.higher_is_better else math.inf
    return measure.signed or 0 <= value <= most


def _check(validate: Callable[[Any], Any], value: object, name: str) -> Any:
    try:
        return validated(validate, value)
    except PlainDataError as error:
        raise PlainDataError(f"{name}: {error}") from error
