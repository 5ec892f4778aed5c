"""The jobs of slurm/ in a cluster that is started for them: one machine that passes for two nodes.

Its own clocks, queue and signals; no GPUs, no accounting, no control groups.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from getpass import getuser
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.hearts import write_small_phantoms
from support.runs import RECIPE
from support.waiting import wait_until

from vecsetx.data.dataset import DataSet
from vecsetx.model.saved import TrainedModel
from vecsetx.training.journal import read_journal

DAEMONS = ("munged", "slurmctld", "slurmd")
FOUND = {name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in DAEMONS}
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(None in FOUND.values(), reason="SLURM and MUNGE are not installed"),
]

ROOT = Path(__file__).parents[2]
HOST = socket.gethostname().split(".")[0]
NODES = (HOST, f"{HOST}-second")  # the first one's name can be looked up: there the ranks meet

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
JobRequeue=1
FirstJobId={ports[0]}
KillWait=10
OverTimeLimit=1
GresTypes=gpu
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} {has}
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} {has} Weight=2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Commands given to the cluster whose configuration lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PYTHONPATH": str(ROOT / "src"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def submit(self, script: str, log: Path, options: list[str], *arguments: str | Path) -> str:
        """Submit a job that needs one core per task; its number."""
        few = ["--cpus-per-task=1", f"--output={log}", *options]
        return self.run("sbatch", "--parsable", *few, f"slurm/{script}", *arguments).strip()

    def job(self, number: str) -> dict[str, str]:
        words = self.run("scontrol", "show", "job", "--oneliner", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def end_of(self, number: str, seconds: float = 240) -> tuple[str, int]:
        """How a job ended, and how often it was started again."""
        ends = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        ended = wait_until(lambda: self.job(number)["JobState"] in ends, seconds=seconds)
        assert ended, self.job(number)
        job = self.job(number)
        return job["JobState"], int(job["Restarts"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    write_configuration(folder)
    cluster = Cluster(folder)
    with ExitStack() as daemons:
        for name, *arguments in (
            ("munged", "--foreground", "--force", *munge_files(folder)),
            ("slurmctld", "-D"),
            *(("slurmd", "-D", "-N", node) for node in NODES),
        ):
            log = folder / f"{name}-{arguments[-1]}.log".replace("/", "_")
            daemons.enter_context(running(name, arguments, log, cluster.environment))
            assert name != "munged" or wait_until((folder / "munge.socket").exists)

        def ready() -> bool:
            shown = subprocess.run(
                ["sinfo", "--noheader", "--Node", "--format=%T"],
                env=cluster.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            return shown.stdout.split() == ["idle"] * len(NODES)

        assert wait_until(ready, seconds=60), "the cluster does not start; see " + str(folder)
        daemons.callback(wait_until, lambda: not cluster.run("squeue", "--noheader"), seconds=30)
        daemons.callback(cluster.run, "scancel", "--user", getuser())
        yield cluster


def write_configuration(folder: Path) -> None:
    with ExitStack() as stack:  # all of them open at once, so that they differ
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        ports = [free.getsockname()[1] for free in sockets]
    has = "CPUs=16 RealMemory=1000000 Gres=gpu:4"
    text = CONFIGURATION.format(
        folder=folder, host=HOST, user=getuser(), nodes=NODES, ports=ports, has=has
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")
    for gpu in range(4):
        (folder / f"gpu{gpu}").touch()
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)


def munge_files(folder: Path) -> list[str]:
    files = {"key": "key", "socket": "socket", "pid": "pid", "log": "log", "seed": "seed"}
    return [
        f"--{name}{'' if name == 'socket' else '-file'}={folder}/munge.{name}" for name in files
    ]


@contextmanager
def running(
    name: str, arguments: list[str], log: Path, environment: dict[str, str]
) -> Iterator[None]:
    """A daemon in the foreground, ended with the block."""
    path = FOUND[name]
    assert path
    with (
        log.open("w") as told,
        subprocess.Popen([path, *arguments], env=environment, stdout=told, stderr=told) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def recipe_file(out: Path, steps: int) -> Path:
    """A recipe with an entry per step, and no checkpoint but those of a run that stops."""
    training = {"steps": steps, "log_every": 1, "checkpoint_every": 1_000_000}
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(RECIPE.changed({"training": training}, "").to_dict()))
    return file


def seconds_per_step(data: Path, out: Path) -> float:
    """Of a short run outside the cluster, at its fastest: what else slows it down may end."""
    options = ["--out", out, "--config", recipe_file(out, 60)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "vecsetx", "train", data, *options]
    subprocess.run(command, env=environment, check=True)
    seconds = [entry["seconds"] for entry in read_journal(out / "metrics.jsonl")]
    return float(np.quantile(np.diff(seconds), 0.1))


def assert_every_step_once(out: Path, steps: int) -> None:
    assert [e["step"] for e in read_journal(out / "metrics.jsonl")] == list(range(1, steps + 1))
    assert TrainedModel.from_pretrained(out / "model").provenance["steps"] == steps
    assert json.loads((out / "data.json").read_text())


def test_a_run_longer_than_its_time_limit_is_started_again_and_ends(
    cluster: Cluster, dataset: DataSet, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "job.log"
    # SLURM looks at time limits every 30 s: the signal comes 25 to 55 s after the start.
    steps = round(90 / seconds_per_step(dataset.folder, tmp_path / "pace"))
    limit = ["--time=1", "--signal=USR1@5"]
    arguments = [dataset.folder, out, "--config", recipe_file(out, steps)]
    job = cluster.submit("train-1gpu.sh", log, limit, *arguments)
    assert wait_until(lambda: cluster.job(job)["Restarts"] == "1", seconds=150), log.read_text()
    cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=30")
    assert cluster.end_of(job) == ("COMPLETED", 1), log.read_text()
    assert log.read_text().count("stopped by SIGUSR1 after step") == 1
    assert_every_step_once(out, steps)


@pytest.mark.parametrize(
    ("script", "ranks"),
    [("train-4gpu.sh", "--ntasks-per-node=2"), ("train-multinode.sh", "--ntasks-per-node=1")],
)
def test_two_ranks_stop_together_and_go_on(
    cluster: Cluster, script: str, ranks: str, dataset: DataSet, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "job.log"
    arguments = [dataset.folder, out, "--config", recipe_file(out, 200)]
    job = cluster.submit(script, log, [ranks], *arguments)
    assert wait_until(lambda: bool(read_journal(out / "metrics.jsonl"))), log.read_text()
    cluster.run("scancel", "--signal=USR1", job)  # what --signal of sbatch does when it is time
    assert cluster.end_of(job) == ("COMPLETED", 1), log.read_text()
    told = log.read_text()
    assert told.count("stopped by SIGUSR1 after step") == 2  # one of each rank
    assert told.count("2 × cpu") == 2  # one of each start
    assert_every_step_once(out, 200)


def test_a_cancelled_run_has_saved_and_stays_away(
    cluster: Cluster, dataset: DataSet, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "job.log"
    arguments = [dataset.folder, out, "--config", recipe_file(out, 1_000_000)]
    job = cluster.submit("train-1gpu.sh", log, [], *arguments)
    assert wait_until(lambda: bool(read_journal(out / "metrics.jsonl"))), log.read_text()
    cluster.run("scancel", job)
    assert wait_until((out / "checkpoint.pt").exists), log.read_text()
    assert wait_until(lambda: cluster.run("squeue", "--noheader").strip() == "")
    assert cluster.end_of(job) == ("CANCELLED", 0)


def test_a_run_that_fails_is_not_started_again(
    cluster: Cluster, dataset: DataSet, tmp_path: Path
) -> None:
    log = tmp_path / "job.log"
    out = tmp_path / "run"
    job = cluster.submit("train-1gpu.sh", log, [], dataset.folder, out, "model.wdith=32")
    assert cluster.end_of(job) == ("FAILED", 0)
    assert cluster.job(job)["ExitCode"] == "2:0"
    assert "unknown option 'model.wdith'" in log.read_text()


def test_preparing_goes_on_after_it_was_put_back_into_the_queue(
    cluster: Cluster, tmp_path: Path
) -> None:
    labels, out, log = tmp_path / "labels", tmp_path / "data", tmp_path / "job.log"
    write_small_phantoms(labels, 4)
    job = cluster.submit("prepare.sh", log, [], labels, out, "--points", "2000")
    first = out / "hearts" / "phantom00.safetensors"
    assert wait_until(first.exists), log.read_text()
    made = first.stat().st_mtime_ns
    cluster.run("scontrol", "requeue", job)
    assert cluster.end_of(job) == ("COMPLETED", 1), log.read_text()
    assert len(DataSet.read(out).hearts) == 4
    assert first.stat().st_mtime_ns == made


@pytest.mark.parametrize("script", ["reconstruct.sh", "evaluate.sh"])
def test_a_cohort_goes_on_after_it_was_put_back_into_the_queue(
    cluster: Cluster, script: str, trained_run: Path, tmp_path: Path
) -> None:
    labels, out, log = tmp_path / "labels", tmp_path / "out", tmp_path / "job.log"
    write_small_phantoms(labels, 4)
    job = cluster.submit(script, log, [], labels, out, "--model", trained_run)

    def finished() -> list[Path]:
        """The records of hearts that are done; each is written after all of its heart's files."""
        return list((out / ".vecsetx").glob("[!.]*.json"))

    assert wait_until(lambda: bool(finished()), seconds=120), log.read_text()
    (made,) = finished()[:1]
    before = made.stat().st_mtime_ns
    cluster.run("scontrol", "requeue", job)
    assert cluster.end_of(job) == ("COMPLETED", 1), log.read_text()
    assert "done already" in log.read_text()
    assert made.stat().st_mtime_ns == before
    assert len(finished()) == 4
