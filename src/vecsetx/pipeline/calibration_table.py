"""What a calibration found, on the terminal."""

from typing import Any

from rich.table import Table

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.pipeline.progress import console


def print_calibration(found: dict[str, Any]) -> None:
    """A row per structure, and what the factors bring over all of them.

    Args:
        found: As in ``calibration.json``.
    """
    table = Table(title="Inferred surfaces of the hearts that the factors are tried on")
    table.add_column("Structure", no_wrap=True)
    headings = ("factor", "within 2 s.d.", "as drawn", "mean s.d. mm", "RMS error mm")
    for heading in (*headings, "hearts", "missed"):
        table.add_column(heading, justify="right")
    for name, one in found["structures"].items():
        table.add_row(
            name,
            f"{one['factor']:.2f}" if one["own_factor"] else f"({one['factor']:.2f})",
            *(_percent(one[key] and one[key][1]) for key in ("within", "within_before")),
            *(_number(one[key]) for key in ("mean_sd_mm", "rms_error_mm")),
            str(one["hearts"]),
            str(one["missed"] or ""),
        )
    after, before = found["after"], found["before"]
    table.add_section()
    table.add_row(
        "all",
        "",
        *(_percent(one["within"][1]) for one in (after, before)),
        *(_number(after[key]) for key in ("mean_sd_mm", "rms_error_mm")),
        *("", ""),
        style="bold",
    )
    if beyond := found["beyond"]:
        table.add_row(
            "beyond a cut",
            f"{found['cut_factor']:.2f}",
            *(_percent(beyond[when]["within"][1]) for when in ("after", "before")),
            *(_number(beyond["after"][key]) for key in ("mean_sd_mm", "rms_error_mm")),
            *("", ""),
        )
    console.print(table)
    shares = "; ".join(
        f"{multiple} s.d. {_percent(before['within'][row])} → {_percent(after['within'][row])}, "
        f"should be {_percent(EXPECTED[row])}"
        for row, multiple in enumerate(MULTIPLES)
    )
    console.print(
        f"factors from {len(found['hearts_fitted'])} hearts; in brackets that over all structures, "
        f"{found['factor']:.3f}, of those seen too seldom. On {len(found['hearts_tested'])} other "
        f"hearts: {shares}"
    )


def print_sureness(told: dict[str, Any]) -> None:
    """One line: how often surfaces lie within their standard deviations.

    Args:
        told: ``calibration`` as in ``scores.json``.
    """
    kind = "uncalibrated" if told["factors"] == "uncalibrated" else "calibrated"
    if told["all"] is None:
        console.print("how sure: nothing of what was hidden was reconstructed")
        return
    shares = "; ".join(
        f"{multiple} s.d. {_percent(share)}, should be {_percent(expected)}"
        for multiple, share, expected in zip(
            MULTIPLES, told["all"]["within"], EXPECTED, strict=True
        )
    )
    console.print(f"how sure ({kind}): inferred surfaces within {shares}")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
