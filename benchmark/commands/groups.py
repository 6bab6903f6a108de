"""Groups of commands: how help shows arguments, and a command that may go without its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence


class Group(TyperGroup):
    """Its help shows arguments by their metavars alone, as it shows options."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Look a command up."""
        command = super().get_command(ctx, cmd_name)
        for parameter in getattr(command, "params", ()):
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = _no_type
        return command


class GroupOfMethods(Group):
    """`taskmark new my_method` is `taskmark new method my_method`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the usual command first where another word is."""
        if args and not self._is_own(args):
            args = ["method", *args]
        return super().parse_args(ctx, args)

    def _is_own(self, args: Sequence[str]) -> bool:
        # A method may have the name of a command, if an option or nothing follows.
        is_command = args[0] in self.commands and len(args) > 1
        return is_command or args[0] in {"-h", "--help"}


def _no_type(**_: object) -> None:
    return None
