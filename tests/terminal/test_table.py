"""Tables at any width: nothing is cut, columns leave by their priority, and a line names them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from vecsetx.evaluation.bootstrap import MIN_HEARTS, Bootstrap
from vecsetx.evaluation.comparison import compare
from vecsetx.evaluation.scores import Score, summarize
from vecsetx.terminal import table as renderer
from vecsetx.terminal.check_tables import print_check, print_heart_check
from vecsetx.terminal.comparison_tables import print_comparison
from vecsetx.terminal.inspection_table import print_inspection
from vecsetx.terminal.plan_tables import print_plan
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, print_list, print_table
from vecsetx.terminal.tables import print_calibration, print_scores
from vecsetx.training.memory import PARTS, StepMemory
from vecsetx.training.plan import Plan

WIDTHS = (80, 100, 160)
STRUCTURES = ("Myocardium", "LV", "RV", "LA", "RA", "Aorta", "PA", "Coronary", "LAA", "PV")


@contextmanager
def at(width: int) -> Iterator[Any]:
    """Capture what is printed on a console of this width."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setattr(console, "_width", width)  # the environment counts where it was made
        with console.capture() as printed:
            yield printed


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


# The renderer


WORDS = st.text("abcdefg", min_size=1, max_size=9)
NUMBERS = st.from_regex(r"-?[0-9]{1,6}\.[0-9]{1,3}", fullmatch=True)


@settings(max_examples=40)
@given(st.data(), st.integers(20, 160))
def test_nothing_is_cut_whatever_the_width(data: st.DataObject, width: int) -> None:
    count = data.draw(st.integers(1, 7))
    names = [f"{data.draw(WORDS)} {number}h" for number in range(count)]
    orders = [data.draw(st.integers(0, 5)) for _ in range(count)]
    columns = [Column(name, leaves=order) for name, order in zip(names, orders, strict=True)]
    columns.insert(0, Column("Name", is_text=True))
    sentences = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
    rows = [
        [data.draw(sentences), *(data.draw(NUMBERS) for _ in range(count))]
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    with at(width) as printed:
        print_table("Title", columns, rows)
    text = printed.get()
    left = [name for name in names if name in " ".join(text.partition("left out at")[2].split())]
    body = re.findall(r"[^\s]+", text.partition("left out at")[0])
    assert "…" not in text
    for row in rows:
        assert set(row[0].split()) <= set(body)
        for name, cell in zip(names, row[1:], strict=True):
            assert cell in body or name in left
    # Those that left have the highest priorities, and what never leaves is there.
    staying = [order for name, order in zip(names, orders, strict=True) if name not in left]
    leaving = [order for name, order in zip(names, orders, strict=True) if name in left]
    assert not leaving or min(leaving) >= max([*staying, 1])
    # Lines are too long only where nothing can leave any more.
    assert max(map(cell_len, lines(text))) <= width or max(staying, default=0) == 0


def test_columns_leave_in_order_and_a_line_says_so() -> None:
    columns = [
        Column("Structure", is_text=True),
        Column("First", leaves=2),
        Column("Second", "what it means", leaves=1),
        Column("Third"),
    ]
    rows = [["Myocardium", "1111.111", "2222.222", "3333.333"]]
    seen = {}
    for width in (80, 40, 30, 20):
        with at(width) as printed:
            print_table("Title", columns, rows, also_in="a.csv")
        seen[width] = " ".join(printed.get().split())
    assert "left out" not in seen[80]
    assert "Second: what it means" in seen[80]
    assert "First" in seen[40]
    assert "left out at 30 columns: First; widen the terminal, or see a.csv" in seen[30]
    assert "2222.222" in seen[30]
    assert "left out at 20 columns: First, Second; widen" in seen[20]
    assert "what it means" not in seen[20]
    assert "3333.333" in seen[20]


def test_numbers_stand_at_the_right_totals_below_and_empty_columns_are_left_out() -> None:
    columns = [Column("Name", is_text=True), Column("A number"), Column("Nothing")]
    with at(80) as printed:
        print_table("Title", columns, [["a", "1.0", ""], ["bb", "10.0", ""]], [["all", "5.5", ""]])
    text = lines(printed.get())
    assert text[1] == "Title"
    assert "Nothing" not in "".join(text)
    ends = {line.split()[0]: len(line) for line in text if line.split() and line[0] in "ab"}
    assert len(set(ends.values())) == 1
    assert [line.split()[0] for line in text if line.split()][-1] == "all"


def test_lists_fold_at_blanks_and_leave_paths_whole() -> None:
    path = "/a/very/long-path/" + 9 * "that-goes-on/"
    with at(40) as printed:
        print_list([f"{path}: is no longer there [not markup], and so on and so on"])
    text = printed.get()
    assert f"{path}:" in text
    assert "[not markup]" in text
    assert all(len(line) <= 40 or path in line for line in lines(text))


@pytest.mark.parametrize(("count", "said"), [(0, "0 hearts"), (1, "1 heart"), (2, "2 hearts")])
def test_plurals(count: int, said: str) -> None:
    assert counted(count, "heart") == said


# The tables of the commands


def found(number: int) -> dict[str, Any]:
    return {
        "state": "not annotated" if number == 9 else "present",
        "volume_ml": 1101.25 + number,
        "volume_z": -10.5 - number,
        "pieces": 17,
        "thickness_mm": 25.5,
        "points": {"surface": 10_112 + number, "near": 112_345, "volume": 212_345},
        "slope": 0.987,
        "agreement": 0.9634,
    }


def heart(name: str, **changes: Any) -> dict[str, Any]:
    return {
        **{"name": name, "split": "train", "fold": 4, "state": "fit"},
        **{"problems": [], "doubts": [], "remarks": [], "not_done": []},
        "structures": {name: found(number) for number, name in enumerate(STRUCTURES)},
        **changes,
    }


def checked(*hearts: dict[str, Any]) -> dict[str, Any]:
    counts = {s: sum(h["state"] == s for h in hearts) for s in ("fit", "look", "unfit")}
    states = {"present": 1234, "cut": 1234, "absent": 1234, "not annotated": 1234}
    return {
        "state": next((state for state in ("unfit", "look") if counts[state]), "fit"),
        "left_out": {},
        "structures": list(STRUCTURES),
        "summary": {
            **{"hearts": len(hearts), **counts, "not_done": 0},
            "states": dict.fromkeys(STRUCTURES, states),
        },
        "hearts": list(hearts),
    }


def scores(hearts: int, shift: float = 0.0, structures: Any = STRUCTURES) -> dict[str, Any]:
    rows = [
        Score(
            f"heart {h}",
            name,
            "missed" if h == 0 else "found",
            {
                **{"dice": 0.9 + 0.001 * h + shift, "iou": 0.8, "nsd": 0.912, "truth_ml": 1.0},
                **{"assd_mm": 101.234 + h, "hd95_mm": 107.891, "cldice": 0.912},
            },
        )
        for h in range(hearts)
        for name in structures
    ]
    return {
        **summarize(rows, Bootstrap(50)),
        "scoring": {},
        "provenance": {"model": "a run [with] brackets"},
    }


@cache
def compared(hearts: int) -> dict[str, Any]:
    names = STRUCTURES if hearts < MIN_HEARTS else STRUCTURES[:1]  # intervals take their time
    a, b = scores(hearts, 0, names), scores(hearts, 0.01, names)
    models = {"a": a["provenance"], "b": b["provenance"]}
    return {"models": models, **compare(a, b, Bootstrap(50))}


def calibrated() -> dict[str, Any]:
    one = {
        **{"factor": 16.712, "own_factor": False, "hearts": 112, "missed": 12},
        **{"within": [0.5, 0.912, 0.99], "within_before": [0.4, 0.812, 0.98]},
        **{"mean_sd_mm": 101.23, "rms_error_mm": 107.89},
    }
    part = {"within": [0.5, 0.9, 0.99], "mean_sd_mm": 1.25, "rms_error_mm": 1.5}
    return {
        "structures": dict.fromkeys(STRUCTURES, one),
        **{"after": part, "before": part, "beyond": {"after": part, "before": part}},
        **{"factor": 1.234, "cut_factor": 1.5, "hearts_fitted": ["a"], "hearts_tested": ["b"]},
        "few": True,
    }


def inspected() -> list[dict[str, Any]]:
    structures = {
        name: {"id": 10_123, "ml": 1234.5, "points": None, "pieces": 123, "cut": True}
        for name in STRUCTURES
    }
    entry = {
        **{"file": "a.nii.gz", "kind": "label map", "status": "ok", "label_set": "default"},
        **{"axes": "LPS", "spacing_mm": [0.5] * 3, "shape": [512] * 3, "form_codes": (1, 1)},
        **{"named": {"10123": "left atrial appendage of the heart"}, "remarks": ["a remark"]},
        "structures": structures,
        "same_name": False,
        "extent_mm": None,
    }
    return [entry]


def planned() -> Plan:
    """A plan whose numbers are as long as any."""

    def memory(gb: float) -> StepMemory:
        fixed, per_heart = np.zeros((2, 1, len(PARTS)), np.int64)
        fixed[0, 0], per_heart[0, 3] = round(gb * 1e9), 10**9
        return StepMemory(1, fixed, per_heart)

    return Plan(1, False, memory(5678.91), memory(1234.57))


TABLES = {
    "check": (lambda: print_check(checked(heart("a")), PAGE), ("1101.2", "1234", *STRUCTURES)),
    "check --heart": (
        lambda: print_heart_check(checked(heart("a")), PAGE),
        ("Myocardium", "1101.2", "-10.5"),
    ),
    "evaluate, 3 hearts": (lambda: print_scores(scores(3)), ("0.901", "3", *STRUCTURES)),
    "evaluate, 12 hearts": (lambda: print_scores(scores(12)), ("Myocardium", "0.912", "12")),
    "compare": (
        lambda: print_comparison(compared(3), True),
        ("0.901", "0.911", "+0.010", *STRUCTURES),
    ),
    "compare, 12 hearts": (
        lambda: print_comparison(compared(12), True),
        ("Myocardium", "0.906", "< 0.001"),
    ),
    "calibrate": (
        lambda: print_calibration(calibrated()),
        ("(16.71)", "91.2%", *STRUCTURES),
    ),
    "inspect": (
        lambda: print_inspection(inspected(), "vecsetx prepare labels/ --out data/"),
        ("Myocardium", "1234.5", "10123"),
    ),
    "plan": (lambda: print_plan(planned(), 40e9), ("1,235 GB", "5,679 GB", *PARTS)),
}
PAGE = Path(renderer.__file__)  # any path that is longer than a line


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", list(TABLES))
def test_every_table_fits_uncut(command: str, width: int) -> None:
    show, expected = TABLES[command]
    with at(width) as printed:
        show()
    text = printed.get()
    assert "…" not in text.replace(" … ", "")  # within ranges it stands between two numbers
    assert "mm³" not in text
    assert not re.search(r"\b1 hearts|\b1 structures", text)
    assert all(word in text for word in expected)
    assert max(cell_len(line) for line in lines(text) if str(PAGE) not in line) <= width
    if width == 160:
        assert "left out" not in text


def test_no_interval_below_ten_hearts_and_the_range_instead() -> None:
    for hearts in (9, 10):
        with at(160) as printed:
            print_scores(scores(hearts))
        text = printed.get()
        assert ("Interval" in text) == (hearts >= 10)
        with at(80) as printed:  # where there is no interval, the range stays
            print_scores(scores(hearts))
        assert ("Range" in printed.get().partition("left out")[0]) == (hearts < 10)
        assert f"0.900 – {0.9 + 0.001 * (hearts - 1):.3f}" in text
        summary = scores(hearts)["summary"]
        assert (summary["interval"]["dice"] is not None) == (hearts >= 10)
        assert summary["n"]["dice"] == hearts


def test_a_single_heart_has_no_range() -> None:
    with at(160) as printed:
        print_scores(scores(1))
    text = printed.get()
    assert "0.900" in text
    assert "Range" not in text
    assert "0.900 – 0.900" not in text


def test_the_last_line_says_the_state() -> None:
    look = heart("turned", state="look", doubts=["the heart is rotated by 173°"])
    unfit = heart("broken", state="unfit", problems=["no points"])
    remarked = heart("cut", remarks=["cut by the field of view"])
    for hearts, last in (
        ([heart("a")], "fit: the heart is fit for training"),
        ([heart("a"), remarked], "fit: all 2 hearts are fit for training"),
        ([look], "look: 0 fit, 1 to look at, 0 unfit, of 1 heart"),
        ([heart("a"), look], "look: 1 fit, 1 to look at, 0 unfit, of 2 hearts"),
        ([look, unfit], "unfit: 0 fit, 1 to look at, 1 unfit, of 2 hearts"),
    ):
        with at(80) as printed:
            print_check(checked(*hearts), PAGE)
        assert lines(printed.get())[-1] == f"{last}; see {PAGE}"
    with at(80) as printed:
        print_heart_check(checked(look), PAGE)
    text = lines(printed.get())
    assert "  • doubt: the heart is rotated by 173°" in text
    assert text[-1] == f"look: turned is fit for training, but needs a look; see {PAGE}"
