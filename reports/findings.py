"""The findings that can be looked up on a board: what each claims, and whether it holds here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.reports.comparisons import (
    Backbones,
    Comparison,
    ErrorsAgainstControl,
    ErrorsOfRecipes,
    Methods,
)
from taskmark.reports.verdicts import PublishedFinding, together

if TYPE_CHECKING:
    from taskmark.reports.evidence import Evidence

COMPETITIVE = 0.02
"""A method is competitive if it is not worse by more than this share of the experts' accuracy."""

TASK_ADDITION = ("task_arithmetic", "standard")
TANGENT = ("tangent_fine_tuning", "tangent")


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding as the literature has it, with the comparisons that decide it here.

    Attributes:
        statement: the finding in plain words.
        definition: for what it is claimed, and what a reader should know of the comparison.
        comparisons: what it asks for; all that decide must hold.
    """

    statement: str
    definition: str
    comparisons: tuple[Comparison, ...]


CLAIMS = (
    Claim(
        "Pre-trained backbones are far more disentangled than the random control, under every "
        "scheme.",
        "Claimed for every backbone but `random`, under every recipe with a map. ξ is the mean "
        "over the unit square and the pairs of tasks, on the same images for both backbones. The "
        "verdict asks for less than `random`; how much less stands beside it. Experts of the "
        "control that learn little disturb each other in other ways, so how good they are stands "
        "there too. Heads that come from class names are compared with the probed heads of the "
        "control.",
        (
            ErrorsAgainstControl(
                difference="ξ of the backbone − ξ of `random`",  # noqa: RUF001 - a minus sign
                asks="less than",
            ),
        ),
    ),
    Claim(
        "Tangent fine-tuning lowers the disentanglement error and raises normalised accuracy.",
        "Claimed for every backbone but `random`; both must hold on each. Normalised accuracy "
        "divides by the experts of the own recipe, and tangent experts are other experts: the "
        "difference of absolute accuracies has no such denominator, and stands beside it without "
        "a vote.",
        (
            ErrorsOfRecipes(
                difference="ξ, recipe `tangent` − recipe `standard`",  # noqa: RUF001
                asks="less than",
                first="tangent",
                second="standard",
            ),
            Methods(
                difference="normalised accuracy, `tangent_fine_tuning` − `task_arithmetic`",  # noqa: RUF001
                asks="more than",
                first=TANGENT,
                second=TASK_ADDITION,
            ),
            Methods(
                difference="absolute accuracy, `tangent_fine_tuning` − `task_arithmetic`",  # noqa: RUF001
                asks="more than",
                first=TANGENT,
                second=TASK_ADDITION,
                measure="accuracy",
                decides=False,
            ),
        ),
    ),
    Claim(
        "Linear probing is competitive with task addition.",
        "Claimed for pre-trained backbones with probed heads (closed vocabulary). Competitive "
        f"means: not worse by more than {100 * COMPETITIVE:g} points of normalised accuracy. "
        "Where heads come from class names, probing has labels that task addition lacks; such "
        "backbones stand beside without a vote, as `random` does.",
        (
            Methods(
                difference="normalised accuracy, `linear_probing` − `task_arithmetic`",  # noqa: RUF001
                asks="at least",
                boundary=-COMPETITIVE,
                first=("linear_probing", "standard"),
                second=TASK_ADDITION,
                heads="probed",
            ),
        ),
    ),
    Claim(
        "TIES is at least as good as averaging.",
        "Claimed for every backbone but `random`. At least as good, with no margin: the whole "
        "interval lies at or above 0. An interval that contains 0 leaves it open, even if TIES "
        "is ahead. The scale of TIES is searched on validation, that of averaging is fixed.",
        (
            Methods(
                difference="normalised accuracy, `ties` − `weight_averaging`",  # noqa: RUF001
                asks="at least",
                first=("ties", "standard"),
                second=("weight_averaging", "standard"),
            ),
        ),
    ),
    Claim(
        "DV-BASI improves on the model that it starts from.",
        "Claimed for every backbone but `random`. DV-BASI starts from what aTLAS learns with half "
        "of the budget, the row `dv_basi_start`. Two differences stand beside, without a vote: to "
        "its control `direct_scaling`, which goes on from the same start with the same budget but "
        "without difference vectors, and to `atlas`, which spends the whole budget as the start "
        "did.",
        (
            Methods(
                difference="normalised accuracy, `dv_basi` − its start `dv_basi_start`",  # noqa: RUF001
                asks="more than",
                first=("dv_basi", "standard"),
                second=("dv_basi_start", "standard"),
            ),
            Methods(
                difference="normalised accuracy, `dv_basi` − its control `direct_scaling`",  # noqa: RUF001
                asks="more than",
                first=("dv_basi", "standard"),
                second=("direct_scaling", "standard"),
                decides=False,
            ),
            Methods(
                difference="normalised accuracy, `dv_basi` − `atlas`",  # noqa: RUF001
                asks="more than",
                first=("dv_basi", "standard"),
                second=("atlas", "standard"),
                decides=False,
            ),
        ),
    ),
    Claim(
        "Larger pre-training helps.",
        "Claimed for `supervised_large` against `supervised`: the same scheme, data and number of "
        "steps, with more parameters. It must hold for the model merged by task arithmetic, "
        "normalised and absolute, and for ξ, all under the recipe `standard` on the same images.",
        (
            Backbones(
                difference="normalised accuracy of `task_arithmetic`",
                asks="more than",
                first="supervised_large",
                second="supervised",
                measure="normalised_accuracy",
            ),
            Backbones(
                difference="absolute accuracy of `task_arithmetic`",
                asks="more than",
                first="supervised_large",
                second="supervised",
                measure="accuracy",
            ),
            Backbones(
                difference="ξ",
                asks="less than",
                first="supervised_large",
                second="supervised",
                measure="error",
            ),
        ),
    ),
)
"""The list, in the order of its numbers. Nothing here depends on what comes out."""


def findings(evidence: Evidence) -> tuple[PublishedFinding, ...]:
    """Judge every claim by the records of one suite."""
    found = []
    for number, claim in enumerate(CLAIMS, start=1):
        parts = tuple(comparison.part(evidence) for comparison in claim.comparisons)
        found.append(
            PublishedFinding(
                number=number,
                statement=claim.statement,
                definition=claim.definition,
                verdict=together(part.verdict for part in parts if part.decides),
                parts=parts,
            )
        )
    return tuple(found)
