"""The checks of a plug-in, in a process of its own: it may hang, exit or print as it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from taskmark.conformance.checks import CHECKS
from taskmark.conformance.finding import Finding
from taskmark.records.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.plugins.stand_ins import StandIn


class _Found(Frozen):
    op: Literal["finding"]
    check: str
    passed: bool
    sentence: str


def check_isolated(
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
    heard = method.check_isolated(seconds=seconds, large=large)
    fault = heard.fault
    for answer in heard.said:
        try:
            said = _Found.model_validate(answer)
        except ValidationError:
            fault = heard.misspoke()
            break
        next(names, None)
        yield Finding(said.check, said.passed, said.sentence)
    if fault is not None:
        text = str(fault)
        sentence = text if text[:1].isupper() else f"{heard.who} {text}"
        yield Finding(next(names, "end"), passed=False, sentence=sentence)
