"""A few attacks of each kind; ``make test-attack`` makes many. And what the judge objects to."""

import gzip
import json
import shutil
import signal
import sys
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from support.forked import forked
from support.waiting import LONGEST_SECONDS

import vecsetx.commands
from attack import hostile_names, judge, long_runs, mutated_files
from attack.judge import Attack, try_attack
from attack.material import with_inputs
from attack.mutations import damaged, swollen_gzip
from vecsetx.data.dataset import DataSet
from vecsetx.training import memory


def attacked(data: Path, run: Path, folder: Path) -> None:
    """Make the attacks, in a process that tests nothing else."""
    place = folder / "material"
    shutil.copytree(data, place / "data")
    shutil.copytree(run, place / "run")
    shutil.copy(run / "recipe.yaml", place)
    material = with_inputs(place, Path(DataSet.read(data).hearts[0].source))
    moat = folder / "moat" / "folder"
    for module in iter_modules(vecsetx.commands.__path__, "vecsetx.commands."):
        import_module(module.name)  # once for all that are forked from here
    # The command plan reads a recipe alike, but tensors without contents take it ten seconds.
    memory.trace_faked_step = memory.trace_step
    made = 0
    for family in (mutated_files, hostile_names, long_runs):
        moat.mkdir(parents=True)
        for _, attack in family.attacks(material, moat, 1, seed=0):
            verdict = try_attack(attack, moat)
            if verdict.complaints:
                sys.exit(f"{attack.name}: {verdict.complaints}\n{verdict.output}")
            made += 1
            shutil.rmtree(moat)
            moat.mkdir()
        shutil.rmtree(moat.parent)
    assert made > len(mutated_files.FORMATS)


def test_a_few_attacks_of_each_kind(
    dataset: DataSet, trained_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    process = forked(attacked, dataset.folder, trained_run, tmp_path)
    process.join(LONGEST_SECONDS)
    assert process.exitcode == 0, capfd.readouterr().err


def _raise() -> None:
    raise RuntimeError("told to nobody")


def _write_beside(folder: Path) -> None:
    (folder.parent / "escaped").write_text("")


def _take_memory() -> None:
    np.empty(2 * judge.MOST_BYTES, np.uint8)


def _spin() -> None:
    while True:
        pass


def _leave_half_a_file(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / ".vecsetx-unfinished-1").write_text("")


LABELS = ("labels", "default")
MISBEHAVIOUR = {
    "printed 'Traceback": lambda folder: {"before": _raise},
    "changed escaped, outside": lambda folder: {"before": partial(_write_beside, folder)},
    "exit status 99": lambda folder: {"before": _take_memory},
    "ended by SIGSEGV": lambda folder: {"before": partial(signal.raise_signal, signal.SIGSEGV)},
    "took more than 0.1 s": lambda folder: {"before": _spin, "most_seconds": 0.1},
    "printed 'ITKERROR": lambda folder: {"before": partial(print, "ITKERROR: lost")},
    "left .vecsetx-unfinished-1": lambda folder: {
        "before": partial(_leave_half_a_file, folder),
        "out": "out",
    },
    "succeeded, and must be refused": lambda folder: {"refused": True},
    "the wrong heart": lambda folder: {"wrong": lambda status: "the wrong heart"},
    "refused without a line": lambda folder: {"before": partial(sys.exit, 2)},
}
"""What the judge says, and what is done to a command that does nothing wrong itself."""


def misbehave(folder: Path) -> None:
    """Let commands do what none may, in a process that tests nothing else; note the verdicts."""
    found = {}
    for number, (expected, options) in enumerate(MISBEHAVIOUR.items()):
        place = folder / str(number) / "moat" / "folder"
        place.mkdir(parents=True)
        attack = Attack(expected, LABELS, **options(place))
        found[expected] = try_attack(attack, place).complaints
    (folder / "sound" / "moat" / "folder").mkdir(parents=True)
    sound = try_attack(Attack("", LABELS), folder / "sound" / "moat" / "folder")
    found[""] = sound.complaints
    (folder / "found.json").write_text(json.dumps(found))


def test_the_judge_objects_to_what_no_command_may_do(tmp_path: Path) -> None:
    process = forked(misbehave, tmp_path)
    process.join(LONGEST_SECONDS)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found.pop("") == []
    assert found.keys() == MISBEHAVIOUR.keys()
    for expected, complaints in found.items():
        assert expected in " ".join(complaints)


def test_damage_changes_the_file_and_follows_from_the_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = count()
    monkeypatch.setattr("time.time", lambda: float(next(seconds)))  # gzip writes the time
    sound = {"text": b"ids: {1: LV, 2: LA}\n" * 9, "bytes": bytes(range(256)) * 9}
    sound["packed"] = gzip.compress(sound["bytes"])
    for data in sound.values():
        for seed in range(200):
            made, what = damaged(data, np.random.default_rng(seed))
            assert made != data
            assert (made, what) == damaged(data, np.random.default_rng(seed))


def test_a_swollen_gzip_is_whole() -> None:
    data = swollen_gzip(gzip.compress(b"sound"), 8 << 20)
    assert len(data) < 20_000
    assert gzip.decompress(data) == b"sound" + bytes(8 << 20)
