"""Recording a command: what it reads and how it ends goes into the manifest of its folder.

The command line says that a command begins and ends (:func:`recording`); the folder for the
results is where its run is recorded (:func:`recorded_in`); what reads hearts and models notes their
files (:func:`note_files`, :func:`note_model`). Where no command line is recorded, as in Python or
in a worker process, these do nothing.
"""

import datetime
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vecsetx._version import __version__
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.manifest.contents import (
    MANIFEST,
    MOST_INPUTS,
    CommandRun,
    InputFile,
    Manifest,
    ModelFile,
    State,
)
from vecsetx.manifest.inputs import hash_of_file, hashed, main_file, seen, unchanged
from vecsetx.manifest.masking import masked, masked_words
from vecsetx.workers.lock import waiting_lock

__all__ = ["note_files", "note_model", "recorded_in", "recording"]

_PACKAGES = ("torch", "numpy", "vtk")
"""Packages on which results depend most."""

_STATES: Mapping[int, State] = {0: "finished", 130: "stopped", 75: "stopped"}
"""Exit status → state of a run; a signal stops a command with 130 or 75."""


@dataclass(slots=True)
class _Recorder:
    """What is known of the command that runs.

    Attributes:
        run: Its run, inputs and models left out.
        began: When it began, as of :func:`time.monotonic`.
        named: Files and folders that its command line names.
        inputs: Path → file.
        models: Name → model.
        folder: The folder of its results, once it has one.
        written: What the folder's manifest says of the run.
        known: Hashes of files that earlier runs read.
    """

    run: CommandRun
    began: float
    named: Sequence[Path]
    inputs: dict[str, InputFile] = field(default_factory=dict)
    models: dict[str, ModelFile] = field(default_factory=dict)
    folder: Path | None = None
    written: CommandRun | None = None
    known: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def begin(self, folder: Path) -> None:
        """Record the run in a folder."""
        former = Manifest.read(folder)
        self.known = dict(pair for run in former.runs for pair in run.known_hashes())
        # A data set to which a command adds is what it writes, not what it reads.
        given = (main_file(path) for path in self.named if not _same(path, folder))
        self.folder = folder
        self._add(seen(file for file in given if file))
        self._write()

    def note(self, files: Iterable[InputFile]) -> None:
        """Note what the command reads."""
        self._add(files)
        if self.written and len(self.inputs) > len(self.written.inputs):
            self._write()

    def note_model(self, name: str, weights: Path) -> None:
        """Note a model that the command reads."""
        self.models[name] = ModelFile(masked(name), hash_of_file(weights))
        if self.written:
            self._write()

    def end(self, exit_status: int) -> None:
        """Record the end of the run."""
        if self.folder is None or self.written is None or not self.folder.is_dir():
            return
        self.inputs = {path: unchanged(file) for path, file in self.inputs.items()}
        self.run = replace(
            self.run,
            state=_STATES.get(exit_status, "failed"),
            exit_status=exit_status,
            seconds=round(time.monotonic() - self.began, 3),
        )
        self._write()

    def _add(self, files: Iterable[InputFile]) -> None:
        # Of what the command itself has written, such as the demo's phantoms, it makes no input.
        for file in files:
            own = self.folder is not None and Path(file.path).is_relative_to(self.folder.absolute())
            if not (own and file.modified_ns >= self.run.began * 1e9):
                self.inputs.setdefault(file.path, file)
        if self.folder is not None:
            new = [file for file in self.inputs.values() if file.sha256 is None][:MOST_INPUTS]
            self.inputs |= {file.path: file for file in hashed(new, self.known)}

    def _write(self) -> None:
        assert self.folder is not None
        inputs = sorted(self.inputs.values(), key=lambda file: file.path)
        run = replace(
            self.run,
            inputs=tuple(replace(f, path=masked(f.path)) for f in inputs[:MOST_INPUTS]),
            inputs_left_out=max(len(inputs) - MOST_INPUTS, 0),
            models=tuple(self.models.values()),
        )
        # A command that follows may begin in the folder before this one has ended here.
        with waiting_lock(self.folder / ".manifest.lock", str(self.folder / MANIFEST)):
            Manifest.read(self.folder).with_run(run, self.written).write(self.folder)
        self.written = run


_RECORDER: ContextVar[_Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def recording(
    words: Sequence[str],
    seed: int | None,
    named: Sequence[Path],
    exit_status: Callable[[BaseException], int],
) -> Iterator[None]:
    """Record the command that the block runs, if it writes into a folder.

    Args:
        words: The words of the command line, behind the program's name.
        seed: Value of ``--seed``, if the command has one.
        named: Files and folders that the command line names as inputs.
        exit_status: Gives the exit status of a command that raises an exception.

    Raises:
        OSError: The manifest cannot be written. If the command itself fails, that is what is said.
    """
    now = datetime.datetime.now().astimezone()
    run = CommandRun(
        command=shlex.join(["vecsetx", *masked_words(words)]),
        current_folder=masked(os.getcwd()),
        vecsetx=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: _version_of(name) for name in _PACKAGES},
        seed=seed,
        inputs=(),
        inputs_left_out=0,
        models=(),
        started=now.isoformat(timespec="microseconds"),
        seconds=None,
        state="running",
        exit_status=None,
    )
    recorder = _Recorder(run, time.monotonic(), named)
    token = _RECORDER.set(recorder)
    try:
        yield
    except BaseException as error:
        with suppress(OSError, InputError):
            recorder.end(exit_status(error))
        raise
    finally:
        _RECORDER.reset(token)
    recorder.end(0)


@contextmanager
def recorded_in(folder: Path) -> Iterator[None]:
    """Record the running command in the manifest of a folder, which the block writes into.

    No other run may write there meanwhile. A block that fails before it has written anything else
    leaves the manifest as it was. Within another such block, as of ``demo``, nothing is recorded.

    Raises:
        InputError: The folder has a ``manifest.json`` of another program, or a damaged one.
        OSError: The manifest cannot be written.
    """
    recorder = _RECORDER.get()
    if recorder is None or recorder.folder is not None:
        yield
        return
    path = folder / MANIFEST
    former = path.read_bytes() if path.is_file() else None
    before = _entries(folder)
    recorder.begin(folder)
    try:
        yield
    except BaseException:
        if _entries(folder) == before:
            recorder.written = None
            if former is None:
                path.unlink(missing_ok=True)
            else:
                with written_whole(path) as unfinished:
                    unfinished.write_bytes(former)
        raise


def note_files(files: Callable[[], Iterable[Path]]) -> None:
    """Note files that the running command reads as inputs.

    Args:
        files: Returns the files; not called where nothing is recorded.
    """
    if recorder := _RECORDER.get():
        recorder.note(seen(files()))


def note_model(name: str, weights: Path) -> None:
    """Note a model that the running command reads.

    Args:
        name: How results name it.
        weights: The file of its weights.
    """
    recorder = _RECORDER.get()
    if recorder and name not in recorder.models:
        recorder.note_model(name, weights)


def _entries(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what lies in a folder: name → size and time of change.

    Without manifest, locks and empty folders.
    """
    with os.scandir(folder) as entries:
        return {
            entry.name: (status.st_size, status.st_mtime_ns)
            for entry in entries
            if entry.name != MANIFEST and not entry.name.endswith(".lock")
            if not (entry.is_dir(follow_symlinks=False) and not os.listdir(entry))
            for status in [entry.stat(follow_symlinks=False)]
        }


def _same(path: Path, folder: Path) -> bool:
    with suppress(OSError):
        return path.samefile(folder)
    return False


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
