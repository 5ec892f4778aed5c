"""Scores of structures that were hidden from the model: at once, and each in turn."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.analytic_fields import OBLIQUE, AnalyticField, grid_about, heart
from support.evaluations import write_no_page

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.cli import main
from vecsetx.commands.evaluate import EvaluateOptions, evaluate
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.comparison import compare
from vecsetx.evaluation.reconstruction_scores import (
    Reconstruction,
    SingleStructureField,
    score_hidden_structure,
    score_reconstruction,
)
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.inference.encode import EncodeOptions
from vecsetx.reconstruction.octree import evaluate_exclusive
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.report.page import Report, write_report
from vecsetx.terminal.comparison_tables import print_comparison
from vecsetx.terminal.progress_bars import console

LABELS = label_set("default")
NAMES = LABELS.structures
HALF = ("Myocardium", "LA", "LV", "RV", "Aorta")


def score(heart: str, structure: str, dice: float | None, observed: bool = True) -> Score:
    state = "absent" if dice is None else "found" if dice else "missed"
    values = {"dice": dice, "iou": dice, "truth_ml": 1.0 if dice is not None else None}
    return Score(heart, structure, state, values, observed)


HIDDEN_AT_ONCE = [
    score("a", "LV", 0.9),
    score("a", "PV", 0.5, False),
    score("b", "LV", 0.7),
    score("b", "PV", 0.0, False),
]
HIDDEN_IN_TURN = [
    score("a", "LV", 0.9),
    score("a", "PV", 0.8),
    score("a", "LV", 0.6, False),
    score("a", "PV", 0.2, False),
    score("b", "LV", 0.7),
    score("b", "PV", None),
    score("b", "LV", 0.4, False),
]


def test_what_was_hidden_at_once_is_split_off_and_stays_in_the_summary() -> None:
    result = summarize(HIDDEN_AT_ONCE)
    assert set(result) == {"summary", "hearts", "observed", "inferred"}
    assert result["summary"]["mean"]["dice"] == pytest.approx((0.8 + 0.25) / 2)
    assert result["observed"]["mean"]["dice"] == pytest.approx(0.8)
    assert result["inferred"]["mean"]["dice"] == pytest.approx(0.25)
    assert list(result["observed"]["structures"]) == ["LV"]
    assert result["inferred"]["structures"]["PV"] == result["summary"]["structures"]["PV"]
    assert result["inferred"]["states"]["PV"]["missed"] == 1
    assert result["hearts"]["a"]["PV"]["observed"] is False
    assert result["hearts"]["a"]["LV"]["observed"] is True
    assert result["inferred"]["hearts"] == {
        heart: {"PV": result["hearts"][heart]["PV"]} for heart in "ab"
    }


def test_without_anything_hidden_nothing_is_split() -> None:
    assert set(summarize(HIDDEN_IN_TURN[:2])) == {"summary", "hearts"}


def test_what_was_hidden_in_turn_leaves_the_summary_to_the_whole_hearts() -> None:
    result = summarize(HIDDEN_IN_TURN, Bootstrap(50))
    whole = summarize([row for row in HIDDEN_IN_TURN if row.observed], Bootstrap(50))
    assert (result["summary"], result["hearts"]) == (whole["summary"], whole["hearts"])
    assert result["observed"] == whole["summary"] | {"hearts": whole["hearts"]}
    inferred = result["inferred"]
    assert inferred["structures"]["LV"]["dice"]["mean"] == pytest.approx(0.5)
    assert inferred["structures"]["PV"]["dice"]["n"] == 1
    assert inferred["mean"]["dice"] == pytest.approx((0.5 + 0.2) / 2)
    assert {name: list(of) for name, of in inferred["hearts"].items()} == {
        "a": ["LV", "PV"],
        "b": ["LV"],
    }


@pytest.mark.parametrize("observed", [True, False])
def test_a_structure_has_one_row_of_each_kind(observed: bool) -> None:
    rows = [score("a", "LV", 0.9), score("a", "LV", 0.6, False)]
    assert summarize(rows)["hearts"]["a"]["LV"]["dice"] == 0.9
    with pytest.raises(InputError, match="a: LV is scored twice"):
        summarize([*rows, score("a", "LV", 0.5, observed)])


def test_the_table_says_what_was_observed(tmp_path: Path) -> None:
    write_scores(tmp_path, HIDDEN_IN_TURN, summarize(HIDDEN_IN_TURN))
    with open(tmp_path / "scores.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["heart"], row["structure"], row["observed"]) for row in table] == [
        (row.heart, row.structure, "true" if row.observed else "false") for row in HIDDEN_IN_TURN
    ]


# Two models


def scored(rows: list[Score]) -> dict[str, Any]:
    return {**summarize(rows), "scoring": {"tolerance_mm": 1.0}, "provenance": {}}


def better(rows: list[Score], by: float) -> list[Score]:
    """The same rows, inferred structures better by so much."""
    return [
        row if row.observed else replace(row, values={**row.values, "dice": row.dice + by})
        for row in rows
    ]


def test_what_two_models_inferred_is_compared_by_itself() -> None:
    a, b = scored(HIDDEN_IN_TURN), scored(better(HIDDEN_IN_TURN, 0.1))
    found = compare(a, b, Bootstrap(50))
    assert found["mean"]["dice"]["difference"] == 0
    assert found["observed"]["mean"]["dice"] == found["mean"]["dice"]
    inferred = found["inferred"]
    assert inferred["mean"]["dice"]["difference"] == pytest.approx(0.1)
    assert inferred["mean"]["dice"]["a"] == pytest.approx((0.5 + 0.2) / 2)
    assert inferred["structures"]["LV"]["dice"]["n"] == 2
    assert inferred["structures"]["PV"]["dice"]["b"] == pytest.approx(0.3)
    with console.capture() as printed:
        print_comparison({**found, "models": {side: {"model": "run"} for side in "ab"}})
    of_all, of_inferred = (
        next(line for line in printed.get().splitlines() if line.startswith(title))
        for title in ("Dice   ", "Dice, inferred")
    )
    assert "+0.000" in of_all
    assert "+0.100" in of_inferred


def test_what_hiding_costs_can_be_compared() -> None:
    """The same hearts, once with nothing hidden: pairs are those of the heart and structure."""
    whole = scored([replace(row, observed=True) for row in HIDDEN_AT_ONCE])
    found = compare(whole, scored(better(HIDDEN_AT_ONCE, -0.1)), Bootstrap(50))
    assert found["structures"]["PV"]["dice"]["difference"] == pytest.approx(-0.1)
    assert "inferred" not in found


def test_models_from_which_other_structures_were_hidden_are_refused() -> None:
    fewer = [row for row in HIDDEN_IN_TURN if row.observed or row.structure == "LV"]
    with pytest.raises(InputError, match="only A had to infer PV of a, only B none; score both"):
        compare(scored(HIDDEN_IN_TURN), scored(fewer), Bootstrap(50))


# One structure of a field

GRID = grid_about((10, 0, 10), OBLIQUE * [1.6, 1.6, 2.2], 80)


@pytest.fixture(scope="module")
def truth() -> LabelMap:
    return rasterize(heart(), GRID)


def wrong(field: AnalyticField) -> AnalyticField:
    """Every structure a little larger than it is, so that they fight for their walls."""
    grown = {
        name: lambda points, shape=shape: shape(points) - 1.5
        for name, shape in field.shapes.items()
    }
    return AnalyticField(grown)


def test_one_structure_is_what_the_whole_field_gives_it_at_less_cost() -> None:
    field = wrong(heart())
    whole = evaluate_exclusive(field, GRID)
    for label, name in enumerate(NAMES, start=1):
        alone = evaluate_exclusive(SingleStructureField(field, name), GRID)
        np.testing.assert_array_equal(alone.labels == 1, whole.labels == label)
        assert alone.queries < 0.6 * whole.queries, name
    assert alone.structures == ("PV",)


def test_a_structure_left_out_is_scored_as_all_are(truth: LabelMap) -> None:
    given = Segmentation(Path("a.nii.gz"), NAMES, truth)
    whole, field = Reconstruction(given, heart()), wrong(heart())
    of_all = score_reconstruction("a", Reconstruction(given, field), NAMES, hidden=["RA"])
    assert [row.structure for row in of_all if not row.observed] == ["RA"]
    for name in ("RA", "Aorta", "Coronary"):
        (expected,) = (row for row in of_all if row.structure == name)
        alone = Reconstruction(given, SingleStructureField(field, name))
        found = score_hidden_structure("a", whole, alone)
        assert (found.state, found.observed) == ("found", False)
        assert found.values.keys() == expected.values.keys()
        on_grid = {m: v for m, v in expected.values.items() if not m.startswith("mesh")}
        assert on_grid.items() <= found.values.items()
        assert on_grid == score_hidden_structure("a", whole, alone, meshes=False).values
        # Where three structures meet, the one mesh of all is smoothed otherwise.
        gap_mm = found.values["mesh_assd_mm"] - expected.values["mesh_assd_mm"]
        assert abs(gap_mm) < 0.06, name


# The command


@pytest.fixture(scope="module", autouse=True)
def coarse_search() -> Iterator[None]:
    """Search what is hidden on a coarse grid, as a finer one takes half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vecsetx.inference.domain._SPACING_MM", 12.0)
        yield


@pytest.fixture(scope="module")
def run(trained_run: Path) -> Path:
    """A model that has learned just enough to place every structure somewhere."""
    return trained_run


@pytest.fixture(scope="module")
def partial(dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A heart with half of the structures, and one of which there is nothing but the LV."""
    folder = tmp_path_factory.mktemp("labels")
    whole = read_label_map(Path(dataset.hearts[0].source))
    for name, shown in (("half", HALF), ("of_lv", ("LV",))):
        others = [label for label, structure in enumerate(NAMES, 1) if structure not in shown]
        write_label_map(whole.without(others), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def in_turn(run: Path, partial: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What ``evaluate --hide-each`` writes of both, and what it prints."""
    out = tmp_path_factory.mktemp("each")
    words = [
        *("vecsetx", "evaluate", partial, "--model", run),
        *("--out", out, "--no-meshes", "--hide-each"),
    ]
    with pytest.MonkeyPatch.context() as patch, console.capture() as printed:
        patch.setattr("sys.argv", list(map(str, words)))
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code in (0, None)
    return out, printed.get()


def hidden(run: Path, inputs: Path, out: Path, *hide: str, each: bool = False) -> dict[str, Any]:
    options = EvaluateOptions(EncodeOptions(hide=hide), meshes=False, hide_each=each)
    return evaluate(run, [inputs], out, options).scores


def test_in_turn_every_structure_is_scored_as_if_it_alone_were_hidden(
    run: Path, partial: Path, in_turn: tuple[Path, str], tmp_path: Path
) -> None:
    each = json.loads((in_turn[0] / "scores.json").read_text())
    with pytest.MonkeyPatch.context() as patch:
        write_no_page(patch)
        whole = hidden(run, partial, tmp_path / "whole")
    assert (each["summary"], each["hearts"]) == (whole["summary"], whole["hearts"])
    inferred = each["inferred"]["hearts"]
    # What the truth lacks is not hidden, nor is the only structure.
    assert list(inferred) == ["half"]
    assert list(inferred["half"]) == list(HALF)
    alone = hidden(run, partial / "half.nii.gz", tmp_path / "alone", "Myocardium")
    ((found, expected),) = [
        (scores["Myocardium"], inferred[name]["Myocardium"])
        for name, scores in alone["inferred"]["hearts"].items()
    ]
    assert found.keys() == expected.keys()
    # Rounding differs with the points that are evaluated together, so that a voxel may, too.
    assert found["dice"] == pytest.approx(expected["dice"], abs=5e-4)
    assert found["prediction_ml"] == pytest.approx(expected["prediction_ml"], rel=5e-4)
    assert inferred["half"]["Myocardium"]["prediction_ml"] > 0
    assert payload(tmp_path / "alone")["hearts"][0]["layout"]["inferred"] == ["Myocardium"]
    shown = {heart["name"]: heart["layout"] for heart in payload(in_turn[0])["hearts"]}
    assert shown["half"]["inferred"] == []
    assert inferred["half"]["Myocardium"]["dice"] != each["hearts"]["half"]["Myocardium"]["dice"]


def test_the_command_tells_observed_and_inferred_apart(in_turn: tuple[Path, str]) -> None:
    out, said = in_turn
    scores = json.loads((out / "scores.json").read_text())
    assert scores["provenance"]["hidden from the model"] == "each structure in turn"
    assert "scoring hearts: 2/2 of_lv" in said
    for part in ("observed", "inferred"):
        assert f"{scores[part]['mean']['dice']:.3f}" in said
    page = (out / "report.html").read_text()
    assert "<h2>Observed and inferred</h2>" in page
    mean = scores["inferred"]["structures"]["Myocardium"]["dice"]["mean"]
    assert f'<td class="number" data-value="{mean}">' in page


def test_hiding_at_once_and_in_turn_exclude_each_other(
    run: Path, partial: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--hide LV and --hide-each exclude each other"):
        hidden(run, partial, tmp_path / "out", "LV", each=True)
    assert not (tmp_path / "out").exists()


# The page


def payload(folder: Path) -> dict[str, Any]:
    """The data of a page's scripts."""
    page = (folder / "report.html").read_text()
    text = page[page.index('id="data">') :].split(">", 1)[1].split("</script>", 1)[0]
    return json.loads(text)


def written(tmp_path: Path, rows: list[Score]) -> tuple[str, dict[str, Any]]:
    write_report(tmp_path / "report.html", Report("", summarize(rows), (), (), {"model": "run"}))
    return (tmp_path / "report.html").read_text(), payload(tmp_path)["plots"]


def test_structures_hidden_at_once_are_marked_on_the_page(tmp_path: Path) -> None:
    page, plots = written(tmp_path, HIDDEN_AT_ONCE)
    assert page.count('<span class="badge inferred">inferred</span>') == 1
    assert "Inferred: PV, which was hidden from the model." in page
    assert plots["scores-dice"]["layout"]["yaxis"]["ticktext"] == ["LV", "PV (inferred)"]
    symbols = [trace["marker"]["symbol"] for trace in plots["scores-dice"]["data"]]
    assert symbols == ["circle", "circle-open"]
    assert "compared-dice" not in plots
    for part, mean in (("observed", "0.800"), ("inferred", "0.250")):
        assert f"<strong>{mean}</strong><span>mean Dice, {part}</span>" in page


def test_structures_hidden_in_turn_are_drawn_beside_the_observed_ones(tmp_path: Path) -> None:
    page, plots = written(tmp_path, HIDDEN_IN_TURN)
    boxes = plots["compared-dice"]["data"]
    assert [(box["name"], box["x"], box["marker"]["symbol"]) for box in boxes] == [
        ("LV", [0.9, 0.7], "circle"),
        ("LV", [0.6, 0.4], "circle-open"),
        ("PV", [0.8], "circle"),
        ("PV", [0.2], "circle-open"),
    ]
    assert plots["scores-dice"]["layout"]["yaxis"]["ticktext"] == ["LV", "PV"]
    assert "badge inferred" not in page.split("<body>")[1]
    assert "mean Dice, observed" not in page
    assert "<strong>0.350</strong><span>mean Dice, inferred</span>" in page


def test_a_page_of_whole_hearts_says_nothing_of_inferring(tmp_path: Path) -> None:
    page, plots = written(tmp_path, HIDDEN_IN_TURN[:2])
    assert "nferred" not in page.split("<body>")[1].split('<script type="application/json"')[0]
    assert list(plots) == ["scores-dice", "scores-iou"]
