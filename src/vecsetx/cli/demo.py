"""The command ``demo``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.options import Seed


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for all results.")] = Path(
        "demo"
    ),
    seed: Seed = 0,
) -> CommandResult:
    """Run the whole pipeline on synthetic hearts.

    Prepares and checks a data set, trains a model and scores it.
    Takes minutes on a CPU.

    [dim]Example: vecsetx demo --out demo/[/]
    """
    from vecsetx.commands.demo import DemoOptions
    from vecsetx.commands.demo import demo as run
    from vecsetx.terminal.progress_bars import console
    from vecsetx.terminal.tables import print_scores

    evaluated = run(out, DemoOptions(seed=seed))
    print_scores(evaluated.scores)
    console.notice(f"open {out / 'evaluate' / 'report.html'} in a browser")
    return CommandResult.of_file(out / "evaluate" / "scores.json")
