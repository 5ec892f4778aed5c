"""Compare two models on the same hearts: paired differences, intervals and significance."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap, mean_over_structures
from vecsetx.evaluation.score_measures import MEASURES, Measure
from vecsetx.evaluation.scores import PARTS, values_of
from vecsetx.files import write_json, written_whole
from vecsetx.progress import counted_parts

__all__ = ["MIN_PAIRS", "compare", "holm", "left_out", "write_comparison"]

MIN_PAIRS = 6
"""Minimum number of hearts for a p-value: with fewer, Wilcoxon's cannot be below 0.05."""

_MAX_ENUMERATED = 13
"""Maximum number of hearts for an exact p with ties: there are 2¹³ = 8192 ways to sign them."""

_MAX_NAMED = 3
"""Maximum number of hearts or structures that an error names."""


def compare(a: Mapping[str, Any], b: Mapping[str, Any], bootstrap: Bootstrap) -> dict[str, Any]:
    """Compare two models, heart by heart.

    A heart counts for a structure and measure if either model has a value there. If the truth lacks
    the structure and only one model invented it, the other, which rightly left it out, has a
    perfect value. Signed errors are compared by magnitude. Structures that only one of the two has
    are left out.

    Args:
        a: One model's scores, as in ``scores.json``.
        b: The other model's scores.
        bootstrap: Settings of the confidence intervals.

    Returns:
        ``left_out`` holds these, of ``a`` and of ``b``; ``structures.<name>.<measure>`` holds ``a``
        and ``b`` (means), ``difference`` (mean of b − a over the hearts), its ``interval`` (None
        for fewer than :data:`~vecsetx.evaluation.bootstrap.MIN_HEARTS` hearts), ``range`` (lowest
        and highest difference of a heart), ``p`` (Wilcoxon's signed-rank test, 1945, two-sided;
        None for fewer than :data:`MIN_PAIRS` hearts), ``p_holm`` (p corrected by Holm, 1979, over
        the measure's structures with a p) and ``n`` (hearts); ``mean.<measure>`` holds the same for
        the mean over structures with equal weights, where ``range`` and ``p`` are of each heart's
        mean difference. None where no heart counts. If structures were hidden from both models,
        ``observed`` and ``inferred`` hold ``structures`` and ``mean`` of these scores alone.

    Raises:
        InputError: The two were scored on different hearts or truths, with different settings, or
            with different hidden structures; or they have no structure in common.
    """
    in_a, in_b = (list(side["summary"]["structures"]) for side in (a, b))
    common = [name for name in in_a if name in in_b]
    only = {
        side: [name for name in names if name not in common]
        for side, names in (("a", in_a), ("b", in_b))
    }
    a, b = (_of_structures(side, common) for side in (a, b))
    _check_comparable(a, b)
    whole_a, whole_b = ({**side["summary"], "hearts": side["hearts"]} for side in (a, b))
    return {
        "hearts": list(a["hearts"]),
        "left_out": only,
        "scoring": a["scoring"],
        "bootstrap": asdict(bootstrap),
        **_compared(whole_a, whole_b, bootstrap),
        **{part: _compared(a[part], b[part], bootstrap) for part in PARTS if part in a.keys() & b},
    }


def left_out(comparison: Mapping[str, Any]) -> list[str]:
    """Return a line for each of the two that has structures which the other one lacks."""
    return [
        f"left out, as only {side.upper()} has them: {', '.join(names)}"
        for side, names in comparison["left_out"].items()
        if names
    ]


def _of_structures(scores: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return scores of some structures alone."""

    def part(summary: Mapping[str, Any]) -> dict[str, Any]:
        kept = {n: found for n, found in summary["structures"].items() if n in names}
        return {**summary, "structures": kept}

    def hearts(of: Mapping[str, Any]) -> dict[str, Any]:
        return {
            heart: {n: found for n, found in scored.items() if n in names}
            for heart, scored in of.items()
        }

    parts = {
        name: {**part(scores[name]), "hearts": hearts(scores[name]["hearts"])}
        for name in PARTS
        if name in scores
    }
    whole = {"summary": part(scores["summary"]), "hearts": hearts(scores["hearts"])}
    return {**scores, **whole, **parts}


def write_comparison(out: Path, comparison: Mapping[str, Any]) -> None:
    """Write ``compare.json`` and ``comparison.csv``: a row per part, structure and measure.

    Args:
        out: Folder to write to.
        comparison: Content of the JSON: that of :func:`compare`, with ``models``.
    """
    write_json(out / "compare.json", comparison)
    with (
        written_whole(out / "comparison.csv") as unfinished,
        open(unfinished, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            ["part", "structure", "measure", "n", "a", "b", "difference", "lowest", "highest"]
            + ["interval_low", "interval_high", "p", "p_holm"]
        )
        parts = {"all": comparison, **{part: comparison.get(part, {}) for part in PARTS}}
        for part, found in parts.items():
            rows = {**found.get("structures", {}), "mean": found.get("mean", {})}
            for name, measures in rows.items():
                for measure, one in measures.items():
                    if one is not None:
                        table.writerow([part, name, measure, *_cells(one)])


def _cells(one: Mapping[str, Any]) -> list[Any]:
    """Return a difference as the last cells of its row in the table; empty where unknown."""
    numbers = [one[key] for key in ("n", "a", "b", "difference")]
    ends = [*one["range"], *(one["interval"] or (None, None))]
    return [*numbers, *ends, one["p"], one.get("p_holm")]


def _compared(
    a: Mapping[str, Any], b: Mapping[str, Any], bootstrap: Bootstrap
) -> dict[str, dict[str, Any]]:
    """Compare two summaries, each with its hearts: the mean and all structures."""
    hearts = list(a["hearts"])
    names = list(a["structures"])
    in_both = a["mean"].keys() & b["mean"].keys()
    structures: dict[str, dict[str, Any]] = {name: {} for name in names}
    mean: dict[str, Any] = {}
    compared = [one for one in MEASURES.values() if one.perfect is not None and one.name in in_both]
    for measure in counted_parts(compared, "measure"):
        pairs = _pairs(a["hearts"], {heart: b["hearts"][heart] for heart in hearts}, names, measure)
        counting = [column for column in range(len(names)) if _counts(pairs[..., [column]]).any()]
        found = [_difference(pairs[..., [column]], bootstrap) for column in counting]
        for column, one in zip(counting, _corrected(found), strict=True):
            structures[names[column]][measure.name] = one
        mean[measure.name] = _difference(pairs[..., counting], bootstrap) if counting else None
    return {"mean": mean, "structures": structures}


def _check_comparable(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Check that two scores are comparable.

    Raises:
        InputError: Hearts, truths or scoring settings differ or, if structures were hidden from
            both models, the hidden structures; or there is no structure.
    """
    remedy = "score both models with the same inputs and options"
    if not a["summary"]["structures"]:
        raise InputError(f"the two were scored on no common structure; {remedy}")
    of_a, of_b = a["hearts"], b["hearts"]
    if of_a.keys() != of_b.keys():
        only_a, only_b = (_some(x.keys() - y.keys()) for x, y in ((of_a, of_b), (of_b, of_a)))
        raise InputError(
            f"the two scores are of different hearts: only A has {only_a}, only B has {only_b}; "
            f"{remedy}"
        )
    if a["scoring"] != b["scoring"]:
        raise InputError(
            f"the two were scored with different settings, A with {a['scoring']}, B with "
            f"{b['scoring']}; {remedy}"
        )
    differing = [
        f"{name} of {heart} ({_in_ml(true_a)} in A, {_in_ml(true_b)} in B)"
        for heart, of_heart in a["hearts"].items()
        for name, found in of_heart.items()
        if (true_a := _truth(found)) != (true_b := _truth(b["hearts"][heart].get(name)))
    ]
    if differing:
        raise InputError(
            f"the two were scored against different truths: {_some(differing)}; {remedy}"
        )
    if "inferred" in a and "inferred" in b:
        of_a, of_b = _hidden(a), _hidden(b)
        if of_a != of_b:
            raise InputError(
                "different structures were hidden from the two models: only A had to infer "
                f"{_some(of_a - of_b)}, only B {_some(of_b - of_a)}; {remedy}"
            )
    for part in PARTS:
        if part in a and part in b and a[part]["hearts"].keys() != b[part]["hearts"].keys():
            raise InputError(f"{part} structures of the two are of different hearts; {remedy}")


def _corrected(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add ``p_holm``: Holm's correction over the structures that have a p."""
    corrected = iter(holm([one["p"] for one in found if one["p"] is not None]))
    return [{**one, "p_holm": None if one["p"] is None else next(corrected)} for one in found]


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests (Holm, "A simple sequentially rejective …", 1979)."""
    corrected = np.empty(len(p))
    largest = 0.0
    # In ascending order: p times the number of tests left, but no less than the one before.
    for rank, index in enumerate(np.argsort(p)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    values: list[float] = corrected.tolist()
    return values


def _pairs(
    a: Mapping[str, Any], b: Mapping[str, Any], names: Sequence[str], measure: Measure
) -> Float[np.ndarray, "2 hearts structures"]:
    """Return both models' values; NaN where neither has one."""
    pairs = np.stack([values_of(side, names, measure.name) for side in (a, b)])
    pairs = np.abs(pairs) if measure.signed else pairs
    # One model invented the structure, and the other, which did not, has no value.
    rightly_absent = np.isnan(pairs) & ~np.isnan(pairs[::-1])
    pairs[rightly_absent] = measure.perfect
    return pairs


def _counts(pairs: Float[np.ndarray, "2 hearts structures"]) -> np.ndarray:
    """Mark the hearts that have any value."""
    return ~np.isnan(pairs[0]).all(axis=1)


def _difference(
    pairs: Float[np.ndarray, "2 hearts structures"], bootstrap: Bootstrap
) -> dict[str, Any]:
    """Summarize the pairs of one or more structures; at least one heart must have a value."""
    pairs = pairs[:, _counts(pairs)]
    differences = pairs[1] - pairs[0]
    of_hearts = np.nanmean(differences, axis=1)
    return {
        "a": mean_over_structures(pairs[0]),
        "b": mean_over_structures(pairs[1]),
        "difference": mean_over_structures(differences),
        "interval": bootstrap.interval(differences),
        "range": [float(of_hearts.min()), float(of_hearts.max())],
        "p": _signed_rank_p(of_hearts),
        "n": len(differences),
    }


def _signed_rank_p(differences: Float[np.ndarray, " hearts"]) -> float | None:
    if len(differences) < MIN_PAIRS:
        return None
    if not differences.any():
        return 1.0  # the test has nothing to rank
    if len(differences) <= _MAX_ENUMERATED:
        return _exact_signed_rank_p(differences)
    return float(stats.wilcoxon(differences).pvalue)


def _exact_signed_rank_p(differences: Float[np.ndarray, " hearts"]) -> float:
    """Compute Wilcoxon's p from the rank sums of all ways to sign the differences' sizes.

    ``scipy.stats.wilcoxon`` computes the same number, but calls a function for each way if there
    are ties or zeros.
    """
    ranked = differences[differences != 0]
    ranks = stats.rankdata(np.abs(ranked))
    sums = np.zeros(1)  # multiples of 0.5, so that all comparisons are exact
    for rank in ranks:
        sums = np.concatenate([sums, sums + rank])
    observed = ranks[ranked > 0].sum()
    return min(1.0, 2.0 * float(min((sums <= observed).mean(), (sums >= observed).mean())))


def _hidden(scores: Mapping[str, Any]) -> set[str]:
    """Return every inferred structure of every heart, as in ``LA of heart-01``."""
    hearts = scores["inferred"]["hearts"].items()
    return {f"{name} of {heart}" for heart, of_heart in hearts for name in of_heart}


def _truth(found: Mapping[str, Any] | None) -> float | None:
    """Return a structure's true volume, ml; None if it is not annotated."""
    if found is None or found["state"] == "not annotated":
        return None
    return float(found["truth_ml"] or 0)


def _in_ml(true_ml: float | None) -> str:
    return "not annotated" if true_ml is None else f"{true_ml:.3f} ml"


def _some(names: Any) -> str:
    names = sorted(names)
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more if names else "none"
