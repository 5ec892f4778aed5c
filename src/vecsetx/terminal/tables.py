"""Scores, calibration and uncertainty on the terminal."""

from collections.abc import Mapping
from typing import Any

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.evaluation.refinement_gain import not_refined, refinement_gain, refinement_of
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, number, print_table

__all__ = ["print_calibration", "print_evaluation", "print_scores", "print_uncertainty"]

_STRUCTURE = Column("Structure", is_text=True)

_LEAVES = {"nsd": 2, "assd_mm": 2, "hd95_mm": 4, "cldice": 3}
"""Measures beside Dice, and the order in which they leave a narrow terminal."""

_MEANINGS = {
    "nsd": "share of the surfaces within the tolerance",
    "assd_mm": "mean distance of the surfaces",
    "hd95_mm": "their 95th percentile distance",
    "cldice": "Dice of the centrelines of vessels",
}


def print_evaluation(scores: Mapping[str, Any]) -> None:
    """Print the scores, observed and inferred structures apart if any were hidden.

    Args:
        scores: As in ``scores.json``.
    """
    if "inferred" in scores:
        for part, which in (("observed", "shown to the model"), ("inferred", "hidden from it")):
            _print_summary(scores[part], f"{part.capitalize()}: structures {which}")
    else:
        print_scores(scores)
    _print_refinement(scores)
    if "calibration" in scores:
        print_uncertainty(scores["calibration"])


def _print_refinement(scores: Mapping[str, Any]) -> None:
    """Print what refinement gained, and which hearts are not refined by default."""
    refined, hearts, lacks = scores["refinement"], scores["hearts"], scores["lacks"]
    if refined:
        console.print(refinement_gain(refined.values()))
    if scores["options"]["refine"] is not None:
        return
    left = len(hearts) - len(refined)
    if left == len(hearts) == 1:
        (words,) = lacks.values()
        alone = {"refined": None, "refine": None, "lacks": words}
        console.print(refinement_of(alone | {"hidden": scores["options"]["hide"]}))
    elif left:
        console.print(not_refined(f"{left} of {counted(len(hearts), 'heart')}", lacks))
    elif scores["options"]["hide_each"]:
        console.print(not_refined("the hearts that lack a structure in turn", {}))


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print a row per structure: Dice, its range and interval, other measures, misses.

    Args:
        scores: As in ``scores.json``.
    """
    _print_summary(scores["summary"], "Scores on the voxel grid of the label maps")


def _print_summary(summary: Mapping[str, Any], title: str) -> None:
    interval = summary.get("interval", {})
    several = summary["n"]["dice"] > 1  # one heart has no range
    columns = [
        _STRUCTURE,
        Column("Dice", "mean over the hearts; in the row mean, of the structures above"),
        # Without an interval, the range alone says how far the hearts differ.
        Column(
            "Range",
            "of the hearts' Dice; in the row mean, of each heart's mean over its structures",
            leaves=5 if interval.get("dice") else 1,
        ),
        Column("Interval", "95% interval of the mean Dice", leaves=6),
        *(
            Column(MEASURES[name].title, _MEANINGS[name], leaves=order)
            for name, order in _LEAVES.items()
        ),
        Column("Hearts", "that have the structure"),
        Column("Missed", "hearts in which the model left it out"),
    ]
    rows = []
    for name, found in summary["structures"].items():
        dice, missed = found["dice"], summary["states"][name].get("missed", 0)
        rows.append(
            [
                name,
                _score(dice["mean"]),
                _ends(dice["range"]) if several else "",
                _ends(dice.get("interval")),
                *(_score(found[m]["mean"]) if m in found else "" for m in _LEAVES),
                str(dice["n"]),
                str(missed or ""),
            ]
        )
    mean = summary["mean"]
    total = [
        "mean",
        _score(mean["dice"]),
        _ends(summary["range"]["dice"]) if several else "",
        _ends(interval.get("dice")),
        *(_score(mean[m]) if m in mean else "" for m in _LEAVES),
        str(summary["n"]["dice"]),
        "",
    ]
    print_table(title, columns, rows, [total], also_in="report.html")


def _score(value: float | None) -> str:
    return number(value, ".3f")


def _ends(ends: list[float] | None) -> str:
    return f"{ends[0]:.3f} – {ends[1]:.3f}" if ends else ""


def _percent(share: float | None) -> str:
    return number(share, ".1%")


def print_calibration(found: Mapping[str, Any]) -> None:
    """Print a row per structure and one for all, from the hearts that test the factors.

    Args:
        found: As in ``calibration.json``.
    """
    columns = [
        _STRUCTURE,
        Column("Factor", "on the standard deviation (s.d.); in brackets: that of all structures"),
        Column("Within 2 s.d.", f"share of vertices, expected {_percent(EXPECTED[1])}"),
        Column("Uncalibrated", "the same with a factor of 1", leaves=2),
        Column("Mean s.d. (mm)", leaves=4),
        Column("RMS error (mm)", leaves=3),
        Column("Hearts", leaves=1),
        Column("Missed", "hearts without anything reconstructed", leaves=5),
    ]
    rows = [
        [
            name,
            f"{one['factor']:.2f}" if one["own_factor"] else f"({one['factor']:.2f})",
            *(_percent(one[key] and one[key][1]) for key in ("within", "within_before")),
            *(number(one[key], ".2f") for key in ("mean_sd_mm", "rms_error_mm")),
            str(one["hearts"]),
            str(one["missed"] or ""),
        ]
        for name, one in found["structures"].items()
    ]
    totals = [_total("all", "", found["after"], found["before"])]
    if beyond := found["beyond"]:
        factor = f"{found['cut_factor']:.2f}"
        totals.append(_total("beyond a cut", factor, beyond["after"], beyond["before"]))
    title = "Calibration of inferred surfaces, on the test hearts"
    print_table(title, columns, rows, totals, also_in="calibration.html")
    _print_shares(found)


def _total(
    name: str, factor: str, after: Mapping[str, Any], before: Mapping[str, Any]
) -> list[str]:
    return [
        name,
        factor,
        *(_percent(one["within"][1]) for one in (after, before)),
        *(number(after[key], ".2f") for key in ("mean_sd_mm", "rms_error_mm")),
        *("", ""),
    ]


def _print_shares(found: Mapping[str, Any]) -> None:
    after, before = found["after"], found["before"]
    shares = "; ".join(
        f"{multiple} s.d. {_percent(before['within'][row])} → {_percent(after['within'][row])} "
        f"(expected {_percent(EXPECTED[row])})"
        for row, multiple in enumerate(MULTIPLES)
    )
    console.print(
        f"factors from {counted(len(found['hearts_fitted']), 'heart')}; structures found in too "
        f"few of them have the factor over all structures, {found['factor']:.3f}, in brackets. "
        f"Within, on {counted(len(found['hearts_tested']), 'test heart')}: {shares}"
    )
    if found["few"]:
        console.print("[yellow]few hearts: the factors are unreliable; calibrate on more[/]")


def print_uncertainty(found: Mapping[str, Any]) -> None:
    """Print one line: how often inferred surfaces lie within their standard deviations.

    Args:
        found: ``calibration`` as in ``scores.json``.
    """
    kind = _calibrated_text(found["factors"])
    if found["all"] is None:
        console.print("uncertainty: none of the hidden structures was reconstructed")
        return
    shares = "; ".join(
        f"{multiple} s.d. {_percent(share)} (expected {_percent(expected)})"
        for multiple, share, expected in zip(
            MULTIPLES, found["all"]["within"], EXPECTED, strict=True
        )
    )
    console.print(f"uncertainty ({kind}): inferred surfaces within {shares}")


def _calibrated_text(factors: Mapping[str, Any] | str) -> str:
    if isinstance(factors, str):
        return factors
    return "calibrated on few hearts, unreliable" if factors["few"] else "calibrated"
