"""Two models on the same hearts, and ``vecsetx compare``."""

import csv
import itertools
import json
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.commands.compare import compare_scores
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.comparison import _signed_rank_p as p_of
from vecsetx.evaluation.comparison import compare, holm
from vecsetx.evaluation.heart_scores import score_label_maps
from vecsetx.evaluation.score_measures import MEASURES
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.terminal.comparison_tables import print_comparison
from vecsetx.terminal.progress_bars import console

HEARTS = 10
STRUCTURES = ("LV", "Aorta", "LA")


@cache
def rows(seed: int) -> tuple[Score, ...]:
    """Hearts of noisy boxes: the truth the same for every seed, LA in the truth of none."""
    found = []
    for heart in range(HEARTS):
        size = 6 + heart % 3
        truth = np.zeros((20, 12, 12), np.uint8)
        truth[2 : 2 + size, 2:8, 2:8] = 1
        truth[12:18, 2:8, 3:6] = 2
        prediction = truth.copy()
        prediction[np.random.default_rng([seed, heart]).random(truth.shape) < 0.1 * seed] = 0
        if heart == 0 and seed == 2:
            prediction[0, 0, 0] = 3  # invented
        sides = LabelMap(truth, np.eye(4)), LabelMap(prediction, np.eye(4))
        found += score_label_maps(f"heart {heart}", *sides, STRUCTURES, STRUCTURES)
    return tuple(found)


def scores(seed: int) -> dict[str, Any]:
    """A copy of its own for every caller, which may change it."""
    return {
        **deepcopy(summarized(seed)),
        "scoring": {"tolerance_mm": 1.0},
        "provenance": {"model": f"run {seed}"},
    }


@cache
def summarized(seed: int) -> dict[str, Any]:
    return summarize(rows(seed))


BOOTSTRAP = Bootstrap(500)


def test_a_model_equals_itself() -> None:
    found = compare(scores(1), scores(1), BOOTSTRAP)
    entries = [*found["mean"].values()]
    entries += [entry for of_one in found["structures"].values() for entry in of_one.values()]
    for entry in entries:
        if entry is not None:
            assert entry["difference"] == 0
            assert entry["interval"] == entry["range"] == [0, 0]
            assert entry["p"] == 1
            assert entry["a"] == entry["b"]


def test_by_hand() -> None:
    a, b = scores(1), scores(2)
    found = compare(a, b, BOOTSTRAP)
    dice = [
        np.array([of["hearts"][f"heart {k}"]["LV"]["dice"] for k in range(HEARTS)]) for of in (a, b)
    ]
    lv = found["structures"]["LV"]["dice"]
    assert lv["a"] == pytest.approx(dice[0].mean())
    assert lv["b"] == pytest.approx(dice[1].mean())
    assert lv["difference"] == pytest.approx((dice[1] - dice[0]).mean())
    low, high = lv["interval"]
    assert low < lv["difference"] < high < 0  # twice the noise is worse
    assert lv["p"] == pytest.approx(signed_rank_p(dice[1] - dice[0]))
    assert lv["n"] == HEARTS
    assert lv["range"] == [(dice[1] - dice[0]).min(), (dice[1] - dice[0]).max()]


def signed_rank_p(differences: np.ndarray) -> float:
    """Every way to give the differences' sizes signs, counted."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    middle = ranks.sum() / 2
    observed = abs(ranks[differences > 0].sum() - middle)
    signs = itertools.product((0, 1), repeat=len(differences))
    sums = np.array([np.dot(ranks, sign) for sign in signs])
    return float((np.abs(sums - middle) >= observed - 1e-9).mean())


@pytest.mark.parametrize("hearts", [6, 8])
@pytest.mark.parametrize("values", [2, 4, 1000])
def test_p_is_that_of_scipy(hearts: int, values: int) -> None:
    """With many ties and zeros, with some, and (mostly) without."""
    generator = np.random.default_rng([hearts, values])
    for shift in (0, values // 2, values):
        differences = generator.integers(-values, values + 1, hearts) + float(shift)
        differences[0] = 1.0  # else there may be nothing to rank
        assert p_of(differences) == stats.wilcoxon(differences).pvalue


@pytest.mark.parametrize("hearts", [10, 13, 14, 60])
def test_p_of_differences_without_ties_is_that_of_scipy(hearts: int) -> None:
    differences = np.random.default_rng(hearts).normal(0.4, 1, hearts)
    assert p_of(differences) == stats.wilcoxon(differences).pvalue


def test_swapping_the_models_turns_the_difference() -> None:
    here, back = (
        compare(*pair, BOOTSTRAP) for pair in itertools.permutations([scores(1), scores(2)])
    )
    for measure, entry in here["mean"].items():
        if entry is not None:
            assert entry["difference"] == pytest.approx(-back["mean"][measure]["difference"])
            assert entry["p"] == back["mean"][measure]["p"]


def test_the_mean_lets_every_structure_weigh_the_same() -> None:
    a, b = scores(1), deepcopy(scores(1))
    for k in range(HEARTS):
        b["hearts"][f"heart {k}"]["LV"]["dice"] -= 0.1
    mean = compare(a, b, BOOTSTRAP)["mean"]["dice"]
    assert mean["difference"] == pytest.approx(-0.05)  # LV lost 0.1, Aorta nothing; LA is nowhere
    assert mean["interval"] == pytest.approx([-0.05, -0.05])


def test_a_structure_rightly_left_out_counts_as_perfect_where_the_other_invented_it() -> None:
    found = compare(scores(1), scores(2), BOOTSTRAP)["structures"]["LA"]
    assert found["dice"] == {
        **{"a": 1, "b": 0, "difference": -1, "interval": None, "range": [-1, -1]},
        **{"p": None, "p_holm": None, "n": 1},
    }
    assert (found["assd_mm"]["a"], found["piece_error"]["a"]) == (0, 0)
    assert found["assd_mm"]["b"] > 10
    assert "volume_error_relative" not in found


def test_errors_with_a_sign_are_compared_by_size() -> None:
    a, b = scores(1), deepcopy(scores(1))
    for k in range(HEARTS):
        entry = b["hearts"][f"heart {k}"]["LV"]
        entry["volume_error_ml"] = -entry["volume_error_ml"]
    assert compare(a, b, BOOTSTRAP)["structures"]["LV"]["volume_error_ml"]["difference"] == 0


def test_what_only_describes_is_not_compared() -> None:
    found = compare(scores(1), scores(2), BOOTSTRAP)["structures"]["LV"]
    assert set(found) == {"dice", "iou", "nsd", "assd_mm", "hd95_mm"} | {
        name for name, measure in MEASURES.items() if measure.signed and "mesh" not in name
    }


def test_it_is_plain_data_and_seeded() -> None:
    first, again, other = (
        compare(scores(1), scores(2), Bootstrap(500, seed=seed)) for seed in (0, 0, 1)
    )
    assert json.loads(json.dumps(first, allow_nan=False)) == again
    assert first["mean"]["dice"]["interval"] != other["mean"]["dice"]["interval"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p: list[float]) -> None:
    """A hypothesis falls if every set that holds it falls by Bonferroni (Marcus et al. 1976)."""
    every = range(len(p))
    sets = [s for n in every for s in itertools.combinations(every, n + 1)]
    closed = [
        max(min(1.0, len(s) * min(p[k] for k in s)) for s in sets if index in s) for index in every
    ]
    assert holm(p) == pytest.approx(closed)


def without(of: dict[str, Any], heart: str) -> dict[str, Any]:
    changed = deepcopy(of)
    del changed["hearts"][heart]
    return changed


def test_other_hearts_are_refused() -> None:
    with pytest.raises(
        InputError, match="of different hearts: only A has heart 3, only B has none"
    ):
        compare(scores(1), without(scores(1), "heart 3"), BOOTSTRAP)


def of_structures(seed: int, *names: str) -> dict[str, Any]:
    """The scores of a model that knows some of the structures."""
    return {
        **deepcopy(summarize([row for row in rows(seed) if row.structure in names])),
        "scoring": {"tolerance_mm": 1.0},
        "provenance": {"model": f"run {seed}"},
    }


def test_structures_of_one_model_alone_are_left_out_and_named() -> None:
    fewer = compare(of_structures(1, "LV", "LA"), of_structures(2, "LV", "Aorta"), BOOTSTRAP)
    assert fewer.pop("left_out") == {"a": ["LA"], "b": ["Aorta"]}
    same = compare(of_structures(1, "LV"), of_structures(2, "LV"), BOOTSTRAP)
    assert same.pop("left_out") == {"a": [], "b": []}
    assert fewer == same
    with pytest.raises(InputError, match="no common structure; score both"):
        compare(of_structures(1, "LV"), of_structures(2, "Aorta"), BOOTSTRAP)


def test_another_truth_is_refused() -> None:
    other = deepcopy(scores(1))
    other["hearts"]["heart 2"]["LV"]["truth_ml"] += 0.001
    with pytest.raises(
        InputError, match=r"different truths: LV of heart 2 \(0.288 ml in A, 0.289 ml in B"
    ):
        compare(scores(1), other, BOOTSTRAP)
    other["hearts"]["heart 2"]["LV"]["state"] = "not annotated"
    with pytest.raises(InputError, match=r"LV of heart 2 \(not annotated in A, 0.288 ml in B"):
        compare(other, scores(1), BOOTSTRAP)


def test_parts_of_other_hearts_are_refused() -> None:
    hidden = [replace(row, observed=row.structure != "LV") for row in rows(1)]
    whole = {**summarize(hidden), "scoring": {}, "provenance": {}}
    assert compare(whole, deepcopy(whole), BOOTSTRAP)["observed"]
    other = deepcopy(whole)
    del other["observed"]["hearts"]["heart 3"]
    for a, b in ((whole, other), (other, whole)):
        with pytest.raises(InputError, match="observed structures of the two are of different"):
            compare(a, b, BOOTSTRAP)


def test_another_tolerance_is_refused() -> None:
    other = deepcopy(scores(1)) | {"scoring": {"tolerance_mm": 2.0}}
    with pytest.raises(InputError, match="different settings"):
        compare(scores(1), other, BOOTSTRAP)


# The command


def written(folder: Path, seed: int) -> Path:
    write_scores(folder, rows(seed), scores(seed))
    return folder


def test_the_command_reads_folders_and_files_and_prints_one_table_first(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", 1), written(tmp_path / "b", 2)
    found = compare_scores(a, b / "scores.json", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == found
    assert found["models"]["b"] == {"model": "run 2"}
    texts = []
    for everything in (False, True):
        with console.capture() as printed:
            print_comparison(found, everything)
        texts.append(printed.get())
    means, tables = texts
    assert "A: run 1" in means
    assert "Means over structures" in means
    assert "is better; p of structures" not in means
    assert f"{found['mean']['dice']['difference']:+.3f}" in means
    assert "Dice, higher is better" in tables
    assert "HD95 (mm), lower is better" in tables
    lv = found["structures"]["LV"]["dice"]
    assert f"{lv['difference']:+.3f}" in tables
    assert f"{lv['interval'][0]:+.3f} … {lv['interval'][1]:+.3f}" in tables


def test_the_command_names_what_it_leaves_out(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", 1), tmp_path / "b"
    write_scores(
        b, [row for row in rows(2) if row.structure != "LA"], of_structures(2, *STRUCTURES[:2])
    )
    with console.capture() as printed:
        print_comparison(compare_scores(a, b, tmp_path / "out"))
    line = "left out, as only A has them: LA"
    assert line in printed.get().splitlines()
    assert line in (tmp_path / "out" / "comparison.html").read_text()


def test_options_that_differ_are_named(tmp_path: Path) -> None:
    folders = [written(tmp_path / name, number) for number, name in enumerate("ab", 1)]
    for folder, latents in zip(folders, (None, 64), strict=True):
        scores = json.loads((folder / "scores.json").read_text())
        del scores["sha256"]
        scores["options"] = {"refine": None, "latents": latents}
        (folder / "scores.json").write_text(json.dumps(scores))
    found = compare_scores(*folders, tmp_path / "out")
    assert found["options"] == {"latents": [None, 64]}
    with console.capture() as printed:
        print_comparison(found)
    assert "they differ in latents, too: the usual in A, 64 in B\n" in printed.get()


def test_the_page_and_the_table_have_every_number(tmp_path: Path) -> None:
    found = compare_scores(written(tmp_path / "a", 1), written(tmp_path / "b", 2), tmp_path / "out")
    with open(tmp_path / "out" / "comparison.csv", newline="") as file:
        table = {(row["structure"], row["measure"]): row for row in csv.DictReader(file)}
    for name, of_one in {**found["structures"], "mean": found["mean"]}.items():
        for measure, one in of_one.items():
            if one is None:
                assert (name, measure) not in table
                continue
            row = table.pop((name, measure))
            assert row["part"] == "all"
            told = [float(row[key]) for key in ("a", "b", "difference", "lowest", "highest")]
            assert told == [one["a"], one["b"], one["difference"], *one["range"]]
            ends = [row["interval_low"], row["interval_high"]]
            assert [float(end) for end in ends if end] == (one["interval"] or [])
            assert row["p"] == ("" if one["p"] is None else str(one["p"]))
            assert row["n"] == str(one["n"])
    assert not table
    page = (tmp_path / "out" / "comparison.html").read_text()
    lv = found["structures"]["LV"]["dice"]
    for number in (f"{lv['a']:.3f}", f"{lv['difference']:+.3f}", f"{lv['range'][0]:+.3f} … "):
        assert number in page
    assert "<h1>Two models compared</h1>" in page


def test_few_hearts_have_a_range_instead_of_p_and_interval(tmp_path: Path) -> None:
    a, b = (scores(seed) for seed in (1, 2))
    for of in (a, b):
        for heart in range(2, HEARTS):
            del of["hearts"][f"heart {heart}"]
    for folder, seed, of in ((tmp_path / "a", 1, a), (tmp_path / "b", 2, b)):
        write_scores(folder, rows(seed), of)
    found = compare_scores(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    entries = [found["mean"]["dice"], found["structures"]["LV"]["dice"]]
    for entry in entries:
        assert (entry["p"], entry["interval"], entry["n"]) == (None, None, 2)
    with console.capture() as printed:
        print_comparison(found, True)
    text = printed.get()
    low, high = entries[0]["range"]
    assert f"{low:+.3f} … {high:+.3f}" in text
    assert "2 hearts: too few for a p value or an interval (at least 6 and 10)" in text
    assert "Interval" not in text
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert f"range {low:+.3f} … {high:+.3f} of 2 hearts" in page


def test_an_evaluation_is_not_compared_with_itself(tmp_path: Path) -> None:
    a = written(tmp_path / "a", 1)
    with pytest.raises(InputError, match="is the same evaluation as A"):
        compare_scores(a, tmp_path / "a" / ".." / "a" / "scores.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_no_scores_are_the_message_says_what_to_do(tmp_path: Path) -> None:
    a = written(tmp_path / "runs" / "a", 1)
    for folder, file in (("empty", "other"), ("a run", "recipe.yaml"), ("page", "report.html")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    (tmp_path / "page" / "scores.json").touch()
    for path, message in (
        (tmp_path / "none", "none: no such file or folder; vecsetx evaluate writes it"),
        (
            tmp_path / "empty",
            "has no scores.json, .*; run vecsetx evaluate DATA --model MODEL --out .*empty",
        ),
        (tmp_path / "runs", "has no scores.json, .*; did you mean .*runs/a\\?"),
        (tmp_path / "a run", "it is a model: run vecsetx evaluate DATA --model '.*/a run' --out "),
        (tmp_path / "page" / "report.html", "not scores.json; did you mean .*/page\\?"),
    ):
        with pytest.raises(InputError, match=message):
            compare_scores(a, path, tmp_path / "out")


def test_remarks_on_hearts_are_printed_once_with_whose_they_are(
    tmp_path: Path,
) -> None:
    folders = []
    said = (["no spacing", "no unit"], ["no spacing", "no orientation"])
    for seed, remarks in enumerate(said, start=1):
        folders.append(tmp_path / str(seed))
        found = scores(seed) | {"remarks": {"heart 3": remarks}}
        write_scores(folders[-1], rows(seed), found)
    with console.capture() as printed:
        compare_scores(*folders, tmp_path / "out")
    assert printed.get().splitlines() == [
        "heart 3: no spacing",
        "heart 3: no unit (A)",
        "heart 3: no orientation (B)",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("{", "cannot be read as scores"),
        ("[]", "contains no scores"),
        ('{"summary": {}, "hearts": {}, "provenance": {}}', "run vecsetx evaluate again"),
    ],
)
def test_files_that_hold_no_scores_are_refused(tmp_path: Path, content, message) -> None:
    a = written(tmp_path / "a", 1)
    if content is not None:
        (tmp_path / "b.json").write_text(content)
    with pytest.raises(InputError, match=rf"b\.json: .*{message}"):
        compare_scores(a, tmp_path / "b.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


LEFT_OUT = object()
CHANGES: dict[str, Any] = {
    "summary": None,
    "summary.mean": [],
    "summary.structures.LV": 1,
    "hearts.heart 3": "x",
    "hearts.heart 3.LV": "x",
    "hearts.heart 3.LV.state": None,
    "hearts.heart 3.LV.truth_ml": LEFT_OUT,
    "hearts.heart 3.LV.dice": 7,
    "hearts.heart 3.LV.iou": -0.1,
    "hearts.heart 3.Aorta.cldice": "x",
    "hearts.heart 3.LV.hd95_mm": [],
    "hearts.heart 3.LV.assd_mm": True,
    "remarks": "x",
    "scoring": [],
    "provenance": None,
}
"""Entry of ``scores.json`` → what somebody put there."""


@pytest.mark.parametrize("entry", CHANGES)
def test_scores_that_no_evaluation_has_are_refused(tmp_path: Path, entry: str) -> None:
    a, b = written(tmp_path / "a", 1), written(tmp_path / "b", 2)
    scores = json.loads((b / "scores.json").read_text())
    del scores["sha256"]
    *path, last = entry.split(".")
    changed = scores
    for name in path:
        changed = changed[name]
    if CHANGES[entry] is LEFT_OUT:
        del changed[last]
    else:
        changed[last] = CHANGES[entry]
    (b / "scores.json").write_text(json.dumps(scores))
    with pytest.raises(InputError, match=r"b.scores\.json: damaged scores: ") as refused:
        compare_scores(a, b, tmp_path / "out")
    assert last in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_scores_that_were_changed_are_refused_unless_that_was_meant(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", 1), written(tmp_path / "b", 2)
    scores = json.loads((b / "scores.json").read_text())
    scores["hearts"]["heart 3"]["LV"]["dice"] = 0.5
    (b / "scores.json").write_text(json.dumps(scores))
    with pytest.raises(InputError, match="it was changed after vecsetx evaluate wrote it"):
        compare_scores(a, b, tmp_path / "out")
    del scores["sha256"]
    (b / "scores.json").write_text(json.dumps(scores))
    assert compare_scores(a, b, tmp_path / "out")["hearts"]


@pytest.mark.parametrize(("hearts", "smallest"), [(5, None), (6, 2 / 2**6)])
def test_p_needs_six_hearts_to_be_below_005(hearts: int, smallest: float | None) -> None:
    """Of n hearts that all got better, which one outcome of 2ⁿ either way matches."""

    def model(gain: float) -> dict[str, Any]:
        found = [
            Score(f"heart {k}", "LV", "found", {"dice": 0.5 + gain * (k + 1), "truth_ml": 1.0})
            for k in range(hearts)
        ]
        return summarize(found) | {"scoring": {}, "provenance": {}}

    found = compare(model(0.0), model(0.01), BOOTSTRAP)["structures"]["LV"]["dice"]
    assert found["p"] == (smallest and pytest.approx(smallest))
    assert smallest is None or found["p"] < 0.05 <= 2 / 2**5
