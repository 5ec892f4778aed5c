"""What a command makes of each heart of a cohort, and the records by which a second run goes on.

A record says what a heart's result was made from, by a hash: the input's bytes, the model, every
option that changes the result, and the version. It also holds the result, or the hashes of the
files that hold it. So what is done already is skipped, and a file that was removed or changed since
is made again.
"""

import hashlib
import json
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Generic, TypeVar

from vecsetx._version import __version__
from vecsetx.files import clear_unfinished, write_text
from vecsetx.plain_data import read_json
from vecsetx.workers.lock import waiting_lock

__all__ = ["RECORDS", "HeartWork", "Records", "do_heart", "done_earlier"]

Heart = TypeVar("Heart")
Result = TypeVar("Result")

RECORDS = ".vecsetx"
"""Folder of the records, in the folder that a command writes into."""

_NOT_SUITED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Errors from data of other types, from numbers that no float can hold, and from deep nesting."""


class HeartWork(ABC, Generic[Heart, Result]):
    """What a command makes of each heart.

    It is pickled for each heart, so it is small: a model is named by its folder.

    Attributes:
        name: Name of the work, which tells its records from those of other work.
    """

    name: ClassVar[str]

    @abstractmethod
    def setting(self) -> Mapping[str, Any]:
        """Return plain data of all that a result depends on, except for heart and version."""

    @abstractmethod
    def identity(self, heart: Heart) -> Mapping[str, Any]:
        """Return plain data of all that a result depends on of the heart: its files by their hash.

        Raises:
            InputError: A file of the heart is missing or unreadable.
        """

    @abstractmethod
    def make(self, heart: Heart) -> Result:
        """Make the heart's result and write its files. Runs in a worker."""

    @abstractmethod
    def to_record(self, result: Result) -> Any:
        """Return plain data that :meth:`of_record` turns into the result."""

    @abstractmethod
    def of_record(self, record: Any) -> Result:
        """Return the result that a record holds.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError: It holds
                none.
        """

    def files(self, heart: Heart, result: Result) -> Sequence[Path]:
        """Return the files that were written, absolute paths."""
        return ()


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a folder's hearts, a file each.

    Attributes:
        folder: Their folder, an absolute path.
        out: Folder of the files that the work writes, an absolute path.
    """

    folder: Path
    out: Path

    @classmethod
    def within(cls, out: Path) -> "Records":
        """Return the records of what a command writes into a folder."""
        return cls(out.resolve() / RECORDS, out.resolve())

    def are_there(self, work: HeartWork[Any, Any], name: str) -> bool:
        """Return whether there is a record of a heart, whatever it was made from."""
        return self._file(work, name).is_file()

    def read(
        self, work: HeartWork[Heart, Result], name: str, heart: Heart, key: str
    ) -> tuple[Result] | None:
        """Return a heart's result.

        Args:
            work: The work.
            name: The heart's name.
            heart: The heart.
            key: What the result has to be made from, as of :func:`key_of`.

        Returns:
            None if there is no record, it is damaged, the result was made from something else, or
            one of its files is missing or was changed.
        """
        try:
            record = read_json(self._file(work, name))
            content, files = record["result"], record["files"]
            if record["key"] != key or record["sha256"] != _seal(key, _plain(content), files):
                return None
            result = work.of_record(content)
            if files.keys() != {self._relative(file) for file in work.files(heart, result)}:
                return None
            if not all(self._is_unchanged(file, sha256) for file, sha256 in files.items()):
                return None
            return (result,)
        except (OSError, *_NOT_SUITED):
            return None  # missing, damaged, or not by this version

    def write(
        self, work: HeartWork[Any, Any], name: str, key: str, content: Any, files: Sequence[Path]
    ) -> None:
        """Write a heart's record, completely or not at all.

        Args:
            work: The work.
            name: The heart's name.
            key: What the result was made from.
            content: The result as plain data.
            files: The files that were written, within :attr:`out`.
        """
        hashes = {self._relative(file): _sha256(file) for file in files}
        # The result may hold a million numbers: its text is made once, for hash and file.
        text = _plain(content)
        head = _plain({"key": key, "sha256": _seal(key, text, hashes), "files": hashes})
        write_text(self._file(work, name), f'{head[:-1]}, "result": {text}}}\n')

    @contextmanager
    def locked(self, work: HeartWork[Any, Any], name: str) -> Iterator[None]:
        """Keep other workers from the same work on a heart while the block runs; wait for them.

        The workers of a Dask cluster survive a run that was killed, and finish their hearts.
        """
        file = self._file(work, name)
        self.folder.mkdir(parents=True, exist_ok=True)
        with waiting_lock(self._lock(file), f"{self.out}: heart {name}"):
            yield

    def tidy(self) -> None:
        """Remove what killed writers left, and the folder if it is empty then."""
        clear_unfinished(self.folder)
        with suppress(OSError):
            self.folder.rmdir()

    def remove(self, work: HeartWork[Any, Any], names: Iterable[str]) -> None:
        """Remove the records of hearts, and the folder if it is empty then."""
        for name in names:
            file = self._file(work, name)
            for own in (file, self._lock(file)):
                own.unlink(missing_ok=True)
        self.tidy()

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.out).as_posix()

    def _is_unchanged(self, file: str, sha256: str) -> bool:
        # Anyone may have changed the record: it cannot name a file elsewhere.
        relative = PurePosixPath(file)
        if relative.is_absolute() or ".." in relative.parts:
            return False
        path = self.out / relative
        return stat.S_ISREG(path.lstat().st_mode) and _sha256(path) == sha256

    @staticmethod
    def _lock(record: Path) -> Path:
        return record.with_name(f".{record.stem}.lock")

    def _file(self, work: HeartWork[Any, Any], name: str) -> Path:
        # Names of hearts may hold any character.
        return (
            self.folder / f"{hashlib.sha256(f'{work.name}/{name}'.encode()).hexdigest()[:24]}.json"
        )


def key_of(work: HeartWork[Heart, Any], identity: Mapping[str, Any]) -> str:
    """Return a hash of all that a heart's result depends on."""
    # In the order that they have, which numbers a label set's structures.
    whole = json.dumps([work.name, __version__, work.setting(), identity])
    return hashlib.sha256(whole.encode()).hexdigest()


def done_earlier(
    named: tuple[str, Heart], work: HeartWork[Heart, Result], records: Records
) -> tuple[Result] | None:
    """Return a heart's result if an earlier run has made it; else None. Runs in a worker.

    Args:
        named: The heart's name, and the heart.
        work: The work.
        records: What is done.
    """
    name, heart = named
    if not records.are_there(work, name):
        return None
    return records.read(work, name, heart, key_of(work, work.identity(heart)))


def do_heart(named: tuple[str, Heart], work: HeartWork[Heart, Result], records: Records) -> Result:
    """Do the work on a heart and record it, unless it is done already. Runs in a worker.

    Args:
        named: The heart's name, and the heart.
        work: The work.
        records: What is done.
    """
    name, heart = named
    with records.locked(work, name):
        if earlier := done_earlier(named, work, records):
            return earlier[0]
        key = key_of(work, work.identity(heart))
        result = work.make(heart)
        # If its files changed meanwhile, nobody knows which of them were read: no record.
        if key_of(work, work.identity(heart)) == key:
            records.write(work, name, key, work.to_record(result), work.files(heart, result))
    return result


def _sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _seal(key: str, result: str, files: Mapping[str, str]) -> str:
    """Return a hash of all that a record holds; the result is JSON as of :func:`_plain`."""
    return hashlib.sha256(f"{_plain([key, files])}\n{result}".encode()).hexdigest()


def _plain(data: Any) -> str:
    """Return plain data as JSON; raises ValueError for NaN and infinity."""
    return json.dumps(data, allow_nan=False)
