"""A run's journal, shown in TensorBoard or Weights & Biases too; ``metrics.jsonl`` is the truth."""

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

_INIT_S = 15.0
_FINISH_S = 15.0
"""How long W&B may take to begin a run, and to send what is left when it ends."""
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
    """Open the loggers that were asked for; yields what takes a journal's entries to all of them.

    TensorBoard's event files lie in ``folder/tensorboard``. W&B's files lie in ``folder/wandb``;
    the run's id is kept in ``folder/wandb-run-id.txt``, so that a run that goes on from its
    checkpoint goes on in the same W&B run. W&B looks for its key itself (``wandb login`` or
    WANDB_API_KEY), and for everything else that its own environment and settings say, such as
    WANDB_MODE=offline, WANDB_ENTITY or WANDB_BASE_URL.

    W&B is sent the recipe, the run's name and :func:`scalars`, whose names name structures. Of
    its own it sends the machine's name (WANDB_HOST=... gives another), its load (CPU, memory,
    GPU, disk, network), the versions of Python and the installed packages, and reports of how W&B
    itself does (WANDB_ERROR_REPORTING=false ends them). Not sent: images, names of hearts, code,
    the state of git, paths, the command line, what is printed.

    A logger that fails later on is warned of once and is off from then on; training goes on.

    Args:
        folder: The run's folder.
        name: What W&B calls the run.
        recipe: The recipe as plain data: W&B's config.
        tensorboard: Whether to write event files for TensorBoard.
        wandb_project: The W&B project to log to; None for none.
        warn: Is told of a logger that fails.

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
    """An entry's numbers by the names of its fields, as in ``val/points/LA/dice``.

    A list counts: the names in it stay here. Text and what is empty are left out.
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
    remedy = "metrics.jsonl goes on"

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
            # A run that was killed after its last checkpoint wrote entries that come again.
            self._writer = self._make(str(self._folder), purge_step=step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:
        if self._writer is not None:
            self._writer.close()


class _WandB:
    """A run in Weights & Biases.

    Entries carry their step as a value of their own, which W&B is told to be the axis: its own
    count of steps may not go back, as that of a run does that was killed after its checkpoint.
    """

    title = "W&B"

    def __init__(self, folder: Path, name: str, recipe: dict[str, Any], project: str) -> None:
        id_file = folder / "wandb-run-id.txt"
        # Without a checkpoint a run begins anew, maybe with another recipe.
        goes_on = id_file.exists() and (folder / "checkpoint.pt").exists()
        old_id = id_file.read_text().strip() if goes_on else None
        try:
            self._run = _begun(folder, old_id, project=project, name=name, config=recipe)
        except InputError:
            raise
        except Exception as error:  # whatever theirs may be
            _let_go()
            anew = f"remove {id_file} for a new W&B run, " if goes_on else ""
            raise InputError(
                f"W&B cannot be used ({_one_line(error)}); see to its key and the network, {anew}"
                f"or {_OFFLINE}"
            ) from error
        write_text(id_file, f"{self._run.id}\n")
        self.remedy = f"send what is missing with: wandb sync {Path(self._run.dir).parent}"

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log({"step": step, **values})

    def close(self, failed: bool) -> None:
        try:
            _within(2 * _FINISH_S, lambda: self._run.finish(exit_code=int(failed)))
        finally:
            _let_go()


def _begun(folder: Path, old_id: str | None, **described: Any) -> "wandb.Run":
    """Begin a W&B run, or go on with an old one; nobody is asked for a key."""
    try:
        from wandb import Settings, init, login, setup
    except ImportError as error:
        raise InputError(f"W&B is not installed ({error}): pip install 'vecsetx[wandb]'") from error
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


def _let_go() -> None:
    """End W&B's own process, unless a run of someone else's is open.

    W&B does so when the program ends, but waits without a limit for a process that hangs.
    """
    import wandb

    if wandb.run is None:
        with suppress(Exception, SystemExit):  # whatever theirs may be; nothing is lost with it
            _within(_FINISH_S, wandb.teardown)


def _within(seconds: float, action: Callable[[], None]) -> None:
    """Do it, but raise TimeoutError rather than wait longer, or keep the program from ending."""
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
        raise TimeoutError(f"no answer from it within {seconds:g} s") from error


@contextmanager
def _guarded(
    logger: _TensorBoard | _WandB, warn: Callable[[str], None]
) -> Iterator[Callable[[Entry], None]]:
    """Keep a logger's failures from the training, and close it with the training's outcome."""
    works = True

    def give_up(error: Exception) -> None:
        nonlocal works
        if works:
            warn(f"{logger.title} failed and is off ({_one_line(error)}); {logger.remedy}")
        works = False

    def log(entry: Entry) -> None:
        if works:
            try:
                logger.log(entry.step, scalars(entry))
            except Exception as error:  # whatever theirs may be
                give_up(error)

    failed = True
    try:
        yield log
        failed = False
    finally:
        try:
            logger.close(failed)
        except Exception as error:
            give_up(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
