"""The content of ``manifest.json``: reading it strictly, and writing it whole."""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.plain_data import PlainDataError, read_json, validated, validator
from vecsetx.schemas import MANIFEST_SCHEMA, check_schema, schema_of

__all__ = ["MANIFEST", "CommandRun", "InputFile", "Manifest", "ModelFile", "State"]

MANIFEST = "manifest.json"
"""Name of the file, in the folder that a command writes into."""

MOST_RUNS, MOST_INPUTS = 20, 20_000
"""Most runs of a manifest, and most inputs of all its runs; the newest run is always kept."""

State = Literal["running", "finished", "failed", "stopped"]
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]


def _as_time(text: str) -> str:
    """Return a text that is a date with a time, ISO 8601; raises ValueError for another."""
    datetime.datetime.fromisoformat(text).timestamp()
    return text


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a command was given, or found in a folder that it was given.

    Attributes:
        path: Its absolute path.
        bytes: Its size.
        modified_ns: When it was last modified, ns since the epoch.
        sha256: Hash of its content; None if it could not be read, or changed during the run.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    path: str
    bytes: _Count
    modified_ns: int
    sha256: _Sha256 | None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that a command read.

    Attributes:
        name: ``built-in``, or the absolute path of its folder.
        sha256: Hash of its ``model.safetensors``; None if it could not be read.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    sha256: _Sha256 | None


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One run of a command that wrote into the folder.

    Attributes:
        command: The command as it was typed, secrets masked.
        current_folder: The folder in which it was typed.
        vecsetx: Version of VecSetX.
        python: Version of Python.
        platform: Operating system and processor.
        packages: Package → its version; None if it is not installed.
        seed: Value of ``--seed``, or its default; None for commands without one.
        inputs: The files that it read, by their paths.
        inputs_left_out: Number of further inputs, beyond :data:`MOST_INPUTS`.
        models: The models that it read.
        started: When it began, ISO 8601.
        seconds: How long it took; None while it runs, and if it was killed.
        state: ``running`` while it runs, and if it was killed; ``stopped`` by Ctrl-C or a signal;
            ``failed`` if its exit status was not 0.
        exit_status: Its exit status; None while it runs, and if it was killed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    command: str
    current_folder: str
    vecsetx: str
    python: str
    platform: str
    packages: dict[str, str | None]
    seed: int | None
    inputs: tuple[InputFile, ...]
    inputs_left_out: _Count
    models: tuple[ModelFile, ...]
    started: Annotated[str, AfterValidator(_as_time)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    state: State
    exit_status: int | None

    @property
    def began(self) -> float:
        """When it began, seconds since the epoch."""
        return datetime.datetime.fromisoformat(self.started).timestamp()

    def known_hashes(self) -> Iterator[tuple[tuple[str, int, int], str]]:
        """Yield path, size and time of change of inputs, and their hashes.

        A file that changed in the two seconds before the run is left out: it may have changed once
        more, at the same size, within the resolution of the file system's clock.
        """
        for file in self.inputs:
            if file.sha256 and file.modified_ns < (self.began - 2) * 1e9:
                yield (file.path, file.bytes, file.modified_ns), file.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """All runs that wrote into a folder.

    Attributes:
        schema: Version of the format.
        runs: The runs, in the order in which they began; of many, the newest.
        runs_left_out: Number of earlier runs that are no longer listed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    schema: int = MANIFEST_SCHEMA
    runs: tuple[CommandRun, ...] = ()
    runs_left_out: _Count = 0

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read a folder's manifest; one without runs if there is none.

        Raises:
            InputError: The file is damaged, of a later version, or another program's.
        """
        path = folder / MANIFEST
        try:
            content = read_json(path)
            check_schema(path, schema_of(content), MANIFEST_SCHEMA, "move the file")
            return validated(validator(Manifest), content)
        except FileNotFoundError:
            return cls()
        except (OSError, PlainDataError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            raise InputError(
                f"{path}: no manifest that this VecSetX can read ({what}); move it away, or choose "
                "another --out"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the manifest whole, or leave the former one.

        Raises:
            OSError: It cannot be written.
        """
        write_json(folder / MANIFEST, asdict(self))

    def with_run(self, run: CommandRun, former: CommandRun | None = None) -> "Manifest":
        """Return the manifest with one more run, within the bounds on its size.

        Args:
            run: The run.
            former: What the manifest says of the same run so far, whose place it takes.
        """
        runs = [run if each == former else each for each in self.runs]
        if run not in runs:
            runs.append(run)
        fewest = _first_kept(runs)
        return replace(self, runs=tuple(runs[fewest:]), runs_left_out=self.runs_left_out + fewest)


def _first_kept(runs: Sequence[CommandRun]) -> int:
    """Return the index of the oldest run that is kept."""
    first, inputs = max(len(runs) - MOST_RUNS, 0), 0
    for index in range(len(runs) - 1, first - 1, -1):
        inputs += len(runs[index].inputs)
        if inputs > MOST_INPUTS and index < len(runs) - 1:
            return index + 1
    return first
