"""The one judge of all attacks: a command in a process of its own, and what must hold after it.

A command may refuse, but it ends in time, within its memory, with a line and without a traceback,
and it writes nowhere but into its own folder. If it succeeds, its result is right.
"""

import io
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

MOST_BYTES = 2 << 30
"""Address space that a command may take beyond what its process begins with."""
_MOST_LINES = 60
_COMPLAINT = "complaint.txt"
_STATUSES = {0, 1, 2, 75, 130}
_OURS = re.compile(r"^(vecsetx: \S|Usage: |.*\bfailed:$)", re.MULTILINE)
_FOREIGN = re.compile(
    r"Traceback \(most recent call last\)"  # Python
    r"|\.py:\d+: \w*Warning"  # its warnings
    r"|^(ERROR|WARNING|Warning): In |^\S+ERR\|"  # VTK
    r"|^ITK(ERROR|WARNING)|itk::ERROR"
    r"|terminate called|Fatal Python error",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Attack:
    """A command and what is done to it.

    Attributes:
        name: What is done, for the report; the same seed gives the same attack.
        words: The command line, without ``vecsetx``; relative paths are in the attack's folder.
        out: File or folder that the command may write; None if it may write nothing.
        before: Called in the command's process before it begins.
        wrong: Called there at its end, with its exit status; returns what is wrong with the result,
            else "".
        stop: Signal, and the seconds after which it is sent.
        refused: The command must not succeed.
        most_seconds: CPU time that it may take; by the clock ten times as much, as other work may
            run on the machine.
    """

    name: str
    words: tuple[str, ...]
    out: str | None = None
    before: Callable[[], object] = lambda: None
    wrong: Callable[[int], str] = lambda status: ""
    stop: tuple[signal.Signals, float] | None = None
    refused: bool = False
    most_seconds: float = 20.0


@dataclass(frozen=True)
class Verdict:
    """How an attack ended.

    Attributes:
        complaints: What did not hold; empty if all did.
        status: Exit status; negative for the signal that ended the process.
        output: All that the command printed.
        peak_bytes: Memory at its peak, that of the process before the command included.
    """

    complaints: list[str]
    status: int
    output: str = field(repr=False)
    peak_bytes: int


def try_attack(attack: Attack, folder: Path) -> Verdict:
    """Run an attack in its folder, and judge it.

    Args:
        attack: The attack.
        folder: Holds the attack's files. What lies beside it must not change.
    """
    before = _listing(folder.parent)
    complaint = folder.parent.parent / _COMPLAINT
    complaint.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # A pipe, as limits on the size of files would hold for a file of the output, too.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(attack, folder, writer, complaint)
    os.close(writer)
    os.set_blocking(reader, False)
    printed: list[bytes] = []
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        status, used, hangs = _wait(child, attack, pipe, printed)
    output = b"".join(printed).decode(errors="replace")
    found = _complaints(attack, status, output, hangs)
    found += _strays(before, _listing(folder.parent), folder, attack)
    if complaint.exists():
        found.append(complaint.read_text())
    return Verdict(found, status, output, used.ru_maxrss * 1024)


def _run(attack: Attack, folder: Path, output: int, complaint: Path) -> None:
    """Be the command; never returns."""
    status = 99
    try:
        os.setsid()
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(output, number)
            setattr(sys, name, os.fdopen(number, "w", closefd=False))  # as Python would for a pipe
        os.close(output)
        os.chdir(folder)
        os.environ.update(HOME=str(folder / "home"), COLUMNS="100", TERM="dumb")
        _limit(attack.most_seconds)
        status = _command(attack, complaint)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):  # a closed pipe
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _command(attack: Attack, complaint: Path) -> int:
    from vecsetx.cli import main
    from vecsetx.workers import processes

    # Workers are forked, so that they inherit the limits, and import nothing.
    processes._SPAWN = get_context("fork")  # type: ignore[assignment]
    sys.argv = ["vecsetx", *attack.words]
    try:
        attack.before()
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    wrong = attack.wrong(status)
    if wrong:
        complaint.write_text(wrong)
    return status


def _limit(most_seconds: float) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    begun = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(begun.ru_utime + begun.ru_stime + most_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait(
    child: int, attack: Attack, pipe: io.FileIO, printed: list[bytes]
) -> tuple[int, resource.struct_rusage, bool]:
    """Wait for the process; return its exit status, what it used, and whether it hung.

    What it prints is added to ``printed``.
    """
    begun, hangs, stop = time.monotonic(), False, attack.stop
    while True:
        ended, state, used = os.wait4(child, os.WNOHANG)
        while text := pipe.read(1 << 16):
            printed.append(text)
        if ended:
            break
        waited = time.monotonic() - begun
        if stop and waited > stop[1]:
            _send(child, stop[0])
            stop = None
        if waited > 10 * attack.most_seconds:
            hangs = True
            _send(child, signal.SIGKILL)
        time.sleep(0.005)
    _send(child, signal.SIGKILL)  # what it started and left behind
    return os.waitstatus_to_exitcode(state), used, hangs


def _send(child: int, number: signal.Signals) -> None:
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        return
    except PermissionError:  # before its setsid
        os.kill(child, number)


def _complaints(attack: Attack, status: int, output: str, hangs: bool) -> list[str]:
    found = []
    if hangs or status == -signal.SIGXCPU:
        found.append(f"took more than {attack.most_seconds:g} s")
    elif status < 0 and not (attack.stop and status == -attack.stop[0]):
        found.append(f"ended by {signal.Signals(-status).name}")
    elif status >= 0 and status not in _STATUSES:
        found.append(f"exit status {status}")
    foreign = _FOREIGN.search(output)
    if foreign:
        found.append(f"printed {foreign.group()!r}")
    if status in {2, 75, 130} and not _OURS.search(output):
        found.append("refused without a line that says why")
    if attack.refused and status == 0:
        found.append("succeeded, and must be refused")
    if status and output.count("\n") > _MOST_LINES:
        found.append(f"refused in {output.count(chr(10))} lines")
    return found


def _strays(
    before: dict[Path, tuple[int, int]],
    after: dict[Path, tuple[int, int]],
    folder: Path,
    attack: Attack,
) -> list[str]:
    """Say which files changed that the command may not write, or are not finished."""
    allowed = [folder / "home"] + ([folder / attack.out] if attack.out else [])
    changed = [path for path in before | after if before.get(path) != after.get(path)]
    outside = [p for p in changed if not any(p.is_relative_to(place) for place in allowed)]
    found = [
        f"changed {path.relative_to(folder.parent)}, outside its own folder" for path in outside
    ]
    # A process that a signal ends cannot clean up; the next run does.
    killed = attack.stop is not None and attack.stop[0] != signal.SIGINT
    if not killed:
        names = [path.name for path in changed if path in after]
        found += [f"left {name}" for name in names if ".vecsetx-unfinished-" in name]
    return found


def _listing(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of change of every file in a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() or path.is_symlink():
            state = path.lstat()
            found[path] = (state.st_size, state.st_mtime_ns)
    return found
