"""``vecsetx train --diagnose``: how a training run went, in words and as a page."""

import json
from pathlib import Path

from vecsetx.commands.progress import console
from vecsetx.errors import InputError
from vecsetx.report.curves import write_curves
from vecsetx.training.diagnosis import Diagnosis, diagnose
from vecsetx.training.journal import read_journal


def diagnose_run(run: Path) -> Diagnosis:
    """Print what a run's journal shows, and draw its curves into ``curves.html`` beside it.

    Args:
        run: The run's folder. The run may be under way.

    Raises:
        InputError: There is no journal, or it is damaged.
        OSError: The page cannot be written.
    """
    journal = run / "metrics.jsonl"
    if not journal.exists():
        raise InputError(f"{journal}: no such file; name the folder of a run, as in train --out")
    try:
        entries = read_journal(journal)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{journal}: a line in it is no JSON ({error}); take it out") from error
    if not all(isinstance(entry, dict) and {"step", "split"} <= entry.keys() for entry in entries):
        raise InputError(f"{journal}: not a run's journal; name the folder of a run of vecsetx")
    found = diagnose(entries)
    for line in found.lines():
        console.print(line, markup=False, soft_wrap=True)
    page = run / "curves.html"
    write_curves(page, run.resolve().name, entries, found)
    console.print(f"see {page}", markup=False, soft_wrap=True)
    return found
