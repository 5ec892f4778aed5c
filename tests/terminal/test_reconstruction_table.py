"""The table of a reconstruction, and the list of its files."""

import io
from pathlib import Path

import pytest

from vecsetx.terminal import reconstruction_table, table
from vecsetx.terminal.reconstruction_table import print_files, print_reconstruction
from vecsetx.terminal.silence import CommandConsole


@pytest.fixture(params=[80, 100, 160])
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed on a terminal of that width."""
    stream = io.StringIO()
    console = CommandConsole(file=stream, width=request.param, highlight=False)
    for module in (reconstruction_table, table):
        monkeypatch.setattr(module, "console", console)
    return stream


def structure(mesh_ml: float, agreement: tuple[float, ...] | None, **more) -> dict:
    found = None
    if agreement:
        ml, input_ml, dice = agreement
        change = ml / input_ml - 1
        found = {
            "ml": ml,
            "input_ml": input_ml,
            "volume_difference": change,
            "volume_differs": abs(change) > 0.1,
            "dice": dice,
        }
    usual = {"pieces": 1, "specks": None, "observed": True, "observed_share": 1.0, "doubtful": None}
    volumes = {"volume_ml": mesh_ml, "labels_ml": 8.1, "input_width_mm": None, "decimation": None}
    return {**volumes, "agreement": found, **usual, **more}


SECONDS = {"encode": 3.12, "mesh": 12.04, "label": 4.5, "write": 1.0}

NOT_REFINED = {
    **{"refined": None, "refine": 0, "lacks": "", "remarks": [], "mesh_resolution_mm": 1.0},
    **{"not_compared": None, "complete": False},
}


def rows(stream: io.StringIO) -> dict[str, list[str]]:
    """The first word of each line → the others."""
    return {
        words[0]: words[1:] for line in stream.getvalue().splitlines() if (words := line.split())
    }


def test_all_figures_of_a_heart_are_whole(shown: io.StringIO) -> None:
    structures = {
        "Myocardium": structure(1236.5, (1232.5, 1234.1, 0.951)),
        "PA": structure(7.4, (6.94, 10.1, 0.806), observed_share=0.62),
        "LAA": structure(8.0, None, observed=False, observed_share=0.0, pieces=12),
        "LV": structure(99.9, (99.9, 99.9, 0.99), specks={"number": 11, "ml": 0.25}),
    }
    print_reconstruction(
        "case[1]", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    found = rows(shown)
    lines = shown.getvalue().splitlines()
    assert "case[1] 20.7 s (encode 3.1, mesh 12.0, label 4.5, write 1.0)" in shown.getvalue()
    # ml, Input ml and Change are of voxels, whatever the mesh holds.
    assert found["Myocardium"] == ["1232.5", "1234.1", "-0.1%", "0.951", "1236.5", "1", "observed"]
    assert found["PA"][:8] == ["6.9", "10.1", "-31.3%", "!", "0.806", "7.4", "1", "62%"]
    assert found["LAA"] == ["8.1", "8.0", "12", "inferred"]
    assert found["LV"] == ["99.9", "99.9", "0.0%", "0.990", "99.9", "1", "11", "observed"]
    assert "! over 10% off the input's volume: PA" in shown.getvalue()
    text = " ".join(shown.getvalue().split())
    assert "Pieces that nothing in the input supports were removed: LV 11 (0.25 ml)" in text
    assert "ml: volume of its voxels on the input's grid; Input ml: that of the input" in text
    assert "Mesh ml: volume inside its mesh, also beyond that grid" in text
    assert "Pieces: of the mesh, with small ones that the input shows" in text
    assert max(map(len, lines)) <= (reconstruction_table.console.width)
    assert "…" not in shown.getvalue()


def test_what_cannot_be_compared_has_no_columns_for_it(shown: io.StringIO) -> None:
    structures = {"LV": structure(99.9, None), "PV": structure(0.0, None, observed=False, pieces=0)}
    print_reconstruction(
        "points", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    found = rows(shown)
    assert found["Structure"] == ["ml", "Pieces", "Source"]
    assert "ml: volume inside its mesh" in shown.getvalue()
    assert found["LV"] == ["99.9", "1", "observed"]
    assert found["PV"] == ["0.0", "0", "inferred"]
    assert "Specks" not in shown.getvalue()
    assert "Not refined (--refine 0)" in shown.getvalue()


def test_what_refinement_gained_is_below_the_table(shown: io.StringIO) -> None:
    refined = {
        **{"loss_before": 0.05, "loss_after": 0.043, "steps": 10},
        **{"error_mm_before": 0.617, "error_mm_after": 0.412},
    }
    summary = {"structures": {"LV": structure(99.9, None)}, "seconds": SECONDS}
    print_reconstruction("a", {**summary, "provenance": {**NOT_REFINED, "refined": refined}})
    assert (
        "Refined in 10 steps: loss at points held out -14.0%, mean distance to the input's "
        "surfaces 0.62 → 0.41 mm" in " ".join(shown.getvalue().split())
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
    assert max(map(len, found.splitlines())) <= reconstruction_table.console.width
    assert f"PA is doubtful: {'; '.join(why)}" in " ".join(found.split())
    assert found.count(" is doubtful: ") == 2


def test_why_a_heart_was_not_refined_and_its_remarks_follow_its_table(shown: io.StringIO) -> None:
    long = "a remark about /a/path/that-is/to-be-copied.nii.gz " * 4
    for name in ("first", "second"):
        provenance = {**NOT_REFINED, "refine": None, "remarks": [f"{name}: {long}"]}
        provenance["lacks"] = "shows nothing of LAA and only a part of Aorta, PA"
        summary = {"structures": {"LV": structure(99.9, None)}, "seconds": SECONDS}
        print_reconstruction(name, {**summary, "provenance": provenance})
    lines = shown.getvalue().splitlines()
    text = " ".join(shown.getvalue().split())
    why = (
        "Not refined, as the input shows nothing of LAA and only a part of Aorta, PA; --refine 10 "
        "refines it all the same, but may worsen what is inferred"
    )
    assert text.count(why) == 2
    order = [
        text.index(word) for word in ("first 20.7", "• First: a", "second 20.7", "• Second: a")
    ]
    assert order == sorted(order)
    assert text.count("/a/path/that-is/to-be-copied.nii.gz") == 8
    assert max(map(len, lines)) <= reconstruction_table.console.width


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
        "LV": structure(99.9, (99.9, 99.9, 0.99)),
        "PA": structure(0.4, (0.37, 36.7, 0.055)),
    }
    print_reconstruction(
        "case", {"structures": structures, "seconds": SECONDS, "provenance": NOT_REFINED}
    )
    assert "Not where the input shows it (Dice below 0.3): PA" in shown.getvalue()
