"""A function with annotated parameters as a command of click."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import click

USUAL_SECTION = "Options"


class Argument:
    """Annotates a parameter that is given by its place."""

    section = "Arguments"

    def __init__(self, *, help: str) -> None:
        self.help = help


class Option:
    """Annotates a parameter that is given by name, by default with two dashes before that of the parameter.

    The help is listed in a ``section`` of the command's. A number is at least ``min`` and at most ``max``; a
    ``variable`` of the environment may give it instead.
    """

    def __init__(
        self,
        *names: str,
        help: str,
        section: str = USUAL_SECTION,
        min: float | None = None,
        max: float | None = None,
        variable: str | None = None,
    ) -> None:
        self.names = names
        self.help = help
        self.section = section
        self.min = min
        self.max = max
        self.variable = variable


class Command(click.Command):
    """A command whose help lists its arguments, its options by section, and an example that can be copied."""

    def __init__(self, name: str, parameters: Iterable[inspect.Parameter] = (), **given: Any) -> None:
        self._sections: dict[str, list[tuple[click.Parameter, str]]] = {Argument.section: [], USUAL_SECTION: []}
        for one in parameters:
            says = get_args(one.annotation)[1]
            self._sections.setdefault(says.section, []).append((_parameter(one), says.help))
        made = [made for section in self._sections.values() for made, _ in section]
        super().__init__(name, params=made, short_help=given["help"], **given)  # which is not shortened

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; some of click's errors do not say of which command they are."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        for title, parameters in self._sections.items():
            if parameters:
                with formatter.section(title):
                    formatter.write_dl([_described(one, about, ctx) for one, about in parameters])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, in one line however long."""
        formatter.write(f"\n{self.epilog}\n" if self.epilog else "")


class Group(Command, click.Group):
    """Commands that share the first word, which may be a command itself.

    Args:
        modules: by command, what registers it when it is imported.
        topics: the commands in the order of the help, by what they are about.
    """

    def __init__(
        self,
        *arguments: Any,
        modules: Mapping[str, str] | None = None,
        topics: Mapping[str, Sequence[str]] | None = None,
        **given: Any,
    ) -> None:
        super().__init__(*arguments, **given)
        self._modules, self._topics = modules or {}, topics or {}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that has it; all of them for a name that none has, so that click finds what is like it."""
        for name in [cmd_name] if cmd_name in self._modules else self._modules:
            import_module(self._modules[name])
        return super().get_command(ctx, cmd_name)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by topic, all of them in one column."""
        widest = max(map(len, self.list_commands(ctx)))
        for title, names in (self._topics or {"Commands": self.list_commands(ctx)}).items():
            with formatter.section(title):
                found = ((name, self.get_command(ctx, name)) for name in names)
                formatter.write_dl([(name.ljust(widest), one.get_short_help_str()) for name, one in found if one])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are to be told."""
        return [name for names in self._topics.values() for name in names] or list(self.commands)


def _described(parameter: click.Parameter, about: str, ctx: click.Context) -> tuple[str, str]:
    """How a parameter is written, and what it does, with its default."""
    if isinstance(parameter, click.Option):
        return parameter.get_help_record(ctx) or ("", "")
    default = f"  [default: {parameter.default}]" if isinstance(parameter.default, str) else ""
    return parameter.make_metavar(ctx), about + default


def _parameter(one: inspect.Parameter) -> click.Parameter:
    """``Annotated[type, Option or Argument]`` for click, which gives a tuple for a list."""
    kind, says = get_args(one.annotation)
    if NoneType in get_args(kind):
        kind, _ = get_args(kind)
    many = get_origin(kind) in (list, Sequence)
    if many:
        (kind,) = get_args(kind)
    wanted: dict[str, Any] = {"required": True} if one.default is inspect.Parameter.empty else {"default": one.default}
    if isinstance(says, Argument):
        return click.Argument([one.name], type=_type(kind), nargs=-1 if many else 1, **wanted)
    return click.Option(
        [one.name, *(says.names or ["--" + one.name.replace("_", "-")])],
        type=_type(kind, says.min, says.max),
        help=says.help,
        is_flag=kind is bool or None,  # False would let a value be left out
        multiple=many,
        **wanted,
        show_default=one.default != "",
        envvar=says.variable,
        show_envvar=True,
    )


def _type(kind: Any, least: float | None = None, most: float | None = None) -> Any:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is Path:
        return click.Path(path_type=Path)
    if (least, most) != (None, None):
        bounded: type[Any] = click.IntRange if kind is int else click.FloatRange
        return bounded(least, most)
    return kind
