"""What workers do in the tests of cohorts. It imports nothing heavy, as each worker imports it."""

import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from vecsetx.errors import InputError
from vecsetx.files import write_text, written_whole
from vecsetx.progress import stage
from vecsetx.workers.for_each import Outcome, for_each_heart, open_workers
from vecsetx.workers.heart_work import HeartWork, Records, do_heart
from vecsetx.workers.lock import only_writer


def note(folder: Path, name: str) -> int:
    """Note down that this process begins with a heart; how often that happened to the heart."""
    count = len(list(folder.glob(f"{name}.*")))
    (folder / f"{name}.{count}").write_text(str(os.getpid()))
    return count + 1


def begun(folder: Path) -> dict[str, list[int]]:
    """The processes that began with each heart, in the order of time."""
    found: dict[str, list[int]] = {}
    for file in sorted(folder.iterdir()):
        if pid := file.read_text():
            found.setdefault(file.stem, []).append(int(pid))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and only waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def double(given: tuple[Path, str]) -> str:
    """Done in no time."""
    folder, name = given
    note(folder, name)
    return 2 * name


def slow_double(given: tuple[Path, str]) -> str:
    """Takes 0.2 s."""
    time.sleep(0.2)
    return double(given)


def double_in_stages(given: tuple[Path, str]) -> str:
    """Tells its stages."""
    with stage("doubling") as at:
        at("1/2")
        return double(given)


def always_killed(given: tuple[Path, str]) -> str:
    """Heart h03 kills its worker."""
    folder, name = given
    if name == "h03":
        note(folder, name)
        os.kill(os.getpid(), signal.SIGKILL)
    return slow_double(given)


def killed_once(given: tuple[Path, str]) -> str:
    """Heart h03 kills its worker, the first time."""
    folder, name = given
    if name == "h03" and note(folder, name) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return slow_double(given)


def some_killed(given: tuple[Path, str]) -> str:
    """Heart h03 kills its worker always, h05 the first time."""
    folder, name = given
    if name == "h05" and note(folder, name) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return always_killed(given)


def alone_the_second_time(given: tuple[Path, str]) -> list[int]:
    """Heart h00 runs out of memory; the second time it finds who else is there."""
    folder, name = given
    if note(folder, name) == 1:
        if name == "h00":
            raise MemoryError("no more")
        time.sleep(0.2)
        return []
    others = {pid for pids in begun(folder).values() for pid in pids} - {os.getpid()}
    return [pid for pid in others if alive(pid)]


class OddError(Exception):
    """Cannot be made again from its message, so it does not survive pickling."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fails(name: str) -> object:
    """Fails in the way that the name says."""
    match name:
        case "bad input":
            raise InputError("bad.nii.gz: is empty; give another")
        case "bug":
            raise OddError(1, 2)
        case "no memory":
            raise MemoryError
        case "too much":
            raise MemoryError("Unable to allocate 9 TiB")
        case "exit":
            sys.exit(3)
        case "crash":
            os._exit(4)
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)  # meant for the parent
        case "unpicklable":
            return lambda: 0
    return name


def writes(given: tuple[Path, str]) -> int:
    """Writes a file of 1 MB; what hinders it is the heart's name."""
    folder, name = given
    if name == "too big":
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with written_whole(folder / name / "heart.bin") as unfinished:
            target = Path("/dev/full") if name == "full disk" else unfinished
            return target.write_bytes(bytes(1_000_000))
    finally:
        if name == "too big":
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def environment(name: str) -> str | None:
    """A variable of the worker's environment."""
    return os.environ.get(name)


def half_written(given: tuple[Path, str, float]) -> str:
    """Writes a file unless it is there, and takes its time over it."""
    folder, name, seconds = given
    if not (folder / "hearts" / name).exists():
        note(folder / "begun", name)
        with written_whole(folder / "hearts" / name) as unfinished:
            unfinished.write_text("half")
            time.sleep(seconds)
            unfinished.write_text("whole")
    return name


def run_half_written(folder: Path, seconds: float) -> None:
    """A whole run, as a command would make it."""
    hearts = {f"h{i:02d}": (folder, f"h{i:02d}", seconds) for i in range(4)}
    (folder / "begun").mkdir(exist_ok=True)
    with only_writer(folder, "hearts"), open_workers(2) as workers:
        outcome = for_each_heart(half_written, hearts, workers)
        write_text(folder / "result.txt", " ".join(outcome.results))


@dataclass(frozen=True, slots=True)
class Copying(HeartWork[str, int]):
    """Copies a heart's file twice over; its result is the number of characters.

    Each heart notes in ``begun/`` that it is being made. A heart waits, half written, for as long
    as there is a file of its name in ``hold/``; one that finds such a file in ``kill/`` removes it
    and kills its worker.
    """

    name: ClassVar[str] = "copy"

    folder: Path
    times: int = 2

    def setting(self) -> dict[str, Any]:
        return {"times": self.times}

    def identity(self, heart: str) -> dict[str, Any]:
        return {"sha256": hashlib.sha256((self.folder / "in" / heart).read_bytes()).hexdigest()}

    def make(self, heart: str) -> int:
        note(self.folder / "begun", heart)
        text = (self.folder / "in" / heart).read_text() * self.times
        with written_whole(self.folder / "out" / heart) as unfinished:
            unfinished.write_text("half")
            if (kill := self.folder / "kill" / heart).exists():
                kill.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            while (self.folder / "hold" / heart).exists():
                time.sleep(0.01)
            unfinished.write_text(text)
        return len(text)

    def to_record(self, result: int) -> Any:
        return result

    def of_record(self, record: Any) -> int:
        if not isinstance(record, int):
            raise TypeError(record)
        return record

    def files(self, heart: str, result: int) -> Sequence[Path]:
        return [self.folder / "out" / heart]


def copy_all(folder: Path, workers: int | None = None, dask: str | None = None) -> Outcome[int]:
    """A whole run over the hearts in ``in/``, as a command would make it."""
    records = Records.within(folder / "out")
    named = {file.name: (file.name, file.name) for file in sorted((folder / "in").iterdir())}
    do = partial(do_heart, work=Copying(folder), records=records)
    with only_writer(folder / "out"), open_workers(workers, dask) as open_ones:
        return for_each_heart(do, named, open_ones)


if __name__ == "__main__":
    if sys.argv[1] == "copy":
        from support import cohort_tasks  # by the name that Dask's workers import it by

        by_dask = sys.argv[3].startswith("tcp:")
        how: dict[str, Any] = {"dask": sys.argv[3]} if by_dask else {"workers": 2}
        cohort_tasks.copy_all(Path(sys.argv[2]), **how)
    else:
        run_half_written(Path(sys.argv[1]), float(sys.argv[2]))
