"""Options of commands, made from the fields of a configuration, so that each is written once."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer
from annotated_types import Ge, Lt

from taskmark.commands.completion import COMPLETIONS
from taskmark.config import RunConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

# What stands for a value in the help where the type alone says little.
_METAVARS = {
    "methods": "NAME",
    "backbones": "NAME",
    "recipes": "NAME",
    "tasks": "NAME",
    "seeds": "N",
    "plugins": "FILE",
    "suite": "NAME",
    "out": "FOLDER",
    "store": "FOLDER",
    "experts": "FOLDER",
    "workers": "N",
    "time_limit": "SECONDS",
    "since": "COMMIT",
    "device": "DEVICE",
    "accept_experts": "REASON",
}


def takes(*names: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options of `RunConfig`, in place of its parameter `**options`.

    Args:
        names: of fields; a tuple `seeds` is the option `--seed`, which may be repeated.
        defaults: of some of them, where the command has others.
    """

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        added = [_parameter(name, defaults) for name in names]
        parameters = [*added, *own]
        signature = inspect.Signature(
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        return command

    return with_options


def config_of(options: dict[str, Any]) -> RunConfig:
    """The configuration of a command's options; those that were not given have their defaults."""
    return RunConfig(**{name: value for name, value in options.items() if value is not None})


def option_name(field: str) -> str:
    """The option of a field on the command line, such as --method of `methods`."""
    is_tuple = get_origin(RunConfig.model_fields[field].annotation) is tuple
    return f"--{(field.removesuffix('s') if is_tuple else field).replace('_', '-')}"


def _parameter(name: str, defaults: dict[str, Any]) -> inspect.Parameter:
    field = RunConfig.model_fields[name]
    kind, default = _type_of(field), defaults.get(name, field.default)
    text = field.description
    if get_origin(kind) is list:
        default = list(default) or None
        kind = kind | None
        text = f"{text} May be repeated."
    low, high = _limits(field)
    option = typer.Option(
        option_name(name),
        help=text,
        metavar=_METAVARS.get(name),
        min=low,
        max=high,
        autocompletion=COMPLETIONS.get(name),
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def _type_of(field: FieldInfo) -> Any:
    """The type of an option: tuples are lists, and what is parsed later is text."""
    if get_origin(field.annotation) is not tuple:
        return field.annotation
    item = get_args(field.annotation)[0]
    item = get_args(item)[0] if get_origin(item) is Annotated else item
    return list[item] if item in (int, Path) else list[str]  # type: ignore[valid-type]


def _limits(field: FieldInfo) -> tuple[float | None, float | None]:
    """The least and the largest value of a number, or of each of several."""
    args = get_args(field.annotation)
    inner = get_args(args[0]) if args and get_origin(args[0]) is Annotated else ()
    low = high = None
    for limit in (*field.metadata, *(m for own in inner for m in getattr(own, "metadata", ()))):
        if isinstance(limit, Ge):
            low = float(limit.ge) if isinstance(limit.ge, float) else limit.ge
        if isinstance(limit, Lt):
            high = limit.lt - 1  # type: ignore[operator]
    return low, high  # type: ignore[return-value]


Submissions = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder of submissions to put on the boards, too."),
]
Estimate = Annotated[
    bool,
    typer.Option(
        "--estimate", help="Estimate the time and disk that the run takes here, and stop."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print progress as JSON, one object per line, and no tables.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
OfSuite = Annotated[
    str | None,
    typer.Option("--suite", metavar="NAME", help="All that this suite needs, such as clip-8."),
]
