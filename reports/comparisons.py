"""The kinds of comparisons that findings are made of, each over all backbones of a suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from taskmark.reports.evidence import CONTROL
from taskmark.reports.verdicts import Asks, Estimate, FindingPart, Unit, judge, together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.reports.evidence import Compared, Compares, Evidence


class Comparison(Protocol):
    """What a finding asks for, of whatever records there are."""

    def part(self, evidence: Evidence) -> FindingPart:
        """Compare on all backbones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What all comparisons have: words, the side of the boundary, and whether they decide."""

    difference: str
    asks: Asks
    boundary: float = 0.0
    decides: bool = True

    def _part(self, unit: Unit, estimates: Iterable[Estimate], *, missing: str) -> FindingPart:
        listed = tuple(estimates)
        claimed = [estimate.verdict for estimate in listed if estimate.claimed]
        return FindingPart(
            difference=self.difference,
            asks=self.asks,
            boundary=self.boundary,
            unit=unit,
            decides=self.decides,
            verdict=together(claimed),
            missing="" if claimed else missing,
            estimates=listed,
        )

    def _estimate(
        self,
        compared: Compared,
        backbone: str,
        *,
        claimed: bool,
        heads: str = "",
        recipe: str = "",
        note: str = "",
    ) -> Estimate:
        found = compared.difference
        return Estimate(
            backbone=backbone,
            heads=heads,
            recipe=recipe,
            claimed=claimed,
            verdict=judge(found, self.asks, self.boundary) if found else "not measured",
            first=found.first if found else None,
            second=found.second if found else None,
            difference=found.value if found else None,
            low=found.low if found else None,
            high=found.high if found else None,
            expert_seeds=compared.seeds,
            note=note if found else "",
            missing=compared.missing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods(_Asked):
    """One method less another, on every backbone; claimed for those that are pre-trained.

    `first` and `second` are method and recipe; `heads` narrows what is claimed.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    measure: Compares = "normalised_accuracy"
    heads: Literal["any", "probed"] = "any"

    def part(self, evidence: Evidence) -> FindingPart:
        """Compare on all backbones."""
        estimates = [
            self._estimate(
                evidence.scores(
                    self.first, self.second, backbones=(backbone, backbone), measure=self.measure
                ),
                backbone,
                heads=evidence.heads[backbone],
                claimed=backbone != CONTROL and self.heads in ("any", evidence.heads[backbone]),
            )
            for backbone in evidence.backbones
        ]
        of_kind = "" if self.heads == "any" else f" with {self.heads} heads"
        return self._part("accuracy", estimates, missing=f"no pre-trained backbone{of_kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsOfRecipes(_Asked):
    """The disentanglement error under one recipe less that under another, as `Methods` does."""

    first: str
    second: str

    def part(self, evidence: Evidence) -> FindingPart:
        """Compare on all backbones."""
        estimates = [
            self._estimate(
                evidence.errors((backbone, self.first), (backbone, self.second)),
                backbone,
                heads=evidence.heads[backbone],
                claimed=backbone != CONTROL,
            )
            for backbone in evidence.backbones
        ]
        return self._part("error", estimates, missing="no pre-trained backbone")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsAgainstControl(_Asked):
    """The disentanglement error of every pre-trained backbone less that of the random control."""

    def part(self, evidence: Evidence) -> FindingPart:
        """Compare on all backbones under all recipes that any map has."""
        estimates = [
            self._estimate(
                evidence.errors((backbone, recipe), (CONTROL, recipe)),
                backbone,
                heads=evidence.heads[backbone],
                recipe=recipe,
                claimed=True,
                note=_experts(evidence, backbone, recipe),
            )
            for backbone in evidence.backbones
            if backbone != CONTROL
            for recipe in evidence.mapped_recipes
        ]
        return self._part("error", estimates, missing="no map of a pre-trained backbone")


def _experts(evidence: Evidence, backbone: str, recipe: str) -> str:
    """How good the experts are: an error of weak experts says less."""
    one, two = (evidence.expert_accuracy(name, recipe) for name in (backbone, CONTROL))
    if one is None or two is None:
        return ""
    return f"experts {100 * one:.1f} % against {100 * two:.1f} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbones(_Asked):
    """One backbone less another: the score of one method, or the disentanglement error."""

    first: str
    second: str
    measure: Compares | Literal["error"]
    method: str = "task_arithmetic"
    recipe: str = "standard"

    def part(self, evidence: Evidence) -> FindingPart:
        """Compare the two backbones."""
        if self.measure == "error":
            compared = evidence.errors((self.first, self.recipe), (self.second, self.recipe))
        else:
            row = (self.method, self.recipe)
            compared = evidence.scores(
                row, row, backbones=(self.first, self.second), measure=self.measure
            )
        name = f"{self.first} − {self.second}"  # noqa: RUF001 - a minus sign
        return self._part(
            "error" if self.measure == "error" else "accuracy",
            [self._estimate(compared, name, claimed=True)],
            missing="",
        )
