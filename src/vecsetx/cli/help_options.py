"""Commands: their ``--help``, the answers to unknown options, loading, and being stopped."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from vecsetx.cli.failures import exit_status
from vecsetx.cli.interrupts import ending_at_once, resuming_text, stopped_text
from vecsetx.cli.options import FLAG
from vecsetx.errors import InputError, StoppedError
from vecsetx.manifest.recording import recording

__all__ = ["Command", "Commands"]

_ALIKE = 0.75
"""How alike an option must be to one that does not exist, by difflib's ratio, to be proposed."""


class Command(TyperCommand):
    """A command, which says which other command has an option that it lacks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a command; the lines of each paragraph of its help fold at the terminal's width."""
        super().__init__(*args, **kwargs)
        paragraphs = cleandoc(self.help or "").split("\n\n")
        self.help = "\n\n".join(" ".join(lines.split("\n")) for lines in paragraphs) or None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Args:
            ctx: The context, of a class that depends on typer's version.
            args: The words of the command line; those parsed are removed.

        Raises:
            InputError: An option does not exist, but it is known what is meant.
        """
        known = {o for each in self.get_params(ctx) for o in (*each.opts, *each.secondary_opts)}
        for word, following in pairwise([*args, ""]):
            option, equals, value = word.partition("=")
            if option == "--":
                break
            if not option.startswith("--") or option in known:
                continue
            if remedy := self.remedy(ctx, option, value if equals else following, known):
                raise InputError(f"no option {option}; {remedy}")
        self._check_once(ctx, args)
        return super().parse_args(ctx, args)

    def _check_once(self, ctx: Any, args: Sequence[str]) -> None:
        """Refuse names and files that are given twice, as if both counted: the last would alone.

        Numbers may be given again, after those of a job script.
        """
        if ctx.resilient_parsing:  # as for completions, which may be incomplete
            return
        *_, order = self.make_parser(ctx).parse_args(args=list(args))
        single = [
            each
            for each in order
            if each.param_type_name == "option"
            and not (each.multiple or each.callback)  # numbers have a callback
            and not getattr(each, "is_flag", False)
        ]
        if twice := [each for each in single if single.count(each) > 1]:
            raise InputError(f"{twice[0].opts[0]} is given twice; leave one out")

    def remedy(self, ctx: Any, option: str, value: str, known: set[str]) -> str:
        """Say what an option that does not exist may mean; empty if nothing is known of it.

        Args:
            ctx: The context.
            option: The option.
            value: Its value, as far as it has one.
            known: The command's own options.
        """
        having: dict[str, list[str]] = {}  # option → commands that have it
        for name, other in ctx.parent.command.commands.items() if ctx.parent else ():
            for each in {word for parameter in other.params for word in parameter.opts}:
                having.setdefault(each, []).append(name)
        if option in having:
            return f"it is an option of {', '.join(having[option])}"
        meant = get_close_matches(option, sorted({*known, *having}), 1, _ALIKE)
        if not meant or meant[0] in known:
            return f"did you mean {meant[0]}?" if meant else ""
        return f"did you mean {meant[0]}, an option of {', '.join(having[meant[0]])}?"

    def invoke(self, ctx: Any) -> Any:
        """Load what the command needs, which takes seconds, and run it.

        Args:
            ctx: The context, of a class that depends on typer's version.

        Raises:
            StoppedError: Ctrl-C, or a signal that training notices, stopped it.
        """
        name = _whole_name(ctx)
        stopped = partial(stopped_text, name, ctx.params, began=time.time())
        words = sys.argv[1:]
        try:
            with recording(words, ctx.params.get("seed"), _named(ctx.params), exit_status):
                return self._loaded(ctx, stopped)
        except KeyboardInterrupt:
            raise StoppedError(stopped(), by_hand=True) from None
        except StoppedError as error:
            go_on = resuming_text() if name == "train" else f"repeat vecsetx {name}"
            raise StoppedError(f"{error}; {go_on}", error.by_hand) from error

    def _loaded(self, ctx: Any, stopped: Callable[[], str]) -> Any:
        # The output of `labels` is a file, and it loads at once.
        if self.name != "labels":
            from vecsetx.terminal.progress_bars import waiting

            with waiting("loading"), ending_at_once(stopped):
                module = _whole_name(ctx).replace(" ", ".").replace("-", "_")
                import_module(f"vecsetx.commands.{module}")
        return super().invoke(ctx)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, if there is one."""
        return _without_type(super().get_help_option(ctx))


class Commands(TyperGroup):
    """The group of all commands."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Args:
            ctx: The context, of a class that depends on typer's version.

        Raises:
            StoppedError: It was stopped.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # while its arguments were looked at
            raise StoppedError("stopped before it began; nothing was written", True) from None

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, if there is one."""
        return _without_type(super().get_help_option(ctx))


def _named(params: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that a command line names as inputs; models name themselves."""
    values = (value for name, value in params.items() if name not in {"out", "model", "json"})
    every = (each for v in values for each in (v if isinstance(v, (list, tuple)) else (v,)))
    return [path for path in every if isinstance(path, Path)]


def _whole_name(ctx: Any) -> str:
    """Return the name of a command, with that of its group: ``shape fit``."""
    above = ctx.parent
    is_grouped = above is not None and above.parent is not None
    return f"{above.info_name} {ctx.info_name}" if is_grouped else str(ctx.command.name)


def _without_type(option: Any) -> Any:
    option.metavar = FLAG  # the option is typer's own
    return option
