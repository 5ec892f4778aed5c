"""Copies of the journal: TensorBoard's event files and W&B, with the real packages.

W&B runs in a program of its own, as it keeps its settings for as long as a process lives. It talks
to a small server here that answers as W&B's does.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import pytest
from support.waiting import LONGEST_SECONDS

from vecsetx.errors import InputError
from vecsetx.training import loggers as wandb_loggers
from vecsetx.training.journal import Entry
from vecsetx.training.loggers import loggers, scalars

TRAIN = Entry(
    step=20,
    split="train",
    loss=0.5,
    terms={"near": 0.375, "volume": 0.125},
    shares={"near": 0.75, "volume": 0.25},
    gradient_norms={"near": 2.0},
    lr=0.001,
    seconds=60.0,
    waiting=0.25,
    hearts_per_second=16.0,
    memory_gb=4.5,
    lost=["Jane Doe", "John Doe"],
)
VAL = Entry(
    step=20,
    split="val",
    seconds=64.0,
    grid_dice=0.8125,
    grid={"LA": 0.875, "LV": 0.75},
    grid_hearts=["Jane Doe"],
    points={"LA": {"dice": 0.9375, "iou": 0.875, "accuracy": 0.96875}},
    error="heart Jane Doe: no such file",
)
TRAIN_SCALARS = {
    "train/loss": 0.5,
    "train/terms/near": 0.375,
    "train/terms/volume": 0.125,
    "train/shares/near": 0.75,
    "train/shares/volume": 0.25,
    "train/gradient_norms/near": 2.0,
    "train/lr": 0.001,
    "train/seconds": 60.0,
    "train/waiting": 0.25,
    "train/hearts_per_second": 16.0,
    "train/memory_gb": 4.5,
    "train/lost": 2.0,
}
VAL_SCALARS = {
    "val/seconds": 64.0,
    "val/grid_dice": 0.8125,
    "val/grid/LA": 0.875,
    "val/grid/LV": 0.75,
    "val/grid_hearts": 1.0,
    "val/points/LA/dice": 0.9375,
    "val/points/LA/iou": 0.875,
    "val/points/LA/accuracy": 0.96875,
}


def test_an_entry_becomes_flat_scalars_without_names_of_hearts() -> None:
    assert scalars(TRAIN) == TRAIN_SCALARS
    assert scalars(VAL) == VAL_SCALARS
    assert scalars(Entry(step=3, split="train", loss=1.0)) == {
        "train/loss": 1.0,
        "train/seconds": 0.0,
    }


def test_packages_are_imported_only_where_they_are_asked_for(folder: Path) -> None:
    body = """
        import vecsetx.cli, vecsetx.commands.train
        from vecsetx.presets import preset
        assert preset("base").model.weight_shapes(10)  # as every model that is read
        with loggers.loggers(folder, "tiny", {}, False, None, print) as log:
            log(Entry(step=1, split="train", loss=1.0))
        print([name for name in ("wandb", "tensorboard", "torch._dynamo") if name in sys.modules])
        """
    assert program(body, folder).stdout.splitlines()[-1] == "[]"
    assert list(folder.iterdir()) == []


# TensorBoard


def events(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: per name the values by step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        name: {event.step: event.value for event in accumulator.Scalars(name)}
        for name in accumulator.Tags()["scalars"]
    }


def test_tensorboard_shows_the_journal(tmp_path: Path) -> None:
    warned: list[str] = []
    with loggers(tmp_path, "tiny", {}, True, None, warned.append) as log:
        log(TRAIN)
        log(VAL)
    assert not warned
    shown = events(tmp_path / "tensorboard")
    expected = TRAIN_SCALARS | VAL_SCALARS
    assert shown.keys() == expected.keys()
    for name, value in expected.items():
        assert shown[name] == {20: pytest.approx(value, rel=1e-6)}  # float32


def test_tensorboard_forgets_what_a_killed_run_wrote_after_its_checkpoint(tmp_path: Path) -> None:
    for steps, loss in (((10, 20, 30, 40), 1.0), ((30, 50), 2.0)):
        with loggers(tmp_path, "tiny", {}, True, None, print) as log:
            for step in steps:
                log(Entry(step=step, split="train", loss=loss))
    assert events(tmp_path / "tensorboard")["train/loss"] == {10: 1.0, 20: 1.0, 30: 2.0, 50: 2.0}


def test_a_logger_that_fails_is_told_of_once_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("no folder")
    warned: list[str] = []
    with loggers(tmp_path, "tiny", {}, True, None, warned.append) as log:
        for step in range(3):
            log(Entry(step=step, split="train", loss=1.0))
    assert len(warned) == 1
    assert warned[0].startswith("TensorBoard failed and is off (")
    assert "File exists" in warned[0]
    assert "metrics.jsonl is still written" in warned[0]


def test_a_logger_that_cannot_be_closed_does_not_hide_what_ended_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def fails(self: SummaryWriter) -> None:
        raise OSError("the disk\nis full")

    warned: list[str] = []
    monkeypatch.setattr(SummaryWriter, "close", fails)

    def trains() -> None:
        with loggers(tmp_path, "tiny", {}, True, None, warned.append) as log:
            log(TRAIN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trains()
    assert warned == [
        "TensorBoard failed and is off (the disk is full); metrics.jsonl is still written"
    ]


@pytest.mark.parametrize(
    ("module", "there"),
    [("tensorboard", None), ("wandb", None), ("wandb", ModuleType("wandb"))],
    ids=["tensorboard", "wandb", "a folder wandb"],
)
def test_a_missing_package_is_told_before_anything_begins(
    module: str, there: ModuleType | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, module, there)
    asked = (True, None) if module == "tensorboard" else (False, "hearts")
    with (
        pytest.raises(InputError, match=rf"pip install 'vecsetx\[{module}\]'"),
        loggers(tmp_path, "tiny", {}, *asked, print),
    ):
        pytest.fail("nothing may begin")


# W&B

KEY = "0" * 40
HEADER = """
import os, signal, sys, time
from pathlib import Path
from vecsetx.errors import InputError
from vecsetx.training import loggers
from vecsetx.training.journal import Entry

loggers._INIT_S = loggers._FINISH_S = 300.0  # on a busy machine
folder = Path(sys.argv[1])
warned = []
recipe = {"model": {"latents": 256, "normals": True}, "optimizer": {"lr": 0.001}}

def begun():
    return loggers.loggers(folder, "tiny", recipe, False, "hearts", warned.append)

try:
"""
FOOTER = """
except InputError as error:
    print("InputError:", error)
"""
PLAIN = """
    with begun() as log:
        log(Entry(step=10, split="train", loss=0.5, lost=["Jane Doe"]))
        log(Entry(step=10, split="val", grid_dice=0.75, error="heart Jane Doe: no such file"))
    print(warned)
    """


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment without W&B's variables, keys and settings."""
    kept = {name: value for name, value in os.environ.items() if "WANDB" not in name}
    source = str(Path(__file__).parents[2] / "src")
    return kept | {"HOME": str(home), "PYTHONPATH": source, "NETRC": str(home / "none")} | more


def command(body: str, folder: Path) -> list[str]:
    lines = body.strip("\n").splitlines()
    lead = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    text = HEADER + indent("\n".join(line[lead:] for line in lines), "    ") + FOOTER
    file = folder.parent / "program.py"
    file.write_text(text)
    return [sys.executable, str(file), str(folder), "--secret-argument"]


def program(body: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program with its home beside the run's folder."""
    return subprocess.run(
        command(body, folder),
        env=environment(folder.parent, **more),
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


class Server:
    """Answers as W&B's server does, and keeps what it is sent.

    Attributes:
        requests: Path and body of every request.
        accepts_key: Whether it takes the key.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.accepts_key = True
        self._runs: dict[str, dict[str, Any]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                text = body.decode(errors="replace")
                outer.requests.append((self.path, text))
                answer = outer.answer(json.loads(text)) if self.path == "/graphql" else {}
                data = json.dumps(answer).encode()
                self.send_response(200 if outer.accepts_key else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_PUT = do_GET = do_CONNECT = do_POST

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that died
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The data that a GraphQL request asks for."""
        asked, given = request["query"], request.get("variables", {})
        if not self.accepts_key:
            return {"errors": [{"message": "invalid key"}]}
        if "upsertBucket" in asked:
            project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "jd"}}
            bucket = {"id": "b", "name": given["name"], "config": given["config"]}
            bucket |= {"project": project, "summaryMetrics": "{}", "wandbConfig": "{}"}
            bucket |= {f"{part}Tail": "[]" for part in ("history", "events")}
            known = self._runs.get(given["name"])
            lines = {f"{part}LineCount": 2 for part in ("history", "events", "log")}
            self._runs[given["name"]] = bucket | lines
            return {"data": {"upsertBucket": {"bucket": known or bucket, "inserted": not known}}}
        if "createRunFiles" in asked:
            files = [{"name": name, "uploadUrl": f"{self.url}/up"} for name in given["files"]]
            made = {"runID": "b", "uploadHeaders": [], "files": files}
            return {"data": {"createRunFiles": made}}
        model = {"id": "m", "bucket": self._runs.get(given.get("name"))}
        viewer = {"id": "u", "entity": "jd", "username": "jd", "flags": "{}"}
        return {"data": {"viewer": viewer | {"teams": {"edges": []}}, "model": model}}

    def queries(self, name: str) -> list[dict[str, Any]]:
        """The variables of the GraphQL requests of a kind."""
        bodies = [json.loads(text) for path, text in self.requests if path == "/graphql"]
        return [body["variables"] for body in bodies if name in body["query"]]

    def upserts(self) -> list[dict[str, Any]]:
        """What begins or changes a run."""
        return self.queries("upsertBucket")

    def streamed(self) -> list[dict[str, Any]]:
        """What the streams of all runs were sent."""
        return [json.loads(text) for path, text in self.requests if path.endswith("/file_stream")]

    def histories(self) -> list[dict[str, Any]]:
        """The parts of the streams that hold what was logged, with their place in it."""
        name = "wandb-history.jsonl"
        return [sent["files"][name] for sent in self.streamed() if name in sent.get("files", {})]

    def history(self) -> list[dict[str, float]]:
        """The rows that were logged, without W&B's own."""
        rows = [json.loads(line) for part in self.histories() for line in part["content"]]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder; its parent is the home."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


ROWS = [
    {"step": 10, "train/loss": 0.5, "train/seconds": 0.0, "train/lost": 1.0},
    {"step": 10, "val/seconds": 0.0, "val/grid_dice": 0.75},
]


def test_wandb_is_sent_recipe_and_scalars_and_no_more_of_us(server: Server, folder: Path) -> None:
    done = program(PLAIN, folder, WANDB_API_KEY=KEY, WANDB_BASE_URL=server.url)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    begun = server.upserts()[0]
    assert (begun["project"], begun["displayName"]) == ("hearts", "tiny")
    config = json.loads(begun["config"])
    del config["_wandb"]
    assert config == {
        "model": {"value": {"latents": 256, "normals": True}},
        "optimizer": {"value": {"lr": 0.001}},
    }
    defined = json.loads(server.upserts()[-1]["config"])["_wandb"]["value"]["m"]
    (each,) = (metric for metric in defined if metric.get("2") == "*")
    assert defined[each["5"] - 1]["1"] == "step"  # what all are drawn over
    assert server.history() == ROWS
    assert server.streamed()[-1]["exitcode"] == 0
    sent = "\n".join(text for _, text in server.requests)
    told = ["Jane", "secret-argument", str(folder), str(folder.parent), str(Path.cwd())]
    assert [word for word in told if word in sent] == []


def test_an_id_that_is_no_text_is_said_with_a_remedy(folder: Path) -> None:
    (folder / "wandb-run-id.txt").write_bytes(b"\xff\xfe")
    (folder / "checkpoint.pt").touch()
    told = rf"remove {re.escape(str(folder))}/wandb-run-id\.txt for a new W&B run"
    with pytest.raises(InputError, match=told), loggers(folder, "run", {}, False, "p", print):
        pass


def test_a_resumed_run_goes_on_in_its_wandb_run_and_fails_with_the_training(
    server: Server, folder: Path
) -> None:
    online = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
    (folder / "wandb-run-id.txt").write_text("old\n")
    program(PLAIN, folder, **online)  # without a checkpoint: a new run
    (folder / "checkpoint.pt").touch()
    body = """
        with begun() as log:
            log(Entry(step=20, split="train", loss=0.25))
            raise InputError("stopped")
        """
    assert "InputError: stopped" in program(body, folder, **online).stdout
    begun, resumed = [upsert["name"] for upsert in server.upserts() if upsert["displayName"]]
    assert "old" != begun == resumed
    # Without this question W&B begins the run again, over what is there.
    assert resumed in [asked["name"] for asked in server.queries("RunResumeStatus")[1:]]
    assert server.history() == [*ROWS, {"step": 20, "train/loss": 0.25, "train/seconds": 0}]
    assert [rows["offset"] for rows in server.histories()] == [0, 2]
    assert server.streamed()[-1]["exitcode"] == 1


def test_offline_everything_lies_in_the_run_and_can_be_sent_later(
    server: Server, folder: Path
) -> None:
    nowhere = {"WANDB_BASE_URL": server.url, "HTTPS_PROXY": server.url, "HTTP_PROXY": server.url}
    done = program(PLAIN, folder, WANDB_MODE="offline", **nowhere)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert server.requests == []
    (run,) = folder.glob("wandb/offline-run-*")
    sync = [sys.executable, "-m", "wandb", "sync", str(run)]
    online = environment(folder.parent, WANDB_API_KEY=KEY, WANDB_BASE_URL=server.url)
    subprocess.run(sync, env=online, cwd=folder.parent, capture_output=True, check=True)
    assert server.history() == ROWS


def test_without_a_key_nobody_is_asked_for_one(server: Server, folder: Path) -> None:
    terminal, end = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(
        command(PLAIN, folder),
        env=environment(folder.parent, WANDB_BASE_URL=server.url),
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=LONGEST_SECONDS)
    finally:
        process.kill()
        os.close(end)
        os.close(terminal)
    assert time.monotonic() - began < LONGEST_SECONDS / 2
    assert told.startswith("InputError: W&B has no key: run wandb login")
    assert list(folder.iterdir()) == []


def test_a_key_that_is_refused_is_told_before_anything_begins(server: Server, folder: Path) -> None:
    server.accepts_key = False
    done = program(PLAIN, folder, WANDB_API_KEY=KEY, WANDB_BASE_URL=server.url)
    assert done.stdout.startswith("InputError: W&B cannot be used (")
    assert len(done.stdout.splitlines()) == 1
    assert KEY not in done.stdout


def test_wandb_that_cannot_be_reached_is_told_in_time(folder: Path) -> None:
    """Which is 15 s, not W&B's own 90; here 2, as waiting is all there is to it."""
    assert wandb_loggers._INIT_S == 15
    body = """
        loggers._INIT_S = 2.0
        began = time.monotonic()
        try:
            with begun():
                print("begun")
        finally:
            print(time.monotonic() - began)
        """
    closed = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    seconds, told = program(body, folder, **closed).stdout.split("\n", 1)
    assert 1.5 < float(seconds) < 80
    assert told.startswith("InputError: W&B cannot be used (")
    assert "WANDB_MODE=offline" in told


def test_a_wandb_process_that_hangs_does_not_hold_up_the_programs_end(
    server: Server, folder: Path
) -> None:
    body = """
        import subprocess
        loggers._FINISH_S = 1.0
        with begun() as log:
            log(Entry(step=1, split="train", loss=0.5))
            core = int(subprocess.check_output(["pgrep", "-P", str(os.getpid()), "wandb-core"]))
            print(core, flush=True)
            os.kill(core, signal.SIGSTOP)
        print(warned, flush=True)
        """
    with subprocess.Popen(
        command(body, folder),
        env=environment(folder.parent, WANDB_API_KEY=KEY, WANDB_BASE_URL=server.url),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        core = int(process.stdout.readline())
        try:
            assert process.wait(timeout=LONGEST_SECONDS) == 0
            assert process.stdout.readline().startswith("['W&B failed and is off (")
        finally:
            process.kill()
            os.kill(core, signal.SIGKILL)


def test_a_network_that_goes_away_does_not_hold_up_the_training_nor_its_end(
    server: Server, folder: Path
) -> None:
    body = """
        loggers._FINISH_S = 2.0
        with begun() as log:
            print("open", flush=True)
            sys.stdin.readline()
            began = time.monotonic()
            for step in range(100):
                log(Entry(step=step, split="train", loss=0.5))
            assert time.monotonic() - began < 60
        print(warned)
        """
    process = subprocess.Popen(
        command(body, folder),
        env=environment(folder.parent, WANDB_API_KEY=KEY, WANDB_BASE_URL=server.url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        server.close()
        began = time.monotonic()
        told, errors = process.communicate("\n", timeout=LONGEST_SECONDS)
    finally:
        process.kill()
    assert time.monotonic() - began < LONGEST_SECONDS / 2
    assert process.returncode == 0
    (run,) = folder.glob("wandb/run-*")
    assert told.count("W&B failed and is off") == 1, errors
    assert f"wandb sync {run}" in told


def test_training_outlives_wandbs_own_process(folder: Path) -> None:
    body = """
        import subprocess
        with begun() as log:
            children = subprocess.run(["pgrep", "-P", str(os.getpid()), "wandb-core"],
                                      capture_output=True, text=True).stdout.split()
            os.kill(int(children[0]), signal.SIGKILL)
            time.sleep(0.5)
            for step in range(3):
                log(Entry(step=step, split="train", loss=0.5))
        print(len(warned), warned[0])
        """
    done = program(body, folder, WANDB_MODE="offline")
    assert done.returncode == 0
    assert done.stdout.startswith("1 W&B failed and is off ("), done.stderr
