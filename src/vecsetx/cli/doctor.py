"""The command ``doctor``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def doctor(
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as JSON.")
    ] = None,
) -> None:
    """Check the installation, and print what a bug report needs.

    Versions, devices, memory, disk, the built-in model's files, and a self-test of about ten
    seconds. It holds neither your name nor your home folder. The exit status is 1 if something is
    wrong; the last lines say what helps.

    [dim]Example: vecsetx doctor[/]
    """
    from vecsetx.commands.doctor import examine
    from vecsetx.files import check_writable, write_json
    from vecsetx.terminal.doctor_text import section_lines, verdict_lines

    if json:
        check_writable(json)
    sections = []
    for section in examine():
        sections.append(section)
        typer.echo("\n".join(section_lines(section)))
    problems = [problem for section in sections for problem in section.problems]
    typer.echo("\n".join(verdict_lines(problems)))
    if json:
        write_json(json, {"sections": [asdict(each) for each in sections], "problems": problems})
    if problems:
        raise typer.Exit(1)
