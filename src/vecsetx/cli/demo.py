"""The command ``demo``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.options import Seed


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """All of it on synthetic hearts, in minutes on a CPU: the scores and a page at the end.

    [dim]vecsetx demo --out demo/[/]
    """
    from vecsetx.commands.demo import DemoOptions
    from vecsetx.commands.demo import demo as run
    from vecsetx.commands.tables import print_scores

    evaluated = run(out, DemoOptions(seed=seed))
    print_scores(evaluated.scores)
    typer.echo(f"open {out / 'evaluate' / 'report.html'} in a browser")
