"""What is shown and written down of a training run."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import Clock
from support.waiting import wait_until

from vecsetx.terminal import progress_bars, training_display
from vecsetx.terminal.run_log import RunLog
from vecsetx.terminal.silence import CommandConsole
from vecsetx.training.journal import Entry


@contextmanager
def display(total_steps: int, log: Path) -> Iterator[Callable[[Entry], None]]:
    """Report entries to a display as the training loop does."""
    with training_display.training_display(total_steps, RunLog(log)) as shown:

        def tell(entry: Entry) -> None:
            shown.entry(entry)
            if entry.split == "train":
                shown.step(entry.step)

        yield tell


TRAIN = Entry(
    step=100,
    split="train",
    loss=0.5,
    terms={"near": 0.3, "inside": 0.2, "kl": 1.25e-5},
    shares={"near": 0.6, "inside": 0.4, "kl": 2.5e-5},
    lr=0.005,
    seconds=100.0,
    waiting=0.034,
    hearts_per_second=8.25,
    memory_gb=21.34,
)
TRAIN_LINE = (
    "step 100: loss 0.500 (near 0.300 60%, inside 0.200 40%, kl 1.25e-05 0%), "
    "learning rate 0.00500, throughput 8.2 hearts/s, memory 21.3 GB, waiting 3% for data"
)
VAL = Entry(
    step=100,
    split="val",
    loss=0.6,
    terms={"near": 0.35, "inside": 0.25},
    seconds=101.0,
    grid_dice=0.8125,
    grid={"LV": 0.9, "LA": 0.7},
    grid_hearts=["case1", "case2"],
    points={"LV": {"dice": 0.9}, "LA": {"dice": 0.8}, "PV": {"dice": float("nan")}},
)
VAL_LINE = (
    "step 100: validation: loss 0.600 (near 0.350, inside 0.250), "
    "grid Dice 0.812 (LV 0.900, LA 0.700 of case1 case2), points Dice 0.850"
)


def prints_to(monkeypatch: pytest.MonkeyPatch, console: CommandConsole) -> io.StringIO:
    for module in (progress_bars, training_display):
        monkeypatch.setattr(module, "console", console)
    assert isinstance(console.file, io.StringIO)
    return console.file


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed where there is no terminal."""
    return prints_to(monkeypatch, CommandConsole(file=io.StringIO(), width=200))


def terminal(monkeypatch: pytest.MonkeyPatch, width: int = 100) -> io.StringIO:
    monkeypatch.setenv("TERM", "xterm-256color")
    screen = CommandConsole(
        file=io.StringIO(), width=width, height=40, force_terminal=True, color_system=None
    )
    return prints_to(monkeypatch, screen)


def uncoloured(screen: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def last_picture(screen: io.StringIO) -> list[str]:
    """The lines of the last picture that was drawn."""
    drawn = uncoloured(screen).split("\r")[-1].splitlines()
    return [line.rstrip() for line in drawn if line.strip()]


def logged(log: Path) -> list[str]:
    """The lines of a log; each has to begin with date and time."""
    found = [
        re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.*)", line)
        for line in log.read_text().splitlines()
    ]
    assert all(found)
    return [line[1] for line in found if line]


def test_the_log_has_every_entry_at_once_and_goes_on(lines: io.StringIO, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    with display(1000, log) as tell:
        tell(TRAIN)
        assert logged(log) == [TRAIN_LINE]
        tell(VAL)
        assert logged(log) == [TRAIN_LINE, VAL_LINE]
    with display(1000, log) as tell:
        tell(replace(TRAIN, step=125))
    assert logged(log) == [TRAIN_LINE, VAL_LINE, TRAIN_LINE.replace("100", "125")]
    assert "case1" not in lines.getvalue()


def test_the_log_is_the_same_from_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal(monkeypatch, width=60)
    with display(1000, tmp_path / "train.log") as tell:
        tell(TRAIN)
        tell(VAL)
    assert logged(tmp_path / "train.log") == [TRAIN_LINE, VAL_LINE]


def test_a_line_says_only_what_is_known(lines: io.StringIO, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    with display(1000, log) as tell:
        tell(Entry(step=1, split="train", loss=2.0))
        tell(Entry(step=1, split="val", grid_dice=0.5))
        tell(Entry(step=1, split="val", error="OutOfMemoryError: 2 GB\n\n  asked for"))
    assert logged(log) == [
        "step 1: loss 2.00",
        "step 1: validation: grid Dice 0.500",
        "step 1: validation failed: OutOfMemoryError: 2 GB asked for",
    ]


def test_a_run_that_goes_on_longer_is_logged(lines: io.StringIO, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    with display(200, log) as tell:
        tell(Entry(step=120, split="length", steps=200, former_steps=120))
        tell(replace(TRAIN, step=125))
    assert logged(log)[0] == (
        "step 120: continues as a run of 200 instead of 120 steps; the learning rate follows the "
        "new schedule from here on"
    )


def test_the_unit_of_the_throughput_stays_the_same(lines: io.StringIO, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    with display(200, log) as tell:
        for step, pace in enumerate((0.6, 0.3, 12.0), start=1):
            tell(Entry(step=step, split="train", loss=1.0, hearts_per_second=pace))
    paces = [line.partition("throughput ")[2] for line in logged(log)]
    assert paces == ["0.6 hearts/s", "0.3 hearts/s", "12 hearts/s"]


def test_lost_hearts_are_named_when_there_are_more(lines: io.StringIO, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    with display(1000, log) as tell:
        for step, lost in enumerate([[], ["a"], ["a"], ["a", "b\udcff"]], start=1):
            tell(Entry(step=step, split="train", loss=1.0, lost=lost))
            tell(Entry(step=step, split="val", grid_dice=0.5))
    train = [line.partition("loss 1.00")[2] for line in logged(log) if "validation" not in line]
    assert train == ["", ", lost hearts a", "", ", lost hearts a b\\udcff"]


def test_elsewhere_lines_come_every_4_s(clock: Clock, lines: io.StringIO, tmp_path: Path) -> None:
    with display(400, tmp_path / "train.log") as tell:
        for step in range(10, 401, 10):
            clock.now += 4.0
            tell(replace(TRAIN, step=step, loss=100 / step))
            if step % 100 == 0:
                tell(replace(VAL, step=step, grid_dice=0.9 - step / 1000))
    told = lines.getvalue().splitlines()
    # One for each report, and one for the last validation.
    assert len(told) == 40 + 1
    assert told[0] == "training: 10/400 loss 10.0 (for 4 s)"
    assert told[3] == "training: 40/400 loss 2.50 (2.5 steps/s, 2 min left)"
    assert told[-1] == (
        "training: 400/400 loss 0.250, grid Dice 0.500, best 0.800 (2.5 steps/s, took 3 min)"
    )


@pytest.mark.parametrize("width", [50, 60, 79, 100, 200])
def test_a_terminal_shows_all_of_it_at_any_width(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: int
) -> None:
    screen = terminal(monkeypatch, width)
    with display(9000, tmp_path / "train.log") as tell:
        for step in (50, 100):
            clock.now += 100.0
            tell(replace(TRAIN, step=step, lost=["a", "b"]))
        tell(VAL)
        tell(replace(VAL, loss=0.7, terms={"near": 0.45, "inside": 0.25}, grid_dice=0.75))
        tell(Entry(step=100, split="val", error="out of memory"))  # leaves what was there
    picture = last_picture(screen)
    assert max(map(len, picture)) <= width
    assert "…" not in "".join(picture)
    assert re.match(r". training [━╸╺ ]+ +100/9000 0:00:00$", picture[0])
    words = [" ".join(re.sub("[━╸╺]", "", line).split()) for line in picture]
    table = ["train share val", "loss 0.500 0.700", "near 0.300 60% 0.450"]
    table += ["inside 0.200 40% 0.250", "kl 1.25e-05 0%"]
    facts = ["pace 0.5 steps/s", "time left 5 h", "learning rate 0.00500"]
    facts += ["throughput 8.2 hearts/s", "memory 21.3 GB", "waiting 3% for data"]
    facts += ["grid Dice 0.750, best 0.812", "lost hearts 2"]
    if width < 79:  # below each other
        assert words[1:] == table + facts
    else:
        assert all(line.startswith(row) for line, row in zip(words[1:6], table, strict=True))
        assert all(line.endswith(fact) for line, fact in zip(words[1:], facts, strict=True))


def test_the_bars_show_the_shares(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    screen = terminal(monkeypatch)
    with display(9000, tmp_path / "train.log") as tell:
        tell(TRAIN)
    lengths = [line.count("━") for line in last_picture(screen)[3:6]]
    assert lengths == [6, 4, 0]


def test_before_the_first_entry_there_is_the_bar_and_it_moves_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = terminal(monkeypatch)
    with display(9000, tmp_path / "train.log"):
        assert wait_until(lambda: len(set(re.findall(r"(.) training", screen.getvalue()))) > 2)
    assert re.fullmatch(
        r". training [━ ]+ +0/9000 0:0\d:\d\d\n", uncoloured(screen).split("\r")[-1]
    )


def test_at_the_end_no_time_is_left(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = terminal(monkeypatch)
    with display(100, tmp_path / "train.log") as tell:
        for step in (50, 100):
            clock.now += 50
            tell(replace(TRAIN, step=step))
    told = "\n".join(last_picture(screen))
    assert "1.0 steps/s" in told
    assert "time left" not in told


def test_a_terminal_that_cannot_go_back_gets_lines(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with display(9000, tmp_path / "train.log") as tell:
        clock.now += 20
        tell(TRAIN)
        assert screen.getvalue() == "training: 100/9000 loss 0.500 (for 20 s)\n"


def test_warnings_stand_whole_above_the_display(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = terminal(monkeypatch, width=60)
    warning = "a long warning " * 10 + "/with/a/path" * 10
    with display(9000, tmp_path / "train.log") as tell:
        tell(TRAIN)
        training_display.console.print(warning, soft_wrap=True)
        print("something printed", file=sys.stderr)
    shown = screen.getvalue()
    assert shown.count(warning + "\n") == 1
    assert shown.count("something printed\n") == 1
    assert shown.rindex("something printed") < shown.rindex("100/9000") < shown.rindex("waiting")
    assert all(len(line) <= 60 for line in last_picture(screen))


def test_a_run_that_ends_early_leaves_the_terminal_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = terminal(monkeypatch)
    before = sys.stdout, sys.stderr

    def train() -> None:
        with display(9000, tmp_path / "train.log") as tell:
            tell(TRAIN)
            raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        train()
    assert (sys.stdout, sys.stderr) == before
    hidden, shown = (screen.getvalue().rfind(code) for code in ("\x1b[?25l", "\x1b[?25h"))
    assert 0 <= hidden < shown
    assert last_picture(screen)[-1].startswith("kl ")
    assert logged(tmp_path / "train.log") == [TRAIN_LINE]


def test_the_best_may_be_of_before_the_run_was_resumed(
    clock: Clock, lines: io.StringIO, tmp_path: Path
) -> None:
    earlier = {"step": 50, "split": "val", "grid_dice": 0.9, "seconds": 1.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(earlier) + "\n")
    with display(100, tmp_path / "train.log") as tell:
        tell(VAL)
        tell(replace(VAL, grid_dice=0.95))
    first, second = lines.getvalue().splitlines()
    assert "grid Dice 0.812, best 0.900" in first
    assert "grid Dice 0.950, best 0.950" in second


@pytest.mark.parametrize("later", [{"error": "out of memory"}, {"loss": 0.7}])
def test_the_last_dice_stays_where_a_validation_has_none(
    lines: io.StringIO, tmp_path: Path, later: dict
) -> None:
    with display(100, tmp_path / "train.log") as tell:
        tell(VAL)
        tell(Entry(step=100, split="val", **later))
    assert "grid Dice 0.812, best 0.812" in lines.getvalue().splitlines()[-1]


def test_a_log_that_cannot_be_written_is_told_once_and_made_up_for(
    lines: io.StringIO, tmp_path: Path
) -> None:
    log = RunLog(tmp_path / "train.log")
    log.path.mkdir()
    for _ in range(3):
        log.write("one")
    assert lines.getvalue().count("train.log: not written (Is a directory)") == 1
    log.path.rmdir()
    log.warn("two\nlines")
    assert logged(log.path) == ["two lines"]
    assert "two\nlines" in lines.getvalue()


def test_the_log_says_why_a_run_ended(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "train.log")
    with pytest.raises(KeyError), log.of_errors():
        raise KeyError("LAA")
    assert logged(log.path) == ["KeyError: 'LAA'"]
