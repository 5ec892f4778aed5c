"""The command ``doctor``."""

from vecsetx.cli.command_result import CommandResult


def doctor() -> CommandResult:
    """Check the installation, and print what a bug report needs.

    Versions, devices, memory, disk, the built-in model's files, and a self-test of about ten
    seconds. It holds neither your name nor your home folder. The exit status is 1 if something is
    wrong; the last lines say what helps.

    [dim]Example: vecsetx doctor[/]
    """
    from dataclasses import asdict

    from vecsetx.commands.doctor import examine
    from vecsetx.terminal.doctor_text import print_section, print_verdict

    sections = []
    for section in examine():
        sections.append(section)
        print_section(section)
    problems = [problem for section in sections for problem in section.problems]
    print_verdict(problems)
    return CommandResult(
        lambda: {"sections": [asdict(each) for each in sections], "problems": problems},
        fault=bool(problems),
    )
