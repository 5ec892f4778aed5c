"""What is told of work on its way: count, pace and time left."""

import io
import re
import time
from collections.abc import Callable

import pytest
from support.clock import Clock

from vecsetx.progress import counted_parts, duration_text, stage
from vecsetx.terminal import progress_bars
from vecsetx.terminal.progress_bars import RateTexts, steps, waiting
from vecsetx.terminal.silence import CommandConsole


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed where there is no terminal."""
    text = io.StringIO()
    monkeypatch.setattr(progress_bars, "console", CommandConsole(file=text, width=200))
    return text


def test_plain_lines_tell_count_note_pace_and_time_left(clock: Clock, lines: io.StringIO) -> None:
    with steps("sampling hearts", 998, "hearts") as shown:
        for i in range(998):
            clock.now += 1.25
            shown.advance(note=f"case{i + 1:03d}")
    told = lines.getvalue().splitlines()
    assert told[0] == "sampling hearts: 3/998 case003 (0.8 hearts/s, 21 min left)"
    assert told[36] == "sampling hearts: 111/998 case111 (0.8 hearts/s, 18 min left)"
    assert told[-1] == "sampling hearts: 998/998 case998 (0.8 hearts/s, took 21 min)"
    assert len(told) == 998 // 3 + 1  # every 3.75 s, and the last


def test_after_an_hour_lines_come_less_often(clock: Clock, lines: io.StringIO) -> None:
    with steps("sampling hearts", 10_000, "hearts") as shown:
        for _ in range(7200):
            clock.now += 1.0
            shown.advance()
    assert len(lines.getvalue().splitlines()) == 3600 // 4 + 3600 // 15


@pytest.mark.parametrize(("step_s", "first"), [(0.5, 8), (1.5, 2), (4.0, 1), (9.0, 1)])
def test_the_first_line_comes_within_4_s_or_with_the_first_step(
    step_s: float, first: int, clock: Clock, lines: io.StringIO
) -> None:
    with steps("training", 1000) as shown:
        for done in range(1, first + 1):
            assert not lines.getvalue()
            clock.now += step_s
            shown.reach(done)
    assert lines.getvalue().startswith(f"training: {first}/1000 (")


def test_time_left_is_told_from_the_second_report_on(clock: Clock, lines: io.StringIO) -> None:
    with steps("training", 10) as shown:
        for done in range(1, 4):
            clock.now += 30.0 if done == 1 else 20.0
            shown.reach(done)
    assert lines.getvalue().splitlines() == [
        "training: 1/10 (for 30 s)",
        "training: 2/10 (3.0 steps/min, 3 min left)",
        "training: 3/10 (3.0 steps/min, 2 min left)",
    ]


def test_time_left_runs_down_within_a_step_until_it_takes_longer_than_those_before(
    clock: Clock, lines: io.StringIO
) -> None:
    with steps("reconstructing hearts", 3, "hearts") as shown:
        for done in range(2):
            clock.now += 20.0
            shown.reach(done + 1)
        for _ in range(3):
            clock.now += 8.0
            shown.print_line()
    assert [line.partition("(")[2] for line in lines.getvalue().splitlines()] == [
        "for 20 s)",
        "3.0 hearts/min, 20 s left)",
        "3.0 hearts/min, 12 s left)",
        "3.0 hearts/min, 4 s left)",
        "3.0 hearts/min, for 64 s)",
    ]


def test_the_unit_of_the_pace_stays_the_same(clock: Clock, lines: io.StringIO) -> None:
    with steps("training", 500) as shown:
        for done in range(1, 301):
            clock.now += 0.8 if done < 150 else 4.0
            shown.reach(done)
    told = lines.getvalue()
    assert "(1.2 steps/s, " in told
    assert "(0.2 steps/s, " in told
    assert "steps/min" not in told


def test_hearts_that_were_there_already_do_not_spoil_the_time_left(
    clock: Clock, lines: io.StringIO
) -> None:
    with steps("t", 1000, "hearts") as shown:
        for _ in range(500):
            clock.now += 0.01
            shown.advance()
        for _ in range(150):
            clock.now += 2.0
            shown.advance()
    assert lines.getvalue().splitlines()[-1].endswith("(0.5 hearts/s, 12 min left)")


def test_work_that_is_resumed_has_the_pace_of_what_is_done_now(
    clock: Clock, lines: io.StringIO
) -> None:
    with steps("training", 9000) as shown:
        for done in range(5000, 5500, 100):
            clock.now += 10.0
            shown.reach(done, "loss 0.1")
    assert lines.getvalue().splitlines() == [
        "training: 5000/9000 loss 0.1 (for 10 s)",
        "training: 5100/9000 loss 0.1 (10 steps/s, 6 min left)",
        "training: 5200/9000 loss 0.1 (10 steps/s, 6 min left)",
        "training: 5300/9000 loss 0.1 (10 steps/s, 6 min left)",
        "training: 5400/9000 loss 0.1 (10 steps/s, 6 min left)",
    ]


def test_before_anything_can_be_known_of_the_pace_nothing_is_told_of_it(
    clock: Clock, lines: io.StringIO
) -> None:
    with steps("training", 9000) as shown:
        clock.now += 30
        shown.reach(5000)
    assert lines.getvalue() == "training: 5000/9000 (for 30 s)\n"


def test_names_are_no_markup(clock: Clock, lines: io.StringIO) -> None:
    with steps("t", 1) as shown:
        shown.advance(note="[bold]case[/]")
    assert "[bold]case[/]" in lines.getvalue()


def test_a_terminal_shows_the_same(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    screen = CommandConsole(file=text, width=200, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress_bars, "console", screen)
    with steps("sampling hearts", 10, "hearts") as shown:
        clock.now += 30
        for _ in range(3):
            shown.advance(note="[bold]case[/]")
    last = text.getvalue().rpartition("sampling hearts")[2]
    assert "3/10" in last
    assert "6.0 hearts/min, 70 s left" in last
    assert "[bold]case[/]" in last


@pytest.mark.parametrize(
    "title", ["sampling hearts", "reconstructing hearts", "hiding structures in turn"]
)
def test_the_time_left_fits_a_terminal_of_80_columns(
    title: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.StringIO()
    screen = CommandConsole(file=text, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress_bars, "console", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    with steps(title, 1000, "hearts") as shown:
        clock.now += 3000
        for _ in range(300):
            shown.advance(note="a heart with a long name: meshes")
    last = text.getvalue().rpartition(title)[2]
    assert re.search(r"^ +300/1000 6.0 hearts/min, 117 min left a heart", last), last


def test_warnings_fold_between_words_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = " ".join(f"remark{number}" for number in range(30))
    for is_terminal in (True, False):
        text = io.StringIO()
        screen = CommandConsole(file=text, width=80, force_terminal=is_terminal, color_system=None)
        monkeypatch.setattr(progress_bars, "console", screen)
        progress_bars.warn(words)
        lines = text.getvalue().splitlines()
        assert (max(map(len, lines)) <= 80) is is_terminal
        assert " ".join(line.strip() for line in lines) == words


def test_a_terminal_shows_the_stage_of_the_heart_in_work(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.StringIO()
    screen = CommandConsole(file=text, width=200, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress_bars, "console", screen)
    with steps("scoring hearts", 10, "hearts") as shown:
        shown.begin("case4")
        with stage("label map"), stage("") as at:
            at("40%")
            shown.print_line()
    assert "scoring hearts: 0/10 case4: label map, 40% (for 0 s)" in text.getvalue()


def test_silence_is_broken_by_a_line_with_the_stage(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bars, "_SECONDS_BETWEEN_LINES", 0.0)
    with steps("scoring hearts", 8, "hearts") as shown:
        shown.begin("case4")
        with stage("meshing"):
            until(lambda: lines.getvalue())
    assert lines.getvalue().startswith("scoring hearts: 0/8 case4: meshing (for 0 s)\n")
    ended = lines.getvalue()
    time.sleep(0.2)
    assert lines.getvalue() == ended


def test_a_long_line_of_progress_is_not_folded(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bars.console, "_width", 40)
    with steps("reconstructing hearts", 8, "hearts") as shown:
        shown.begin("case4")
        with stage("label map"), stage("level 3/4"):
            shown.print_line()
    told = "reconstructing hearts: 0/8 case4: label map, level 3/4 (for 0 s)\n"
    assert lines.getvalue() == told


def test_what_cannot_be_counted_is_named_if_it_takes_long(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with waiting("reading [1]"):
        pass
    assert not lines.getvalue()
    monkeypatch.setattr(progress_bars, "_SECONDS_TO_FIRST_LINE", 0.0)
    with waiting("reading [1]"), stage("model"):
        until(lambda: lines.getvalue())
    assert lines.getvalue().startswith("reading [1]: model (0 s)\n")


def test_only_the_first_of_several_processes_breaks_the_silence(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bars, "_SECONDS_TO_FIRST_LINE", 0.0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with waiting("reading"):
        time.sleep(0.2)
    assert not lines.getvalue()


def test_a_terminal_shows_what_is_waited_for_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = io.StringIO()
    screen = CommandConsole(file=text, width=200, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress_bars, "console", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    with waiting("reading"), stage("model"):
        pass
    assert "reading" in text.getvalue()
    assert text.getvalue().endswith("\x1b[2K")  # the line is erased


def until(is_so: Callable[[], object]) -> None:
    """Wait up to a minute for what a thread does."""
    latest = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < latest
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (1234.5, "1234 h/s"),
        (9.94, "9.9 h/s"),
        (0.5, "0.5 h/s"),
        (0.4, "24 h/min"),
        (1 / 60, "1.0 h/min"),
        (1 / 3600, "1.0 h/h"),
        (1e-5, "0.036 h/h"),
    ],
)
def test_rates(per_second: float, text: str) -> None:
    assert RateTexts("h").of(per_second) == text


def test_later_rates_have_the_period_of_the_first() -> None:
    rates = RateTexts("hearts")
    assert [rates.of(rate) for rate in (0.2, 30.0, 1e-4)] == [
        "12 hearts/min",
        "1800 hearts/min",
        "0.006 hearts/min",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (119.4, "119 s"),
        (120.0, "2 min"),
        (7000.0, "117 min"),
        (7200.0, "2 h"),
        (2e5, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_stage_of_many_parts_says_the_time_left_within_one_heart(
    clock: Clock, lines: io.StringIO
) -> None:
    """From 2 s on, if 5 s are left at least, and only if all parts take as long."""
    with steps("reconstructing hearts", 1, "hearts") as shown:
        shown.begin("case001")
        for even in (True, False):
            for done in counted_parts(range(10), "refining", even):
                if done in (1, 2, 4, 8):
                    shown.print_line()
                clock.now += 1.5
    told = [line.partition(": ")[2].partition(" (")[0] for line in lines.getvalue().splitlines()]
    assert told == [
        "0/1 case001: refining 1/10",
        "0/1 case001: refining 2/10, 12 s left",
        "0/1 case001: refining 4/10, 9 s left",
        "0/1 case001: refining 8/10",
        *(f"0/1 case001: refining {done}/10" for done in (1, 2, 4, 8)),
    ]
