"""The command ``compare``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.options import FLAG, Seed


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of one evaluation.")],
    b: Annotated[
        Path, typer.Argument(metavar="B", help="Folder of another evaluation of the same hearts.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Folder for comparison.html, comparison.csv and compare.json."
        ),
    ],
    everything: Annotated[
        bool, typer.Option("--all", metavar=FLAG, help="Also print a table per measure.")
    ] = False,
    seed: Seed = 0,
) -> CommandResult:
    """Compare the scores of two models, paired by heart.

    [dim]Example: vecsetx compare scores-a/ scores-b/ --out comparison/[/]
    """
    from vecsetx.commands.compare import compare_scores
    from vecsetx.terminal.comparison_tables import print_comparison
    from vecsetx.terminal.progress_bars import console

    print_comparison(compare_scores(a, b, out, seed), everything)
    console.notice(f"see {out / 'comparison.html'}")
    return CommandResult.of_file(out / "compare.json")
