"""Commands: their ``--help``, the answers to unknown options, loading, and being stopped."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.core import TyperCommand, TyperGroup

from vecsetx.cli.command_result import ended, printing
from vecsetx.cli.failures import exit_status
from vecsetx.cli.interrupts import ending_at_once, resuming_text, stopped_text
from vecsetx.cli.options import FLAG, output_options
from vecsetx.errors import InputError, StoppedError
from vecsetx.manifest.recording import recording
from vecsetx.suggestions import did_you_mean, nearest, one_of, unknown

__all__ = ["Command", "Commands"]

_ALIKE = 0.75
"""How alike an option must be to one that does not exist, by difflib's ratio, to be proposed."""


class Command(TyperCommand):
    """A command, which says which other command has an option that it lacks.

    Its function returns a :class:`~vecsetx.cli.command_result.CommandResult`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a command with ``--quiet`` and ``--json``.

        The lines of each paragraph of its help fold at the terminal's width.
        """
        super().__init__(*args, **kwargs)
        self.params += output_options()
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
        if ctx.resilient_parsing:  # as for completions, which may be incomplete
            return super().parse_args(ctx, args)
        known = _options_of(self, ctx)
        for word, following in pairwise([*args, ""]):
            option, equals, value = word.partition("=")
            if option == "--":
                break
            if option == "-h":
                raise InputError(f"unknown option -h; {one_of(['--help'])}")
            if option.startswith("--") and option not in known:
                remedy = self.remedy(ctx, option, value if equals else following, known)
                raise InputError(f"unknown option {option}; {remedy}")
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        self._check_choices(values, order)
        self._check_once(order)
        return super().parse_args(ctx, args)

    def _check_choices(self, values: Mapping[str, Any], given: Sequence[Any]) -> None:
        """Refuse a word that is none of an option's few, and suggest the one that is meant."""
        hints = get_type_hints(self.callback) if self.callback else {}
        for option in given:
            choices, value = get_args(hints.get(option.name)), values.get(option.name)
            is_choice = get_origin(hints.get(option.name)) is Literal
            if is_choice and isinstance(value, str) and value.lower() not in choices:
                raise InputError(f"{option.opts[-1]}: {unknown('value', value, choices)}")

    def _check_once(self, order: Sequence[Any]) -> None:
        """Refuse names and files that are given twice, as if both counted: the last would alone.

        Numbers may be given again, after those of a job script.
        """
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
        """Say what an option that does not exist may mean.

        Args:
            ctx: The context.
            option: The option.
            value: Its value, as far as it has one.
            known: The command's own options.
        """
        having: dict[str, list[str]] = {}  # option → commands that have it
        for name, other in _all_commands(ctx).items():
            for each in {word for parameter in other.params for word in parameter.opts}:
                having.setdefault(each, []).append(name)
        if option in having:
            return f"it is an option of {', '.join(having[option])}"
        meant = nearest(option, sorted({*known, *having}), 1, _ALIKE)
        if not meant:
            return f"vecsetx {_whole_name(ctx)} --help lists the options"
        if meant[0] in known:
            return one_of(meant)
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
        name, as_json = _whole_name(ctx), ctx.params.pop("json")
        with printing(ctx.params.pop("quiet"), as_json):
            # The output of `labels` is a file, and it loads at once.
            if self.name != "labels":
                from vecsetx.terminal.progress_bars import waiting

                with waiting("loading"), ending_at_once(stopped):
                    import_module(f"vecsetx.commands.{name.replace(' ', '.').replace('-', '_')}")
            result = super().invoke(ctx)
        ended(name, result, as_json)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option ``--help``, if there is one."""
        return _without_type(super().get_help_option(ctx))


class Commands(TyperGroup):
    """The group of all commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments up to a command.

        Args:
            ctx: The context, of a class that depends on typer's version.
            args: The words of the command line; those parsed are removed.

        Raises:
            InputError: An option does not exist.
        """
        known, first = _options_of(self, ctx), args[0].partition("=")[0] if args else ""
        if first == "-h" and not ctx.resilient_parsing:
            raise InputError(f"unknown option -h; {one_of(['--help'])}")
        if first.startswith("--") and first not in known and not ctx.resilient_parsing:
            raise InputError(f"unknown option {first}; {did_you_mean(first, sorted(known))}")
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        """Return the options; those that typer adds for shells show no type, as ours do not."""
        params = super().get_params(ctx)
        for each in params:
            if getattr(each, "is_flag", False):
                each.metavar = FLAG
        return params

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command.

        Args:
            ctx: The context, of a class that depends on typer's version.
            args: The words from the command on.

        Raises:
            InputError: It does not exist.
        """
        word = args[0]
        if self.get_command(ctx, word) is None and not ctx.resilient_parsing:
            all_commands = _all_commands(ctx)
            within = [name for name in all_commands if name.split()[-1] == word]
            hint = one_of(within) if within else did_you_mean(word, self.commands)
            raise InputError(f"unknown command {word!r}; {hint}")
        return super().resolve_command(ctx, args)

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


def _options_of(command: Any, ctx: Any) -> set[str]:
    """Return all options of a command."""
    params = command.get_params(ctx)
    return {option for each in params for option in (*each.opts, *each.secondary_opts)}


def _all_commands(ctx: Any) -> dict[str, Any]:
    """Return name → command, those of groups by both names: ``shape fit``."""
    found: dict[str, Any] = {}
    for name, command in getattr(ctx.find_root().command, "commands", {}).items():
        of_group = getattr(command, "commands", {})
        found |= {f"{name} {own}": each for own, each in of_group.items()} or {name: command}
    return found


def _without_type(option: Any) -> Any:
    option.metavar = FLAG  # the option is typer's own
    return option
