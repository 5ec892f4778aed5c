"""Cohorts survive bad hearts, killed workers and killed runs: real processes, real kills."""

import asyncio
import errno
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from support import cohort_tasks as tasks
from support.dask_cluster import two_workers
from support.here import Here
from support.waiting import LONGEST_SECONDS, wait_until

from vecsetx.errors import InputError
from vecsetx.files import write_text
from vecsetx.progress import NoProgress
from vecsetx.workers import dask as dask_cluster
from vecsetx.workers import for_each as cohort
from vecsetx.workers.base import NoWorkersError
from vecsetx.workers.for_each import for_each_heart, open_workers
from vecsetx.workers.lock import only_writer

TESTS = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])}


def hearts(folder: Path, count: int = 8) -> dict[str, tuple[Path, str]]:
    return {f"h{i:02d}": (folder, f"h{i:02d}") for i in range(count)}


def doubled(count: int = 8, without: str = "") -> dict[str, str]:
    return {f"h{i:02d}": 2 * f"h{i:02d}" for i in range(count) if f"h{i:02d}" != without}


# Processes


def test_a_heart_that_kills_its_worker_is_the_only_one_that_fails(tmp_path: Path) -> None:
    with open_workers(2) as workers:
        outcome = for_each_heart(tasks.always_killed, hearts(tmp_path), workers)
    assert outcome.results == doubled(without="h03")
    assert list(outcome.failed) == ["h03"]
    assert "h03: its worker process was killed twice" in outcome.failed["h03"]
    assert "signal 9" in outcome.failed["h03"]
    assert "memory may have run out" in outcome.failed["h03"]
    tries = {name: len(pids) for name, pids in tasks.begun(tmp_path).items()}
    assert tries == dict.fromkeys(hearts(tmp_path), 1) | {"h03": 2}


class Shown(NoProgress):
    """Notes what is shown, in order."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, note: str) -> None:
        self.notes.append(note)

    def advance(self, note: str = "") -> None:
        self.notes.append(note)


def test_the_stages_of_hearts_in_work_are_shown_until_they_are_done(tmp_path: Path) -> None:
    shown = Shown()
    with open_workers(1) as workers:
        outcome = for_each_heart(tasks.double_in_stages, hearts(tmp_path, 2), workers, shown)
    assert outcome.results == doubled(2)
    told = [[f"{name}: doubling", f"{name}: doubling 1/2", name] for name in ("h00", "h01")]
    assert shown.notes == ["h00: starting a process", *told[0], *told[1]]


class SideBySide(Here):
    """Ends no heart before all have begun."""

    def __init__(self, count: int) -> None:
        self._count, self._ends = count, []

    def submit_heard(self, heard, work, /, *args, **kwargs):
        heard("meshing")
        future = Future()
        self._ends.append(lambda: future.set_result(work(*args, **kwargs)))
        if len(self._ends) == self._count:
            for end in self._ends:
                end()
        return future


def test_once_a_heart_is_done_the_stage_of_another_in_work_is_shown(tmp_path: Path) -> None:
    shown = Shown()
    for_each_heart(tasks.double, hearts(tmp_path, 2), SideBySide(2), shown)
    meshing = ["h00: meshing", "h01: meshing"]
    assert shown.notes == [*meshing, "h00", meshing[1], "h01"]


def test_a_heart_whose_worker_is_killed_once_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_workers(2) as workers:
        outcome = for_each_heart(tasks.killed_once, hearts(tmp_path), workers)
    assert outcome == cohort.Outcome(doubled(), {})
    said = [record.message for record in caplog.records]
    assert said == ["h03: its worker was killed or out of memory; tried again, alone"]


def test_a_worker_killed_from_outside_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)

    def kill() -> None:
        dice = random.Random(seed)
        begun = dice.randrange(1, 9)
        assert wait_until(lambda: len(tasks.begun(tmp_path)) >= begun)
        time.sleep(dice.uniform(0, 0.2))
        victims = {pid for pids in tasks.begun(tmp_path).values() for pid in pids}
        for pid in sorted(filter(tasks.alive, victims))[:1]:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with open_workers(2) as workers:
        outcome = for_each_heart(tasks.slow_double, hearts(tmp_path, 12), workers)
    killer.join()
    assert outcome == cohort.Outcome(doubled(12), {})


def test_workers_killed_while_they_are_idle_are_replaced(tmp_path: Path) -> None:
    with open_workers(2) as workers:
        for_each_heart(tasks.slow_double, hearts(tmp_path), workers)
        idle = {pid for pids in tasks.begun(tmp_path).values() for pid in pids}
        for pid in idle:
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not any(map(tasks.alive, idle)))
        outcome = for_each_heart(tasks.double, hearts(tmp_path), workers)
    assert len(idle) == 2
    assert outcome == cohort.Outcome(doubled(), {})


def test_what_ran_out_of_memory_is_done_last_with_no_other_worker_beside_it(tmp_path: Path) -> None:
    with open_workers(3) as workers:
        outcome = for_each_heart(tasks.alone_the_second_time, hearts(tmp_path, 6), workers)
    assert outcome.failed == {}
    assert outcome.results == {name: [] for name in hearts(tmp_path, 6)}
    pids = tasks.begun(tmp_path)
    assert len(pids["h00"]) == 2
    assert len({pid for begun in pids.values() for pid in begun}) >= 3
    assert not any(tasks.alive(pid) for begun in pids.values() for pid in begun)


def test_every_failure_is_told_in_words_and_the_others_go_on() -> None:
    names = ("bad input", "bug", "exit", "crash", "unpicklable", "interrupt")
    names += ("no memory", "too much")
    with open_workers(2) as workers:
        outcome = for_each_heart(tasks.fails, {name: name for name in names}, workers)
    assert outcome.results == {"interrupt": "interrupt"}
    assert outcome.failed["bad input"] == "bad.nii.gz: is empty; give another"
    assert outcome.failed["bug"].startswith("bug: OddError: 1 and 2 (cohort_tasks.py, line ")
    for name, how in {"exit": "exit status 3", "crash": "exit status 4"}.items():
        assert outcome.failed[name] == (
            f"{name}: its worker process ended by itself twice, the second time with no other "
            f"heart beside it ({how}); a library fails on its files: check them with vecsetx "
            "inspect, or leave this heart out"
        )
    for name, asked in {"no memory": "", "too much": " (Unable to allocate 9 TiB)"}.items():
        assert outcome.failed[name] == (
            f"{name}: takes more memory than there is{asked}; see its size with vecsetx inspect, "
            "and give a coarser or cropped file, or use a machine with more memory"
        )
    assert outcome.failed["unpicklable"].startswith("unpicklable: ")
    assert "killed" not in outcome.failed["unpicklable"]


def test_a_file_that_cannot_be_written_is_its_hearts_failure(tmp_path: Path) -> None:
    names = ("too big", "full disk", "not allowed", "no folder", "good")
    (tmp_path / "no folder").write_text("a file")
    (tmp_path / "not allowed").mkdir(mode=0o500)
    with open_workers(2) as workers:
        given = {name: (tmp_path, name) for name in names}
        outcome = for_each_heart(tasks.writes, given, workers)
    allowed = {"not allowed": 10**6} if os.getuid() == 0 else {}  # root may write anywhere
    assert outcome.results == {"good": 10**6} | allowed
    for name, words in {
        "too big": ("could not be written: file too large", "ulimit -f"),
        "full disk": (
            "could not be written: no space left on device",
            "free space or choose another --out",
        ),
        "not allowed": ("Permission denied", "check the permissions of the file and its folder"),
        "no folder": ("File exists", "it is a file where a folder is needed"),
    }.items():
        if name not in allowed:
            assert outcome.failed[name].startswith(f"{name}: {tmp_path / name}")
            assert all(word in outcome.failed[name] for word in words)
    assert [file.name for file in tmp_path.rglob("*") if ".unfinished" in file.name] == []


def test_workers_compute_with_one_thread() -> None:
    names = {name: name for name in ("OMP_NUM_THREADS", "IGL_NUM_THREADS")}
    with open_workers(1) as workers:
        outcome = for_each_heart(tasks.environment, names, workers)
    assert outcome.results == dict.fromkeys(names, "1")


def test_no_more_processes_than_hearts_are_started_and_none_is_left(tmp_path: Path) -> None:
    with open_workers(6) as workers:
        for_each_heart(tasks.slow_double, hearts(tmp_path, 2), workers)
    pids = {pid for begun in tasks.begun(tmp_path).values() for pid in begun}
    assert len(pids) == 2
    assert not any(map(tasks.alive, pids))


def test_an_exception_in_the_block_ends_the_work_at_once(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()

    def stop_in_the_middle() -> None:
        with open_workers(2) as workers:
            for i in range(4):
                workers.submit(tasks.half_written, (tmp_path, f"h{i}", LONGEST_SECONDS))
            assert wait_until(lambda: len(tasks.begun(tmp_path / "begun")) == 2)
            raise KeyError("stop")

    started = time.monotonic()
    with pytest.raises(KeyError, match="stop"):
        stop_in_the_middle()
    assert time.monotonic() - started < LONGEST_SECONDS
    pids = [pid for begun in tasks.begun(tmp_path / "begun").values() for pid in begun]
    assert len(pids) == 2
    assert not any(map(tasks.alive, pids))


def test_a_script_without_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from support.cohort_tasks import double\n"
        "from vecsetx.workers.for_each import for_each_heart, open_workers\n"
        "with open_workers(2) as workers:\n"
        "    for_each_heart(double, {'h': 0}, workers)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
    )
    assert done.returncode == 1
    assert "NoWorkersError: worker processes end as they start (exit status 1)" in done.stderr
    assert '__name__ == "__main__"' in done.stderr.splitlines()[-1]


# Whole runs


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in its own session, both of whose workers are in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, TESTS / "support" / "cohort_tasks.py", tmp_path, str(LONGEST_SECONDS)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        hearts_folder = tmp_path / "hearts"
        assert wait_until(
            lambda: [file.read_text() for file in hearts_folder.glob("*")] == ["half"] * 2,
            lambda: process.poll() is None,
        ), process.stderr
        yield process
        process.kill()


def workers_of_run(folder: Path) -> list[int]:
    return [pid for begun in tasks.begun(folder / "begun").values() for pid in begun]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_run_and_a_second_run_completes_the_cohort(
    run: subprocess.Popen[str], tmp_path: Path, how: signal.Signals
) -> None:
    pids = workers_of_run(tmp_path)
    assert len(pids) == 2
    with pytest.raises(InputError, match="another run is writing"), only_writer(tmp_path):
        pass
    run.send_signal(how)
    assert wait_until(lambda: not any(map(tasks.alive, pids)))
    assert run.wait(LONGEST_SECONDS) == -how
    tasks.run_half_written(tmp_path, 0.0)
    assert (tmp_path / "result.txt").read_text() == "h00 h01 h02 h03"
    left = {file.name: file.read_text() for file in (tmp_path / "hearts").iterdir()}
    assert left == dict.fromkeys(["h00", "h01", "h02", "h03"], "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["begun", "hearts", "result.txt"]


@pytest.mark.parametrize("to_all", [True, False], ids=["the terminal's Ctrl-C", "parent only"])
def test_an_interrupt_stops_quickly_and_leaves_nothing_half_written(
    run: subprocess.Popen[str], tmp_path: Path, to_all: bool
) -> None:
    pids = workers_of_run(tmp_path)
    (os.killpg if to_all else os.kill)(run.pid, signal.SIGINT)
    _, complaint = run.communicate(timeout=LONGEST_SECONDS / 2)
    assert run.returncode == -signal.SIGINT
    assert complaint.count("Traceback") == 1  # the run's own; the command line shows none
    assert complaint.splitlines()[-1] == "KeyboardInterrupt"
    assert not any(map(tasks.alive, pids))
    assert list((tmp_path / "hearts").iterdir()) == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["begun", "hearts"]


# The lock


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_writer(out):
        with pytest.raises(InputError, match=f"{out}: another run is writing"), only_writer(out):
            pass
        with only_writer(tmp_path / "elsewhere"):
            write_text(out / "a.txt", "a")
    with only_writer(out):
        pass
    assert [file.name for file in out.iterdir()] == ["a.txt"]
    assert not (tmp_path / "elsewhere").exists()  # nothing was written there


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError), only_writer(tmp_path / "a" / "b"):
        raise KeyError
    assert not (tmp_path / "a" / "b").exists()
    with only_writer(tmp_path / "a" / "b"):
        pass


def test_unfinished_files_go_where_the_run_writes_and_nowhere_else(tmp_path: Path) -> None:
    for folder in ("hearts", "run"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ".vecsetx-unfinished-x.bin").touch()
    (tmp_path / ".vecsetx-unfinished-y").touch()
    with only_writer(tmp_path, "hearts", "absent"):
        assert not (tmp_path / "hearts" / ".vecsetx-unfinished-x.bin").exists()
        (tmp_path / "hearts" / ".vecsetx-unfinished-z").touch()
    assert sorted(file.name for file in tmp_path.rglob(".*")) == [".vecsetx-unfinished-x.bin"]
    assert (tmp_path / "run" / ".vecsetx-unfinished-x.bin").exists()


def test_a_hard_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "out" / ".writing.lock").hardlink_to(tmp_path / "mine.txt")
    told = "a hard link to another file"
    with pytest.raises(InputError, match=told), only_writer(tmp_path / "out"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_and_nothing_is_removed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / ".vecsetx-unfinished-another's").touch()
    with only_writer(tmp_path):
        assert "the file system has no locks" in caplog.text
    assert [file.name for file in tmp_path.iterdir()] == [".vecsetx-unfinished-another's"]


# Dask


def test_workers_are_asked_for_in_one_way() -> None:
    with pytest.raises(InputError, match="choose one"):
        open_workers(2, "tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="--workers 0"):
        open_workers(0)


def test_without_dask_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'vecsetx\[dask\]'"):
        open_workers(dask="tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["here", "tcp://127.0.0.1:1", "tcp://h:99999", "no:1", ""])
def test_no_scheduler_at_the_address(address: str) -> None:
    with pytest.raises(InputError, match=f"--dask {address}: no Dask scheduler answers"):
        open_workers(dask=address)


def test_something_that_listens_and_says_nothing_is_no_scheduler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_cluster, "_CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no Dask scheduler answers there \(timed out"):
            open_workers(dask=address)


def test_dask_goes_on_when_workers_are_killed(tmp_path: Path) -> None:
    settings = {
        "distributed.scheduler.allowed-failures": 1,  # the default 3 takes more time
        "distributed.comm.timeouts.connect": "2s",  # to a worker that was killed
    }
    with (
        two_workers(settings) as cluster,
        open_workers(dask=cluster.scheduler_address) as workers,
    ):
        outcome = for_each_heart(tasks.some_killed, hearts(tmp_path), workers)
        threads = for_each_heart(tasks.environment, {"h": "OMP_NUM_THREADS"}, workers)
    assert outcome.results == doubled(without="h03")
    assert "h03: its worker process was killed twice" in outcome.failed["h03"]
    assert len(tasks.begun(tmp_path)["h05"]) > 1
    assert threads.results == {"h": "1"}


@pytest.mark.parametrize(
    ("raised", "status", "expected"),
    [
        (asyncio.CancelledError(), "cancelled", NoWorkersError),
        (KeyError("gone"), "error", KeyError),
        (TimeoutError("the task's own"), "error", TimeoutError),
        (TimeoutError("no answer"), "finished", NoWorkersError),
    ],
)
def test_a_dask_future_that_fails_as_its_result_is_fetched_is_not_waited_for(
    raised: BaseException, status: str, expected: type[BaseException]
) -> None:
    """As when a task is done and lost with its worker, or the client is closed meanwhile."""

    class DaskFuture:
        def __init__(self) -> None:
            self.status = status

        def result(self, timeout: float) -> None:
            raise raised

        def cancelled(self) -> bool:
            return self.status == "cancelled"

    future: Future[None] = Future()
    dask_cluster._hand_on(DaskFuture(), future, lambda: False, "lost")
    assert type(future.exception(timeout=0)) is expected


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Dask scheduler without workers, and its address."""
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    options = ["--port", "0", "--no-dashboard", "--scheduler-file", file]
    environment = ENVIRONMENT | {"PYTHONPATH": str(TESTS.parent / "src")}  # it needs no task
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert wait_until(lambda: file.exists() and file.read_text())
        yield process, json.loads(file.read_text())["address"]
        process.kill()


def test_a_lost_scheduler_is_an_error_at_once(
    scheduler: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    process, address = scheduler

    def lose_it() -> None:
        with open_workers(dask=address) as workers:
            threading.Timer(0.5, process.kill).start()
            for_each_heart(tasks.double, hearts(tmp_path), workers)

    started = time.monotonic()
    with pytest.raises(NoWorkersError, match=f"the Dask scheduler {address} was lost"):
        lose_it()
    assert time.monotonic() - started < LONGEST_SECONDS / 2


def test_a_cluster_without_workers_is_told_and_given_up(
    scheduler: tuple[subprocess.Popen[bytes], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(cohort, "_LOOK_AFTER_S", 0.1)
    monkeypatch.setattr(dask_cluster, "_WITHOUT_WORKERS_S", 0.5)
    with (
        pytest.raises(NoWorkersError, match="has had no workers for"),
        open_workers(dask=scheduler[1]) as workers,
    ):
        for_each_heart(tasks.double, hearts(tmp_path), workers)
    assert caplog.text.count("no workers; waiting for some") == 1
