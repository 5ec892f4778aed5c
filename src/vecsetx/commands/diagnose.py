"""``vecsetx diagnose``: what went wrong in a training run, as text and as a page."""

from pathlib import Path

from vecsetx.errors import InputError
from vecsetx.terminal.progress_bars import console, waiting, warn
from vecsetx.training.diagnosis import Diagnosis, diagnose
from vecsetx.training.journal import read_journal

__all__ = ["diagnose_run"]


@waiting("drawing curves")
def diagnose_run(run: Path) -> Diagnosis:
    """Print the diagnosis of a run's journal, and write its curves as ``curves.html`` beside it.

    Where Plotly or Jinja is not installed, as on a training node, a warning says that there is no
    page.

    Args:
        run: The run's folder; the run may still be running.

    Returns:
        The diagnosis.

    Raises:
        InputError: There is no journal, or it is damaged.
        OSError: The page cannot be written.
    """
    journal = run / "metrics.jsonl"
    if not journal.exists():
        raise InputError(f"{journal}: no such file; give the folder of a run (train --out)")
    entries = read_journal(journal)
    found = diagnose(entries)
    for line in found.lines():
        console.print(line, markup=False, soft_wrap=True)
    page = run / "curves.html"
    try:
        from vecsetx.report.curves import write_curves
    except ModuleNotFoundError as error:
        warn(
            f"{page} was not written, because {error.name} is not installed; for the page, run "
            f"vecsetx diagnose {run} where it is"
        )
        return found
    write_curves(page, run.resolve().name, entries, found)
    console.notice(f"see {page}")
    return found
