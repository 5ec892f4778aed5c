"""The table of a reconstruction, and the list of its files."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from vecsetx.terminal import reconstruction_table
from vecsetx.terminal.reconstruction_table import print_files, print_reconstruction


@pytest.fixture(params=[80, 100, 160])
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed on a terminal of that width."""
    stream = io.StringIO()
    console = Console(file=stream, width=request.param, highlight=False)
    monkeypatch.setattr(reconstruction_table, "console", console)
    return stream


def structure(ml: float, agreement: tuple[float, float, float] | None, **more) -> dict:
    found = None
    if agreement:
        input_ml, change, dice = agreement
        found = {
            "input_ml": input_ml,
            "volume_difference": change,
            "volume_differs": abs(change) > 0.1,
            "dice": dice,
        }
    usual = {"pieces": 1, "specks": None, "observed": True, "observed_share": 1.0, "doubtful": None}
    return {"volume_ml": ml, "agreement": found, **usual, **more}


SECONDS = {"encode": 3.12, "mesh": 12.04, "label": 4.5, "write": 1.0}

NOT_REFINED = {"refined": None}


def rows(stream: io.StringIO) -> dict[str, list[str]]:
    """The first word of each line → the others."""
    return {
        words[0]: words[1:] for line in stream.getvalue().splitlines() if (words := line.split())
    }


def test_all_figures_of_a_heart_are_whole(shown: io.StringIO) -> None:
    structures = {
        "Myocardium": structure(1234.5, (1234.1, -0.004, 0.951)),
        "PA": structure(6.94, (10.1, -0.312, 0.806), observed_share=0.62),
        "LAA": structure(8.0, None, observed=False, observed_share=0.0, pieces=12),
        "LV": structure(99.9, (99.9, 0.0, 0.99), specks={"number": 11, "ml": 0.25}),
    }
    print_reconstruction(
        "case[1]", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    found = rows(shown)
    assert "case[1] 20.7 s (encode 3.1, mesh 12.0, label 4.5, write 1.0)" in shown.getvalue()
    assert found["Structure"] == [
        *("ml", "Input", "ml", "Change", "Dice", "Pieces", "Specks", "Source")
    ]
    assert found["Myocardium"] == ["1234.5", "1234.1", "+0%", "0.951", "1", "observed"]
    assert found["PA"] == ["6.9", "10.1", "-31%", "!", "0.806", "1", "62%", "observed"]
    assert found["LAA"] == ["8.0", "12", "inferred"]
    assert found["LV"] == ["99.9", "99.9", "+0%", "0.990", "1", "11", "observed"]
    assert "! over 10% off the input's volume: PA" in shown.getvalue()
    assert "Specks: 0.25 ml were removed (--keep-specks keeps them)." in shown.getvalue()
    assert "…" not in shown.getvalue()


def test_what_cannot_be_compared_has_no_columns_for_it(shown: io.StringIO) -> None:
    structures = {"LV": structure(99.9, None), "PV": structure(0.0, None, observed=False, pieces=0)}
    print_reconstruction(
        "points", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    found = rows(shown)
    assert found["Structure"] == ["ml", "Pieces", "Source"]
    assert found["LV"] == ["99.9", "1", "observed"]
    assert found["PV"] == ["0.0", "0", "inferred"]
    assert "Specks" not in shown.getvalue()
    assert "Refined" not in shown.getvalue()


def test_what_refinement_gained_is_below_the_table(shown: io.StringIO) -> None:
    refined = {
        **{"loss_before": 0.05, "loss_after": 0.043, "steps": 10},
        **{"error_mm_before": 0.617, "error_mm_after": 0.412},
    }
    summary = {"structures": {"LV": structure(99.9, None)}, "seconds": SECONDS}
    print_reconstruction("a", {**summary, "provenance": {"refined": refined}})
    assert (
        "Refined in 10 steps: loss at points held out -14%, mean distance to the input's surfaces "
        "0.62 → 0.41 mm." in " ".join(shown.getvalue().split())
    )
    assert "against the input" not in shown.getvalue()


def test_what_is_doubtful_is_marked_and_said(shown: io.StringIO) -> None:
    why = ["0.2 ml, and training hearts have 6.1 to 14.8 ml", "its surface"]
    inferred = {"observed": False, "observed_share": 0.0}
    structures = {
        "LV": structure(99.9, None),
        "LA": structure(60.0, None, **inferred, doubtful=[]),
        "PA": structure(0.2, None, **inferred, doubtful=why),
        "RA": structure(50.0, None, observed_share=0.3, doubtful=["odd"]),
    }
    print_reconstruction(
        "case", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    found = shown.getvalue()
    lines: dict[str, list[str]] = {}
    for words in filter(None, map(str.split, found.splitlines())):
        lines.setdefault(words[0], words[1:])  # the row comes first
    assert lines["LA"] == ["60.0", "1", "inferred"]
    assert lines["PA"] == ["0.2", "1", "inferred,", "doubtful"]
    assert lines["RA"] == ["50.0", "1", "30%", "observed,", "doubtful"]
    assert f"PA is doubtful: {'; '.join(why)}" in " ".join(found.split())
    assert found.count(" is doubtful: ") == 2


def test_every_file_is_listed_with_what_opens_it(shown: io.StringIO) -> None:
    one = {"LV.vtp": "mesh: opens in ParaView", "RV.vtp": "mesh: opens in ParaView"}
    other = {"LV.vtp": "mesh: opens in ParaView", "labels.nii.gz": "label map: opens in ITK-SNAP"}
    print_files({Path("out/[a]"): one, Path("out/b"): other})
    text = " ".join(shown.getvalue().split())
    assert text.startswith("written to out/[a] and 1 more beside it:")
    for words in (
        "LV.vtp, RV.vtp mesh: opens in ParaView",
        "labels.nii.gz label map",
        "summary.json",
    ):
        assert words in text


def test_an_observed_structure_that_is_lost_is_named(shown: io.StringIO) -> None:
    structures = {
        "LV": structure(99.9, (99.9, 0.0, 0.99)),
        "PA": structure(0.4, (36.7, -0.99, 0.055)),
    }
    print_reconstruction(
        "case", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    assert "lost, though the input shows it (Dice below 0.3): PA" in shown.getvalue()
