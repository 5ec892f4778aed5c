"""What is done of a cohort is skipped, what was changed is made again, and kills cost nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support import cohort_tasks as tasks
from support.dask_cluster import two_workers
from support.waiting import LONGEST_SECONDS, wait_until

from vecsetx.workers import heart_work
from vecsetx.workers.for_each import for_each_heart
from vecsetx.workers.heart_work import Records, do_heart, done_earlier

TESTS = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])}
NAMES = ["h00", "h01", "h02", "h03"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in", "out", "begun", "hold", "kill"):
        (tmp_path / name).mkdir()
    for name in NAMES:
        (tmp_path / "in" / name).write_text(name)
    return tmp_path


def made(folder: Path) -> list[str]:
    """The hearts that were begun, as often as they were, in their order."""
    return sorted(file.stem for file in (folder / "begun").iterdir() if file.suffix == ".0") + [
        file.name for file in sorted((folder / "begun").iterdir()) if file.suffix != ".0"
    ]


def here(folder: Path, work: tasks.Copying | None = None) -> dict[str, int]:
    """Do the work in this process; each heart's result."""
    do = partial(
        do_heart, work=work or tasks.Copying(folder), records=Records.within(folder / "out")
    )
    outcome = for_each_heart(do, {name: (name, name) for name in NAMES}, None)
    assert outcome.failed == {}
    return outcome.results


def assert_whole(folder: Path) -> None:
    out = folder / "out"
    assert {file.name: file.read_text() for file in out.glob("h*")} == {n: 2 * n for n in NAMES}
    assert sorted(file.name for file in out.glob(".*")) == [".vecsetx"]
    assert len(list((out / ".vecsetx").iterdir())) == len(NAMES)  # and no lock


def test_what_is_done_is_done_once(folder: Path) -> None:
    results = here(folder)
    assert results == dict.fromkeys(NAMES, 6)
    written = [*(folder / "out").glob("h*"), *(folder / "out").rglob("*.json")]
    before = {file: file.stat().st_mtime_ns for file in written}
    assert len(before) == 8
    assert here(folder) == results
    assert made(folder) == NAMES
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert_whole(folder)


def test_whatever_a_result_depends_on_makes_it_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(folder)
    (record,) = [
        file for file in (folder / "out" / ".vecsetx").iterdir() if _of(folder, "h02") == file
    ]
    for count, change in enumerate(
        (
            lambda: (folder / "in" / "h02").write_text("h22"),
            lambda: (folder / "out" / "h02").unlink(),
            lambda: (folder / "out" / "h02").write_text("h22h23"),  # of the same length
            lambda: record.unlink(),
            lambda: record.write_text(record.read_text()[:-9]),
            lambda: record.write_text(json.dumps(json.loads(record.read_text()) | {"result": 7})),
            lambda: record.write_text("[]"),
        ),
        start=1,
    ):
        change()
        assert here(folder)["h02"] == 6
        assert made(folder) == [*NAMES, *(f"h02.{k}" for k in range(1, count + 1))]
        assert (folder / "out" / "h02").read_text() == "h22h22"
    twice = len(made(folder))
    assert here(folder, replace(tasks.Copying(folder), times=3)) == dict.fromkeys(NAMES, 9)
    assert len(made(folder)) == twice + 4
    monkeypatch.setattr(heart_work, "__version__", "another")
    assert here(folder) == dict.fromkeys(NAMES, 6)
    assert len(made(folder)) == twice + 8


def _of(folder: Path, name: str) -> Path:
    return Records.within(folder / "out")._file(tasks.Copying(folder), name)


@pytest.mark.parametrize("elsewhere", ["../in/h02", "/etc/passwd", "h99", ""])
def test_a_record_vouches_for_the_files_of_its_heart_alone(
    folder: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(folder)
    work, records = tasks.Copying(folder), Records.within(folder / "out")
    key = heart_work.key_of(work, work.identity("h02"))
    assert records.read(work, "h02", "h02", key) == (6,)
    target = folder / "out" / elsewhere
    files = (
        {elsewhere: heart_work._sha256(target) if target.is_file() else "0"} if elsewhere else {}
    )
    sealed = heart_work._seal(key, "6", files)
    record = {"key": key, "sha256": sealed, "files": files, "result": 6}
    _of(folder, "h02").write_text(json.dumps(record))
    if elsewhere:  # even if the work itself named it
        monkeypatch.setattr(tasks.Copying, "files", lambda *_: [target])
    assert records.read(work, "h02", "h02", key) is None
    assert done_earlier(("h02", "h02"), work, records) is None


@pytest.mark.parametrize(
    "result", ["1" + 400 * "0", "1e999", "NaN", 900 * "[" + "6" + 900 * "]", '"6"', "null"]
)
def test_results_of_other_types_and_sizes_are_made_again(
    folder: Path, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_record(self: tasks.Copying, record: object) -> int:
        if isinstance(record, list):
            raise RecursionError  # as of a reader that descends
        if not isinstance(record, (int, float)):
            raise TypeError(record)
        return int(float(record))  # as most readers of numbers do

    here(folder)
    work, records = tasks.Copying(folder), Records.within(folder / "out")
    record = json.loads(_of(folder, "h02").read_text())
    sealed = heart_work._seal(record["key"], result, record["files"])
    head = json.dumps(record | {"sha256": sealed, "result": None})
    _of(folder, "h02").write_text(head.replace("null", result))
    monkeypatch.setattr(tasks.Copying, "of_record", of_record)
    assert done_earlier(("h02", "h02"), work, records) is None
    assert here(folder) == dict.fromkeys(NAMES, 6)
    assert made(folder) == [*NAMES, "h02.1"]


def test_a_pipe_is_no_record_and_left_overs_of_killed_writers_go(folder: Path) -> None:
    records = Records.within(folder / "out")
    records.folder.mkdir(parents=True)
    os.mkfifo(_of(folder, "h02"))  # reading it would wait for ever
    (records.folder / ".vecsetx-unfinished-1").touch()
    (records.folder / "own.txt").touch()
    assert here(folder) == dict.fromkeys(NAMES, 6)
    assert made(folder) == list(NAMES)
    records.tidy()
    names = {file.name for file in records.folder.iterdir()}
    assert names == {"own.txt"} | {_of(folder, name).name for name in NAMES}
    records.remove(tasks.Copying(folder), NAMES)
    assert [file.name for file in records.folder.iterdir()] == ["own.txt"]


def test_the_text_of_a_large_result_is_made_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps, texts = json.dumps, []

    def noting(data: object, **options: object) -> str:
        texts.append(dumps(data, **options))  # type: ignore[arg-type]
        return str(texts[-1])

    monkeypatch.setattr(json, "dumps", noting)
    work, records = tasks.Copying(folder), Records.within(folder / "out")
    here(folder)
    key = heart_work.key_of(work, work.identity("h02"))
    texts.clear()
    records.write(work, "h02", key, 123456, [folder / "out" / "h02"])
    assert sum("123456" in text for text in texts) == 1
    assert records.read(work, "h02", "h02", key) == (123456,)
    assert json.loads(_of(folder, "h02").read_text())["result"] == 123456


def test_input_that_changes_meanwhile_is_not_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tasks.Copying.make

    def changing(self: tasks.Copying, heart: str) -> int:
        result = make(self, heart)
        (folder / "in" / heart).write_text("new")
        return result

    monkeypatch.setattr(tasks.Copying, "make", changing)
    records = Records.within(folder / "out")
    assert do_heart(("h00", "h00"), tasks.Copying(folder), records) == 6
    assert list((folder / "out" / ".vecsetx").iterdir()) == []


@contextmanager
def running(folder: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run of its own, whose workers hold two hearts half written."""
    for name in NAMES[1:3]:
        (folder / "hold" / name).touch()
    with subprocess.Popen(
        [sys.executable, TESTS / "support" / "cohort_tasks.py", "copy", folder, how],
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert wait_until(
            lambda: (
                {*NAMES[:3]} <= {file.stem for file in (folder / "begun").iterdir()}
                and len(list((folder / "out" / ".vecsetx").glob("[!.]*"))) == 1
            ),
            lambda: process.poll() is None,
        )
        yield process
        process.kill()


def release(folder: Path) -> None:
    for file in (folder / "hold").iterdir():
        file.unlink()


def test_a_killed_run_is_completed_and_nothing_is_made_twice(folder: Path) -> None:
    with running(folder, "processes") as process:
        process.kill()
        process.wait(LONGEST_SECONDS)
    release(folder)
    assert tasks.copy_all(folder, 2).results == dict.fromkeys(NAMES, 6)
    # Only what was in the making is made again.
    assert made(folder) == [*NAMES, "h01.1", "h02.1"]
    assert_whole(folder)


def test_a_killed_worker_costs_its_own_heart_alone(folder: Path) -> None:
    (folder / "kill" / "h01").touch()
    assert tasks.copy_all(folder, 2).results == dict.fromkeys(NAMES, 6)
    assert made(folder) == [*NAMES, "h01.1"]
    tasks.copy_all(folder, 2)
    assert made(folder) == [*NAMES, "h01.1"]
    assert_whole(folder)


def test_dask_goes_on_after_kills_and_makes_nothing_twice(folder: Path) -> None:
    with two_workers({"distributed.comm.timeouts.connect": "2s"}) as cluster:
        with running(folder, cluster.scheduler_address) as process:
            process.kill()
            process.wait(LONGEST_SECONDS)
        # The cluster's workers outlive the run; the second run waits for what they are at.
        (folder / "kill" / "h03").touch()
        with subprocess.Popen(
            [sys.executable, TESTS / "support" / "cohort_tasks.py", "copy", folder]
            + [cluster.scheduler_address],
            env=ENVIRONMENT,
        ) as second:
            release(folder)
            assert second.wait(LONGEST_SECONDS) == 0
    assert made(folder) == [*NAMES, "h03.1"]
    assert_whole(folder)
