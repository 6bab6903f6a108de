"""A finding and its evidence: differences with intervals, and the verdicts that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from taskmark.records.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.statistics.differences import Difference

Verdict = Literal["holds", "does not hold", "cannot be told", "not measured"]
Asks = Literal["less than", "more than", "at least"]
Unit = Literal["error", "accuracy"]

VERDICTS: dict[Verdict, str] = {
    "holds": "the whole 95 % interval lies on the side that is asked for",
    "does not hold": "the whole interval lies on the other side",
    "cannot be told": "the interval contains the boundary",
    "not measured": "rows or backbones are missing, which are named",
}
"""What each verdict means, for one comparison."""

_FIRST_DECIDES: tuple[Verdict, ...] = ("does not hold", "cannot be told", "not measured", "holds")


class Estimate(Frozen):
    """One comparison on one backbone.

    Attributes:
        backbone: its name; "a - b" where two backbones are compared.
        heads: of the backbone.
        recipe: the recipe, where the comparison has one of its own.
        claimed: whether the finding is claimed for it; other backbones are shown for comparison.
        verdict: of this comparison alone.
        first: what is compared.
        second: what it is compared with.
        difference: first less second.
        low: lower end of the 95 % interval of this difference.
        high: upper end of it.
        expert_seeds: over which the mean is taken.
        note: what a reader must know besides.
        missing: why there is no number.
    """

    backbone: str
    heads: str = ""
    recipe: str = ""
    claimed: bool
    verdict: Verdict
    first: float | None = None
    second: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    expert_seeds: tuple[int, ...] = ()
    note: str = ""
    missing: str = ""


class FindingPart(Frozen):
    """One thing that a finding asks for.

    Attributes:
        difference: in words, what is compared with what.
        asks: on which side of the boundary the difference should lie.
        boundary: in the unit of the difference.
        unit: disentanglement error, in [0, 2], or a share of correct images.
        decides: whether the finding rests on it; other parts are shown for comparison.
        verdict: over all estimates for which it is claimed.
        missing: why nothing is claimed, where nothing is.
        estimates: one a comparison.
    """

    difference: str
    asks: Asks
    boundary: float
    unit: Unit
    decides: bool
    verdict: Verdict
    missing: str = ""
    estimates: tuple[Estimate, ...]


class PublishedFinding(Frozen):
    """A finding of the literature, and whether it holds here.

    Attributes:
        number: its place in the list.
        statement: the finding in plain words.
        definition: what exactly was compared, and where it holds.
        verdict: over the parts on which it rests.
        parts: what it asks for.
    """

    number: int
    statement: str
    definition: str
    verdict: Verdict
    parts: tuple[FindingPart, ...]


def judge(difference: Difference, asks: Asks, boundary: float) -> Verdict:
    """Return the verdict of one comparison from its interval and the boundary."""
    low, high = difference.low - boundary, difference.high - boundary
    if asks == "less than":
        low, high = -high, -low
    if low > 0 or (asks == "at least" and low == 0):
        return "holds"
    return "does not hold" if high < 0 else "cannot be told"


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Join verdicts on things that must all hold.

    One that does not hold decides; then one that cannot be told, which more rows would not cure;
    then one that is not measured. Nothing at all is not measured.
    """
    found = set(verdicts)
    return next((verdict for verdict in _FIRST_DECIDES if verdict in found), "not measured")
