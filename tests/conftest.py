"""What all tests share: shapes checked at run time, one thread, and the real hearts."""

import gc
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported: the tests' tensors are small, and more threads only slow them down.
# The environment hands the limit on to commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
from support import type_checks

# Every worker and every command that a test starts imports the same modules; compiling those
# afresh takes longer than most tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Started in the background, the tests would inherit that Ctrl-C is ignored, and hand that on.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before vecsetx is imported: every annotation of the package is held to, array shapes included.
type_checks.install("vecsetx")

# The first call of a function pays for its checks, so time says nothing about an example. Where a
# build is judged, the examples are the same every time; elsewhere they vary.
hypothesis.settings.register_profile("vecsetx", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("vecsetx")

REAL_HEARTS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Import the package's modules, beginning at another one in each of xdist's workers.

    Else, in a fresh clone, each of them would compile every module of every package at the same
    time as the others. So each finds compiled what another one has begun with.
    """
    gc.disable()  # what is imported and collected stays
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) is None:
        return
    import vecsetx

    found = pkgutil.walk_packages(vecsetx.__path__, "vecsetx.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    begin = len(names) * int(worker[2:]) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for name in names[begin:] + names[:begin]:
        importlib.import_module(name)


def pytest_collection_finish() -> None:
    """Let the collector of garbage look at what tests make, and no longer at all modules."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for the real hearts, so that ``-m real`` finds them.

    They come first, because they take longest: at the end, one of them would keep a worker busy
    while the others have nothing left to do.
    """
    for item in items:
        if "real_hearts" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)
    items.sort(key=lambda item: item.get_closest_marker("real") is None)


@pytest.fixture(scope="session")
def real_hearts() -> Path:
    """Folder of the real hearts, which are no part of the repository."""
    if not REAL_HEARTS.is_dir():
        pytest.skip("the real hearts are not here (../shared/data)")
    return REAL_HEARTS


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let xdist's workers share what ``support.shared.made_once`` makes."""
    from support import shared

    own = tmp_path_factory.getbasetemp()
    shared.root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def one_worker_process() -> Iterator[None]:
    """Start one worker process where a test names no number: starting one takes seconds."""
    from support.forked import FromServer

    from vecsetx.workers import processes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "cores", lambda: 1)
        patch.setattr(processes, "_SPAWN", FromServer)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_trial_step() -> Iterator[None]:
    """Try one step before a run, not three, which take longer than the run of most tests."""
    # The command plan, which tells a step's time, must have the function before it is replaced.
    from vecsetx.commands import plan
    from vecsetx.training import preflight

    assert plan.seconds_per_step is preflight.seconds_per_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "seconds_per_step", preflight.try_step)
        yield


@pytest.fixture
def all_trial_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try as many steps before a run as a user's training does."""
    from vecsetx.commands import plan
    from vecsetx.training import preflight

    monkeypatch.setattr(preflight, "seconds_per_step", plan.seconds_per_step)


@pytest.fixture(scope="session")
def dataset():
    """A prepared data set of four small phantoms; tests do not change it."""
    from support.runs import small_dataset
    from support.shared import made_once

    from vecsetx.data.dataset import DataSet

    return DataSet.read(made_once("dataset", small_dataset) / "data")


@pytest.fixture(scope="session")
def trained_run(dataset) -> Path:
    """A run long enough for the model to find structures; tests do not change it."""
    from support.runs import trained_a_little
    from support.shared import made_once

    return made_once("trained-run", lambda folder: trained_a_little(dataset, folder))


@pytest.fixture(scope="session")
def calibrated_run(dataset, trained_run) -> Path:
    """A folder with that run, calibrated, in ``run/``, and what was said of it in ``said.txt``."""
    from support.runs import calibrated
    from support.shared import made_once

    return made_once("calibrated-run", lambda folder: calibrated(dataset, trained_run, folder))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """The clock by which progress is told, at a time that the test sets."""
    from support.clock import Clock

    from vecsetx import progress
    from vecsetx.terminal import progress_bars

    clock = Clock()
    for module in (progress, progress_bars):
        monkeypatch.setattr(module, "time", clock)
    return clock
