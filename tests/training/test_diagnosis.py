"""What is said of a run: of real ones whose fault is known, and of journals made up for it."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.faulty_runs import train_faulty_runs
from support.forked import forked
from support.runs import RECIPE
from support.shared import made_once
from support.waiting import LONGEST_SECONDS

from vecsetx.anatomy.structures import structure
from vecsetx.cli import main
from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.report.curves import write_curves
from vecsetx.report.figures import POINTS_PER_CURVE, curve, training_curves
from vecsetx.training.diagnosis import FEWEST_ENTRIES, FEWEST_STEPS, diagnose
from vecsetx.training.journal import Journal, read_journal
from vecsetx.training.optimizer import OptimizerSpec, rate_share
from vecsetx.training.spec import TrainingSpec

LOW, HIGH, PLATEAU = "learning rate too low", "learning rate too high", "plateau"
FAULTS = {"sound": [], "low": [LOW], "high": [HIGH], "surface": ["surface dominates the loss"]}


@pytest.fixture(scope="module")
def runs(dataset: DataSet) -> Path:
    """A folder with a real run for each of ``FAULTS``.

    They are made by a process of its own: checking every shape would double the time they take.
    """

    def make(folder: Path) -> None:
        process = forked(train_faulty_runs, dataset.folder, folder)
        process.join(LONGEST_SECONDS)
        assert process.exitcode == 0

    return made_once("runs", make)


def faults(entries: list[dict]) -> list[str]:
    return [finding.fault for finding in diagnose(entries).findings]


def journal(
    losses: np.ndarray,
    steps: int = 4000,
    terms: dict[str, np.ndarray] | None = None,
    waiting: float = 0.01,
) -> list[dict]:
    """Entries with this loss under the usual schedule, of two equal terms if none are given."""
    every, spec = steps // len(losses), OptimizerSpec()
    terms = terms or {"near": losses / 2, "inside": losses / 2}
    return [
        {
            "step": (i + 1) * every,
            "split": "train",
            "loss": float(loss),
            "terms": {name: float(values[i]) for name, values in terms.items()},
            "shares": {name: float(values[i] / loss) for name, values in terms.items()},
            "lr": 0.005 * rate_share((i + 1) * every - 1, steps, spec),
            "seconds": (i + 1) * every / 20,
            "waiting": waiting,
        }
        for i, loss in enumerate(losses)
    ]


@cache
def moved(count: int, steps: int = 4000) -> np.ndarray:
    """Share of the rates of all steps that is done at each of ``count`` entries."""
    rates = np.array([entry["lr"] for entry in journal(np.ones(count), steps)])
    return (np.cumsum(rates) - rates / 2) / rates.sum()


def learned(count: int, exponent: float = 0.5) -> np.ndarray:
    """A sound course: a power law of what the rates add up to, as means between entries."""
    every_step = (0.02 + moved(4000)) ** -exponent
    return np.array([part.mean() for part in np.array_split(every_step, count)])


def validations(*dice: float, steps: int = 4000) -> list[dict]:
    every = steps // len(dice)
    return [
        {"step": (i + 1) * every, "split": "val", "grid_dice": value, "seconds": 1.0}
        for i, value in enumerate(dice)
    ]


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("merged", [1, 3])
def test_real_runs_get_the_name_of_their_fault(runs: Path, name: str, merged: int) -> None:
    """Also as they would have been logged, had they been so less often.

    How long they waited for data depends on the machine, so that it is left out.
    """
    entries = read_journal(runs / name / "metrics.jsonl")
    groups = [entries[i : i + merged] for i in range(0, len(entries), merged)]
    seen = [
        group[-1]
        | {"waiting": 0.0}
        | {"loss": float(np.mean([entry["loss"] for entry in group]))}
        | {
            "terms": {
                term: float(np.mean([entry["terms"][term] for entry in group]))
                for term in group[0]["terms"]
            }
        }
        for group in groups
    ]
    found = faults(seen)
    if merged > 1 and "plateau" not in FAULTS[name]:
        # Few entries may look level, too: that depends on how a PyTorch release rounds.
        found = [fault for fault in found if fault != "plateau"]
    assert found == FAULTS[name]


@given(
    count=st.integers(FEWEST_ENTRIES, 400),
    exponent=st.floats(0.5, 0.8),
    scale=st.floats(1e-3, 1e3),
    noise=st.floats(0, 0.02),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_sound_runs_have_no_fault_at_any_scale(
    count: int, exponent: float, scale: float, noise: float, seed: int
) -> None:
    jitter = np.exp(noise * np.random.default_rng(seed).standard_normal(count))
    found = diagnose(journal(scale * learned(count, exponent) * jitter))
    assert not found.findings
    assert not found.too_short
    assert found.lines()[0].startswith("no fault found: loss from ")


@given(count=st.integers(FEWEST_ENTRIES, 300), left=st.floats(0.5, 0.97), scale=st.floats(0.01, 9))
@settings(max_examples=40)
def test_a_straight_line_is_too_low_a_rate(count: int, left: float, scale: float) -> None:
    course = 1 - (1 - left) * moved(count)
    assert faults(journal(scale * course / course[0])) == [LOW]


@given(count=st.integers(FEWEST_ENTRIES, 300), scale=st.floats(0.01, 9))
@settings(max_examples=30)
def test_a_loss_that_does_not_move_is_too_low_a_rate(count: int, scale: float) -> None:
    assert faults(journal(np.full(count, scale))) == [LOW]


@given(count=st.integers(12, 300), scale=st.floats(0.01, 9))
@settings(max_examples=40)
def test_a_loss_in_proportion_to_the_rate_is_too_high_a_rate(count: int, scale: float) -> None:
    rates = np.array([entry["lr"] for entry in journal(np.ones(count))])
    assert faults(journal(scale * (rates + 0.001))) == [HIGH]


def test_a_rate_that_rose_again_says_nothing_of_its_first_fall() -> None:
    """As in a run that was resumed with more steps."""
    entries = journal(journal_rates := np.array([e["lr"] for e in journal(np.ones(100))]) + 0.001)
    assert faults(entries) == [HIGH]
    resumed = [entry | {"step": entry["step"] + 4000} for entry in entries[60:]]
    for entry, loss in zip(resumed, journal_rates[-1] * np.linspace(1, 0.3, 40), strict=True):
        entry["loss"] = float(loss)
    assert HIGH not in faults(entries + resumed)


def test_a_loss_that_rises_or_jumps_is_too_high_a_rate() -> None:
    rising = learned(40)
    rising[-10:] *= np.linspace(1, 3, 10)
    assert faults(journal(rising)) == [HIGH]
    jumping = np.exp(0.4 * np.random.default_rng(0).standard_normal(40))
    assert faults(journal(jumping)) == [HIGH]
    assert faults(journal(learned(40))) == []


@given(count=st.integers(20, 300), at=st.floats(0.1, 0.25), level=st.floats(0.05, 0.8))
@settings(max_examples=40)
def test_a_plateau_is_one_only_while_the_rate_is_up(count: int, at: float, level: float) -> None:
    course = np.maximum(1 - (1 - level) * moved(count) / at, level)
    assert faults(journal(course)) == [PLATEAU]
    late = learned(count)
    rates = np.array([entry["lr"] for entry in journal(late)])
    low = np.arange(count) >= np.flatnonzero(rates >= 0.0005)[-1]
    late[low] = late[low][0]
    assert faults(journal(late)) == []


@pytest.mark.parametrize(("share", "expected"), [(0.95, ["near dominates the loss"]), (0.85, [])])
def test_a_term_dominates_above_nine_tenths(share: float, expected: list[str]) -> None:
    loss = learned(40)
    entries = journal(loss, terms={"near": share * loss, "inside": (1 - share) * loss})
    assert faults(entries) == expected
    for entry in entries:  # the only term there is dominates nothing
        entry["terms"] = {"near": entry["loss"]}
    assert faults(entries) == []


def test_a_dominating_term_is_told_what_would_balance_it() -> None:
    loss = learned(40)
    terms = {"near": 0.98 * loss, "inside": 0.01 * loss, "kl": 0.01 * loss}
    (finding,) = diagnose(journal(loss, terms=terms)).findings
    assert "multiply objective.near by 0.01 " in finding.text


@given(dead=st.floats(0.15, 0.5), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_a_term_that_never_moves_is_named(dead: float, seed: int) -> None:
    jitter = np.exp(0.01 * np.random.default_rng(seed).standard_normal(40))
    near, inside = learned(40), dead * jitter
    entries = journal(near + inside, terms={"near": near, "inside": inside})
    assert faults(entries) == ["inside does not change"]
    falling = (1 + dead) * near
    assert faults(journal(falling, terms={"near": near, "inside": dead * near})) == []


def test_a_term_stands_still_only_where_the_loss_does_not() -> None:
    flat = np.full(40, 2.0)
    assert "inside does not change" not in faults(journal(flat))


def test_validation_that_falls_behind() -> None:
    train = journal(learned(40))
    assert faults(train + validations(0.6, 0.8, 0.77, 0.74)) == ["overfitting"]
    assert faults(train + validations(0.6, 0.7, 0.8, 0.76)) == []  # one alone may be chance
    assert faults(train + validations(0.6, 0.8, 0.79, 0.79)) == []
    stopped = np.r_[learned(40)[:20], np.full(20, learned(40)[19])]
    found = faults(journal(stopped) + validations(0.6, 0.8, 0.77, 0.74))
    assert found == [PLATEAU]  # the loss fell no more either


def test_failed_validations_and_waiting_are_told_with_their_remedies() -> None:
    failed = {"step": 2000, "split": "val", "error": "MemoryError: <b>", "seconds": 1.0}
    entries = [*journal(learned(40), waiting=0.55), *validations(0.5, 0.6), failed]
    failure, waiting = diagnose(entries).findings
    assert failure.fault == "validations failed"
    assert "1 of 3" in failure.text
    assert "after step 2000" in failure.text
    assert "MemoryError: <b>" in failure.text
    assert waiting.text.startswith("55% of the time")
    assert "training.data_workers" in waiting.text
    assert "best grid Dice 0.600 at step 4000" in diagnose(entries).figures
    assert faults(journal(learned(40), waiting=0.2)) == []


@pytest.mark.parametrize(
    ("entries", "steps", "counted", "enough"),
    [
        (5, 120, "5 times over 120 steps", 192),
        (7, 4200, "7 times over 4200 steps", 4800),
        (1, 1, "1 time over 1 step", 50),
        (40, 40, "40 times over 40 steps", 50),
        (2, 20, "2 times over 20 steps", 80),
    ],
)
def test_runs_too_short_to_judge_say_how_many_steps_are_enough(
    entries: int, steps: int, counted: str, enough: int
) -> None:
    found = diagnose(journal(np.ones(entries), steps))
    assert not found.findings
    assert found.lines()[0] == (
        f"too short to judge: losses were logged {counted}, at least 8 over 50 are needed; "
        f"training.steps={enough} is enough"
    )
    assert found.enough == enough
    # Resumed for as long, with entries as far apart, it is judged.
    longer = diagnose(journal(np.ones(enough * entries // steps), enough))
    assert (longer.too_short, longer.enough) == ("", 0)


def test_a_run_without_entries_is_too_short() -> None:
    assert diagnose([]).lines() == [
        "too short to judge: no loss was logged yet",
        "no training steps in the journal",
    ]


@given(st.integers(FEWEST_STEPS, 200_000))
def test_runs_long_enough_have_entries_enough(steps: int) -> None:
    interval = TrainingSpec(steps=steps).log_interval
    assert steps // interval >= 48
    assert interval <= 50
    assert TrainingSpec(steps=steps, log_every=1000).log_interval == 1000


def test_losses_that_are_no_number_are_left_out() -> None:
    entries = journal(learned(40))
    entries[20]["loss"] = float("nan")
    assert faults(entries) == []


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["vecsetx", *map(str, words)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def write_journal(folder: Path, entries: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_the_command_tells_and_draws(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = runs / "low" / "curves.html"
    assert page.exists()  # from the end of its training
    page.unlink()
    assert run(monkeypatch, "diagnose", runs / "low") == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"{LOW}: ")
    assert "raise optimizer.muon_lr and optimizer.adamw_lr" in printed
    assert str(page) in printed
    assert page.exists()
    write_journal(tmp_path, journal(learned(40)))
    assert run(monkeypatch, "diagnose", tmp_path) == 0
    assert capsys.readouterr().out.startswith("no fault found: loss from ")


def test_every_training_ends_with_it(
    dataset: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert "too short to judge: losses were logged 4 times over 8 steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "curves.html").exists()
    train_model(dataset.folder, tmp_path / "begun", RECIPE, stop_after=1)  # before the first entry
    assert "no training steps" in capsys.readouterr().out


def test_a_page_that_cannot_be_written_does_not_fail_a_training(
    dataset: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "curves.html").mkdir(parents=True)
    train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert "no curves.html" in capsys.readouterr().out
    assert (tmp_path / "run" / "model").is_dir()


def test_a_line_cut_off_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_journal(tmp_path, journal(learned(40)))
    with path.open("a") as file:
        file.write('{"step": 4100, "split": "tr')
    assert run(monkeypatch, "diagnose", tmp_path) == 0
    assert "in 4000 steps" in capsys.readouterr().out


LINES = (
    "[" * 100_000,
    '{"step": ' + "9" * 5000 + ', "split": "train"}',
    '{"step": null, "split": "train", "loss": 1, "lr": 1}',
    '{"step": "a0", "split": "train", "loss": 1, "lr": 1}',
    '{"step": -1, "split": "train", "loss": 1, "lr": 1}',
    '{"step": 1, "split": "train", "loss": 1}',
    '{"step": 1, "split": "train", "loss": 1' + "0" * 400 + ', "lr": 1}',
    '{"step": 1, "split": "train", "loss": 1, "lr": 1, "seconds": "long"}',
    '{"step": 1, "split": "val", "grid": {"LV": "x"}}',
    '{"step": 1, "split": "val", "points": {"LV": 3}}',
    '{"step": 1, "step": 2, "split": "val"}',
    "[1]",
    "\udcff",
)


def test_a_journal_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_journal(tmp_path / "run", journal(learned(40)))
    path = tmp_path / "run" / "metrics.jsonl"
    sound = path.read_bytes()
    for line in LINES:
        path.write_bytes(sound + line.encode(errors="surrogateescape") + b"\n")
        assert run(monkeypatch, "diagnose", tmp_path / "run") == 2
        told = capsys.readouterr().err
        assert told.startswith(f"vecsetx: {path}, line 41: no entry of a journal ("), told
        assert told.count("\n") == 1
        with pytest.raises(InputError, match="line 41: no entry"):
            Journal(path, 1000)
    path.write_bytes(sound + b'{"step": 1, "spl')  # of a run that was killed
    assert len(read_journal(path)) == 40


def test_what_cannot_be_diagnosed_is_said_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "metrics.jsonl").write_text("{\n{}\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.jsonl").write_text('{"epoch": 1}\n')
    write_journal(tmp_path / "run", journal(learned(40)))
    for words, told in (
        (("diagnose", tmp_path / "nothing"), "metrics.jsonl: no such file"),
        (("diagnose", tmp_path / "damaged"), "metrics.jsonl, line 1: no entry of a journal"),
        (("diagnose", tmp_path / "other"), "no entry of a journal (step"),
        (("diagnose", "data", tmp_path / "run"), "unexpected extra argument"),
        (("diagnose",), "Missing argument 'RUN'"),
        (("train", "--out", tmp_path / "new"), "Missing argument 'DATA'"),
        (("plan",), "Missing argument 'DATA'"),
    ):
        assert run(monkeypatch, *words) == 2
        assert told in capsys.readouterr().err
    assert [file.name for file in tmp_path.rglob("curves.html")] == []


def payload(source: str) -> dict:
    text = source.split('<script type="application/json" id="data">', 1)[1]
    return json.loads(text.split("</script>", 1)[0])


def test_the_page_stands_alone_and_shows_every_curve(runs: Path) -> None:
    source = (runs / "sound" / "curves.html").read_text()
    assert source.count('id="plotly"') == 1
    for foreign in ("http://", "https://", "src=", "<link", "@import", "url("):
        assert foreign not in source
    assert "default-src 'none'" in source
    entries = read_journal(runs / "sound" / "metrics.jsonl")
    drawn = [[trace["name"] for trace in f["data"]] for f in payload(source)["plots"].values()]
    terms = list(entries[0]["terms"])
    assert drawn == [["training"], terms, terms, ["learning rate"], terms, ["waiting"]]
    loss = payload(source)["plots"]["curve-0"]["data"][0]
    assert loss["x"] == [entry["step"] for entry in entries]
    assert loss["y"] == [entry["loss"] for entry in entries]
    assert f"{entries[-1]['loss']:.4g}" in source


def test_the_page_shows_findings_first_and_lets_no_text_out(tmp_path: Path) -> None:
    error = "</script><script>alert(1)</script>"
    failed = {"step": 2000, "split": "val", "error": error, "seconds": 1.0}
    entries = [*journal(learned(40)), *validations(0.5, 0.6), failed]
    entries[3]["waiting"] = float("nan")
    write_curves(tmp_path / "curves.html", "<b>run", entries, diagnose(entries))
    own = (tmp_path / "curves.html").read_text()
    assert error not in own
    assert "<b>run" not in own
    assert own.index("Validations failed") < own.index("Dice on the voxel grid")
    dice = payload(own)["plots"]["curve-1"]["data"][0]
    assert dice["y"] == [0.5, 0.6]


def test_the_page_shows_what_validations_found(tmp_path: Path) -> None:
    entries = journal(learned(40))
    for n, entry in enumerate(validations(0.5, 0.6, 0.7)):
        entry |= {"loss": 0.9 - n / 10, "terms": {"near": 0.5 - n / 10, "inside": 0.4}}
        entry["grid"] = {"LV": 0.8 + n / 100} | ({"Coronary": 0.3} if n else {})
        dice = {"LV": 0.9 + n / 100, "LA": 0.7, "PV": float("nan")}
        entry["points"] = {name: {"dice": value, "iou": 0.1} for name, value in dice.items()}
        entries.append(entry)
    write_curves(tmp_path / "curves.html", "run", entries, diagnose(entries))
    source = (tmp_path / "curves.html").read_text()
    titles = re.findall("<figcaption><b>(.*?)</b>", source)
    plots = payload(source)["plots"]
    drawn = {
        title: {trace["name"]: trace for trace in plots[f"curve-{n}"]["data"]}
        for n, title in enumerate(titles)
    }
    steps = [entry["step"] for entry in entries[40:]]
    loss = drawn["Loss"]
    assert list(loss) == ["training", "validation"]
    assert (loss["validation"]["x"], loss["validation"]["y"]) == (steps, [0.9, 0.8, 0.7])
    assert loss["training"]["y"] == [entry["loss"] for entry in entries[:40]]
    terms = drawn["Loss terms (validation)"]
    assert terms["near"]["y"] == pytest.approx([0.5, 0.4, 0.3])
    assert terms["inside"]["y"] == [0.4, 0.4, 0.4]
    grid = drawn["Dice per structure"]
    assert (grid["LV"]["x"], grid["LV"]["y"]) == (steps, pytest.approx([0.8, 0.81, 0.82]))
    assert (grid["Coronary"]["x"], grid["Coronary"]["y"]) == (steps[1:], [0.3, 0.3])
    for name, trace in grid.items():
        assert trace["line"] == {"width": 2, "color": f"rgba{(*structure(name).color, 1)}"}
    assert drawn["Dice at sample points"]["mean"]["y"] == pytest.approx([0.8, 0.805, 0.81])


@given(count=st.integers(1, 2000))
@settings(max_examples=20)
def test_thinned_curves_keep_the_mean_and_the_ends(count: int) -> None:
    rows = [{"step": n, "value": 2.0 * n**2} for n in range(count)]
    drawn = curve("v", rows, lambda row: row["value"], line_width=5)
    assert len(drawn.x) == min(count, POINTS_PER_CURVE)
    weights = [len(run) for run in np.array_split(np.arange(count), len(drawn.x))]
    mean = np.mean([row["value"] for row in rows])
    assert np.average(drawn.y, weights=weights) == pytest.approx(mean)
    assert drawn.x[0] <= count / POINTS_PER_CURVE
    assert drawn.x[-1] >= count - 1 - count / POINTS_PER_CURVE
    assert drawn.line.width == 5
    assert curve("v", rows, lambda row: float("nan")) is None


@pytest.mark.parametrize(("lowest", "dtick"), [(0.052, None), (0.01, "D2")])
def test_logarithmic_curves_have_ticks_however_little_they_span(
    lowest: float, dtick: str | None
) -> None:
    entries = [
        {"step": step, "split": "val", "loss": loss} for step, loss in enumerate([0.09, lowest])
    ]
    yaxis = training_curves(entries)["Loss"]["layout"]["yaxis"]
    assert yaxis["type"] == "log"
    assert yaxis.get("dtick") == dtick


def test_a_page_of_nothing(tmp_path: Path) -> None:
    write_curves(tmp_path / "curves.html", "run", [], diagnose([]))
    assert "not judged" in (tmp_path / "curves.html").read_text()
