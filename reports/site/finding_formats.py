"""How findings are written on the page: numbers in their unit, verdicts with a sign and a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.reports.verdicts import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmark.reports.stability import Power
    from taskmark.reports.verdicts import Estimate, FindingPart, PublishedFinding, Unit, Verdict

SIGNS: dict[Verdict, str] = {
    "holds": "✓",
    "does not hold": "✗",
    "cannot be told": "?",
    "not measured": "–",  # noqa: RUF001 - a dash
}
"""Beside the words, never instead of them."""


def by_verdict(finding: PublishedFinding) -> str:
    """Count the verdicts that decide a finding: "2 hold, 1 cannot be told"."""
    deciding = [
        estimate.verdict
        for part in finding.parts
        if part.decides
        for estimate in part.estimates
        if estimate.claimed
    ]
    counts = [(verdict, deciding.count(verdict)) for verdict in VERDICTS]
    return ", ".join(f"{n} {_plural(verdict, n)}" for verdict, n in counts if n)


def _plural(verdict: Verdict, n: int) -> str:
    forms = {"holds": "hold", "does not hold": "do not hold"}
    return verdict if n == 1 else forms.get(verdict, verdict)


def in_unit(number: float, unit: Unit) -> str:
    """Write a disentanglement error to a thousandth, an accuracy in per cent to a tenth."""
    return f"{number:.3f}" if unit == "error" else f"{100 * number:.1f}"


def signed_in_unit(number: float, unit: Unit) -> str:
    """Write a difference with its sign: of errors to a thousandth, of points to a hundredth.

    An interval that ends near the boundary must not look as if it ended on it.
    """
    written = f"{number:+.3f}" if unit == "error" else f"{100 * number:+.2f}"
    return written.replace("-", "\u2212")


def asked(part: FindingPart) -> str:
    """Say where the difference should lie: "at least 2 points", with its sign."""
    if part.unit == "error":
        return f"{part.asks} {part.boundary:g}"
    points = " points" if part.boundary else ""
    return f"{part.asks} {100 * part.boundary:g}{points}".replace("-", "\u2212")


def axis(part: FindingPart) -> tuple[float, float]:
    """Ends of the range bars of a part, which hold all intervals and the boundary."""
    measured = [e for e in part.estimates if e.low is not None and e.high is not None]
    low = min((e.low for e in measured if e.low is not None), default=0.0)
    high = max((e.high for e in measured if e.high is not None), default=0.0)
    low, high = min(low, part.boundary), max(high, part.boundary)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def place(number: float, ends: tuple[float, float]) -> str:
    """Where a number stands on an axis, in per cent of its length."""
    low, high = ends
    return f"{100 * (number - low) / (high - low):.2f}%"


def seeds(estimates: tuple[Estimate, ...]) -> str:
    """Name the expert seeds of the comparisons, where they are the same for all."""
    found = {estimate.expert_seeds for estimate in estimates if estimate.difference is not None}
    if len(found) != 1:
        return ""
    listed = next(iter(found))
    return f"expert seed{'s' if len(listed) > 1 else ''} {', '.join(map(str, listed))}"


def fewest_seeds(power: Power) -> int:
    """The smallest number of expert seeds of any backbone that ranks methods."""
    return min((len(board.expert_seeds) for board in power.boards if board.n_pairs), default=0)


FILTERS: dict[str, Callable[..., object]] = {
    "asked": asked,
    "axis": axis,
    "by_verdict": by_verdict,
    "fewest_seeds": fewest_seeds,
    "in_unit": in_unit,
    "place": place,
    "seeds": seeds,
    "sign": SIGNS.__getitem__,
    "signed_in_unit": signed_in_unit,
}
"""For the templates."""
