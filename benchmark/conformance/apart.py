"""The checks of a plug-in, in a process of its own: it may hang, exit or print as it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import TypeAdapter, ValidationError

from taskmark.conformance.checks import CHECKS
from taskmark.conformance.finding import Finding
from taskmark.plugins.process import PluginError, PluginProcess
from taskmark.records.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.plugins.isolated_methods import StandIn


class _Found(Frozen):
    op: Literal["finding"]
    check: str
    passed: bool
    sentence: str


class _Conformed(Frozen):
    op: Literal["conformed"]


_SAID: TypeAdapter[_Found | _Conformed] = TypeAdapter(_Found | _Conformed)


def findings_apart(
    method: type[StandIn], *, seconds: float, large: bool = False
) -> Iterator[Finding]:
    """What `findings` says of a plug-in's class, without running its code here.

    A process that ends, or takes too long, fails the check that it was in, and ends the list.

    Args:
        method: stands for the class.
        seconds: that all checks together may take.
        large: whether to merge a model of a hundred million numbers too.
    """
    names = iter([*CHECKS, "large_model"])
    who = f"The method {method.name!r}"
    try:
        with PluginProcess(who, seconds=seconds) as process:
            process.order({**method.order("conform"), "large": large}, {})
            while isinstance(said := _said(process), _Found):
                next(names, None)
                yield Finding(said.check, said.passed, said.sentence)
    except PluginError as error:
        text = str(error)
        sentence = text if text[:1].isupper() else f"{who} {text}"
        yield Finding(next(names, "end"), passed=False, sentence=sentence)


def _said(process: PluginProcess) -> _Found | _Conformed:
    message = process.receive(most_bytes=0)
    try:
        return _SAID.validate_python(message.facts)
    except ValidationError as error:
        raise process.misspoke() from error
