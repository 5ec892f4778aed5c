"""Loggers: copy a run's journal to TensorBoard or Weights & Biases.

``metrics.jsonl`` stays the complete record.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from vecsetx.errors import InputError
from vecsetx.files import write_text
from vecsetx.training.journal import Entry

if TYPE_CHECKING:
    import wandb

__all__ = ["loggers", "scalars"]

_INIT_S, _FINISH_S = 15.0, 15.0
"""Seconds that W&B may take to start a run, and to send the remaining data at its end."""

_OFFLINE = "set WANDB_MODE=offline and send the run later with wandb sync"


@contextmanager
def loggers(
    folder: Path,
    name: str,
    recipe: dict[str, Any],
    tensorboard: bool,
    wandb_project: str | None,
    warn: Callable[[str], None],
) -> Iterator[Callable[[Entry], None]]:
    """Open loggers; yields a function that passes a journal entry to all of them.

    TensorBoard's event files are written to ``folder/tensorboard``, W&B's files to
    ``folder/wandb``. The id of the W&B run is stored in ``folder/wandb-run-id.txt``, so that a
    resumed run continues the same W&B run. W&B finds its key itself (``wandb login`` or
    WANDB_API_KEY), as well as its own environment and settings, such as WANDB_MODE=offline,
    WANDB_ENTITY or WANDB_BASE_URL.

    W&B receives the recipe, the run's name and :func:`scalars`, whose names contain structures. W&B
    itself adds the machine's name (WANDB_HOST=... replaces it), its load (CPU, memory, GPU, disk,
    network), the versions of Python and of the installed packages, and reports on its own errors
    (WANDB_ERROR_REPORTING=false stops them). Not sent are images, names of hearts, code, the state
    of git, paths, the command line and printed text.

    A logger that fails later causes one warning and is then off; training continues.

    Args:
        folder: The run's folder.
        name: Name of the run in W&B.
        recipe: The recipe as plain data, W&B's config.
        tensorboard: Whether to write event files for TensorBoard.
        wandb_project: The W&B project to log to, or None.
        warn: Called with a message when a logger fails.

    Raises:
        InputError: A package is missing, W&B has no key or refuses it, or cannot be reached.
    """
    with ExitStack() as stack:
        logs = []
        if tensorboard:
            events = _TensorBoard(folder / "tensorboard")
            logs.append(stack.enter_context(_guarded(events, warn)))
        if wandb_project is not None:
            run = _WandB(folder, name, recipe, wandb_project)
            logs.append(stack.enter_context(_guarded(run, warn)))

        def log(entry: Entry) -> None:
            for each in logs:
                each(entry)

        yield log


def scalars(entry: Entry) -> dict[str, float]:
    """An entry's numbers by path, as in ``val/points/LA/dice``.

    Of a list only its length is given, so that the names in it are not logged. Text and empty
    values are left out.
    """
    fields = asdict(entry)
    del fields["step"]
    return dict(_flat(fields.pop("split"), fields))


def _flat(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(f"{name}/{key}", part)
    elif isinstance(value, list):
        if value:
            yield name, float(len(value))
    elif isinstance(value, int | float):
        yield name, float(value)


class _TensorBoard:
    """Event files for TensorBoard."""

    title = "TensorBoard"
    remedy = "metrics.jsonl is still written"

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                f"TensorBoard is not installed ({error}): pip install 'vecsetx[tensorboard]'"
            ) from error
        self._folder = folder
        self._make = SummaryWriter
        self._writer: SummaryWriter | None = None

    def log(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            # A run that was killed after its last checkpoint will write later entries again.
            self._writer = self._make(str(self._folder), purge_step=step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:
        if self._writer is not None:
            self._writer.close()


class _WandB:
    """A run in Weights & Biases.

    Entries carry their step as a value, which is defined as the axis. W&B's own step may not
    decrease, as a run's does when it was killed after its last checkpoint.
    """

    title = "W&B"

    def __init__(self, folder: Path, name: str, recipe: dict[str, Any], project: str) -> None:
        id_file = folder / "wandb-run-id.txt"
        # Without a checkpoint a run starts again, maybe with another recipe.
        continues = id_file.is_file() and (folder / "checkpoint.pt").exists()
        try:
            old_id = id_file.read_text(encoding="utf-8").strip() if continues else None
            self._run = _start(folder, old_id, project=project, name=name, config=recipe)
        except InputError:
            raise
        except Exception as error:  # any error of a foreign library
            _shut_down()
            new_run = f"remove {id_file} for a new W&B run, " if continues else ""
            raise InputError(
                f"W&B cannot be used ({_one_line(error)}); check its key and the network, {new_run}"
                f"or {_OFFLINE}"
            ) from error
        write_text(id_file, f"{self._run.id}\n")
        self.remedy = f"send the missing data with: wandb sync {Path(self._run.dir).parent}"

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log({"step": step, **values})

    def close(self, failed: bool) -> None:
        try:
            _within(2 * _FINISH_S, lambda: self._run.finish(exit_code=int(failed)))
        finally:
            _shut_down()


def _start(folder: Path, old_id: str | None, **described: Any) -> "wandb.Run":
    """Start a W&B run, or continue an old one, without prompting for a key."""
    try:
        from wandb import Settings, init, login, setup
    except ImportError as error:
        raise InputError(f"W&B is not installed ({error}): pip install 'vecsetx[wandb]'") from error
    # Without a key, W&B would wait for one to be typed.
    online = setup().settings.mode not in ("offline", "dryrun", "disabled")
    if online and not login(verify=True, prompt=False):
        raise InputError(f"W&B has no key: run wandb login, set WANDB_API_KEY, or {_OFFLINE}")
    settings = Settings(
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        program="vecsetx",
        x_disable_meta=True,  # the command line, paths, the kind of machine
        init_timeout=_INIT_S,
        finish_timeout=_FINISH_S,
        finish_timeout_raises=True,
        max_end_of_run_history_metrics=0,
        max_end_of_run_summary_metrics=0,
    )
    run = init(
        dir=folder, id=old_id, resume="allow", reinit="create_new", settings=settings, **described
    )
    run.define_metric("*", step_metric="step")
    return run


def _shut_down() -> None:
    """End W&B's background process, unless another W&B run is open in this program.

    W&B ends it when the program ends, but waits without a limit for a process that hangs.
    """
    import wandb

    if wandb.run is None:
        with suppress(Exception, SystemExit):  # any error of W&B; nothing is lost
            _within(_FINISH_S, wandb.teardown)


def _within(seconds: float, action: Callable[[], None]) -> None:
    """Run an action; raise :class:`TimeoutError` if it takes longer.

    It runs in a daemon thread, which cannot keep the program from ending.
    """
    done: Future[None] = Future()

    def act() -> None:
        try:
            action()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    Thread(target=act, daemon=True).start()
    try:
        done.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {seconds:g} s") from error


@contextmanager
def _guarded(
    logger: _TensorBoard | _WandB, warn: Callable[[str], None]
) -> Iterator[Callable[[Entry], None]]:
    """Shield the training from a logger's failures, and close the logger at the end."""
    works = True

    def switch_off(error: Exception) -> None:
        nonlocal works
        if works:
            warn(f"{logger.title} failed and is off ({_one_line(error)}); {logger.remedy}")
        works = False

    def log(entry: Entry) -> None:
        if works:
            try:
                logger.log(entry.step, scalars(entry))
            except Exception as error:  # any error of a foreign library
                switch_off(error)

    failed = True
    try:
        yield log
        failed = False
    finally:
        try:
            logger.close(failed)
        except Exception as error:
            switch_off(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
