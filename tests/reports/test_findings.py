"""What was planted in the records comes out as the verdict, and what is missing is named."""

from __future__ import annotations

import pytest
from planted import evidence, maps, rows

from taskmark.reports.findings import claims_of, findings

OURS, CONTROL = "supervised", "random"
CLAIMS = claims_of("mini")
COMPETITIVE = 0.02


def look_up(number, records=(), found=()):
    [finding] = [f for f in findings(evidence(records, found), CLAIMS) if f.number == number]
    return finding


def of_both(recipe, ours, control):
    return {(OURS, recipe): ours, (CONTROL, recipe): control}


def test_there_are_six_in_the_order_of_their_numbers_whatever_there_is():
    found = findings(evidence(), CLAIMS)
    assert [f.number for f in found] == [1, 2, 3, 4, 5, 6]
    assert {f.verdict for f in found} == {"not measured"}
    for finding in found:
        assert finding.statement
        assert finding.definition
        assert all(part.missing or part.estimates for part in finding.parts)


@pytest.mark.parametrize(
    ("ours", "control", "verdict"),
    [(0.3, 0.9, "holds"), (0.9, 0.3, "does not hold"), (0.5, 0.5, "cannot be told")],
)
def test_pretrained_backbones_against_the_control(ours, control, verdict):
    finding = look_up(1, found=maps(of_both("standard", ours, control)))
    [estimate] = finding.parts[0].estimates
    assert (finding.verdict, estimate.verdict) == (verdict, verdict)
    assert estimate.low <= estimate.difference <= estimate.high


def test_every_scheme_and_every_recipe_counts():
    depths = {**of_both("standard", 0.3, 0.9), **of_both("tangent", 0.3, 0.9)}
    assert look_up(1, found=maps(depths)).verdict == "holds"
    worse = look_up(1, found=maps({**depths, ("masked", "standard"): 1.5}))
    assert worse.verdict == "does not hold"
    verdicts = {(e.backbone, e.recipe): e.verdict for e in worse.parts[0].estimates}
    assert verdicts == {
        ("masked", "standard"): "does not hold",
        ("masked", "tangent"): "not measured",
        (OURS, "standard"): "holds",
        (OURS, "tangent"): "holds",
    }


def test_without_the_control_the_first_is_not_measured_and_says_so():
    finding = look_up(1, found=maps({(OURS, "standard"): 0.3}))
    assert finding.verdict == "not measured"
    assert "random" in finding.parts[0].estimates[0].missing
    finding = look_up(1, found=maps({(CONTROL, "standard"): 0.3}))
    assert finding.parts[0].missing == "no map of a pre-trained backbone"


def test_the_first_says_how_good_the_experts_are():
    records = rows({"ties": 0.5}) + rows({"ties": 0.5}, backbone=CONTROL)
    finding = look_up(1, records, maps(of_both("standard", 0.3, 0.9)))
    [accuracy] = {f"{100 * r.accuracy:.1f}" for r in records if r.method.name == "experts"}
    assert finding.parts[0].estimates[0].note == f"experts {accuracy} % against {accuracy} %"


@pytest.mark.parametrize(
    ("tangent", "tangent_depth", "verdict"),
    [
        (0.8, 0.3, "holds"),
        (0.8, 0.9, "does not hold"),
        (0.4, 0.3, "does not hold"),
        (0.8, 0.6, "cannot be told"),
        (0.8, None, "not measured"),
    ],
)
def test_tangent_fine_tuning_must_lower_the_one_and_raise_the_other(
    tangent, tangent_depth, verdict
):
    depths = {(OURS, "standard"): 0.6}
    if tangent_depth is not None:
        depths[OURS, "tangent"] = tangent_depth
    records = rows({"tangent_fine_tuning": tangent, "task_arithmetic": 0.6})
    finding = look_up(2, records, maps(depths))
    assert finding.verdict == verdict
    error, normalised, own, absolute = finding.parts
    assert [part.decides for part in finding.parts] == [True, True, False, False]
    difference = normalised.estimates[0].difference
    assert own.estimates[0].difference != difference != absolute.estimates[0].difference
    assert own.estimates[0].first > normalised.estimates[0].first  # tangent experts are weaker
    assert error.unit == "error"


@pytest.mark.parametrize(
    ("number", "first", "second"),
    [
        (4, "ties", "weight_averaging"),
        (5, "dv_basi", "dv_basi_start"),
        (3, "linear_probing", "task_arithmetic"),
    ],
)
def test_findings_about_two_methods(number, first, second):
    def verdict(one, two, **changes):
        return look_up(number, rows({first: one, second: two}, **changes)).verdict

    assert verdict(0.8, 0.5) == "holds"
    assert verdict(0.5, 0.8) == "does not hold"
    assert verdict(0.8, 0.5, seeds=(0, 1, 2)) == "holds"
    assert verdict(0.5, 0.8, backbone=CONTROL) == "not measured", "nothing is claimed for it"
    assert look_up(number, rows({first: 0.8})).verdict == "not measured"


@pytest.mark.parametrize(
    ("number", "first", "second"),
    [(4, "ties", "weight_averaging"), (5, "dv_basi", "dv_basi_start")],
)
def test_what_differs_by_chance_alone_cannot_be_told(number, first, second):
    assert look_up(number, rows({first: 0.6005, second: 0.6})).verdict == "cannot be told"


def test_a_finding_must_hold_on_each_backbone_it_is_claimed_for():
    good = rows({"ties": 0.8, "weight_averaging": 0.5}, backbone="image-text")
    bad = rows({"ties": 0.5, "weight_averaging": 0.8})
    control = rows({"ties": 0.5, "weight_averaging": 0.8}, backbone=CONTROL)
    assert look_up(4, good + control).verdict == "holds"
    finding = look_up(4, good + bad + control)
    assert finding.verdict == "does not hold"
    assert [(e.backbone, e.claimed, e.verdict) for e in finding.parts[0].estimates] == [
        ("image-text", True, "holds"),
        (OURS, True, "does not hold"),
        (CONTROL, False, "does not hold"),
    ]


def test_probing_may_be_worse_by_less_than_the_margin():
    slightly, clearly = (
        rows({"linear_probing": 0.6 - gap, "task_arithmetic": 0.6}, n=4000)
        for gap in (COMPETITIVE / 4, 3 * COMPETITIVE)
    )
    finding = look_up(3, slightly)
    [estimate] = finding.parts[0].estimates
    assert -COMPETITIVE < estimate.low < estimate.high < 0
    assert finding.verdict == "holds"
    assert look_up(3, clearly).verdict == "does not hold"


def test_probing_is_judged_where_heads_are_probed():
    worse = {"linear_probing": 0.4, "task_arithmetic": 0.8}
    finding = look_up(3, rows(worse, backbone="image-text"))
    assert finding.verdict == "not measured"
    assert finding.parts[0].missing == "no pre-trained backbone with probed heads"
    assert finding.parts[0].estimates[0].verdict == "does not hold"


def test_the_control_of_dv_basi_stands_beside_without_a_vote():
    finding = look_up(5, rows({"dv_basi": 0.7, "dv_basi_start": 0.5, "direct_scaling": 0.9}))
    start, control, _ = finding.parts
    assert (finding.verdict, start.verdict) == ("holds", "holds")
    assert (control.verdict, control.decides) == ("does not hold", False)
    assert control.estimates[0].difference < 0


@pytest.mark.parametrize(
    ("skill", "depth", "verdict"),
    [
        (0.8, 0.3, "holds"),
        (0.8, 0.9, "does not hold"),
        (0.4, 0.3, "does not hold"),
        (0.5, 0.3, "cannot be told"),
        (0.8, None, "not measured"),
    ],
)
def test_larger_pretraining_must_help_in_all_three_ways(skill, depth, verdict):
    records = rows({"task_arithmetic": 0.5})
    records += rows({"task_arithmetic": skill}, backbone="supervised_large")
    depths = {(OURS, "standard"): 0.6}
    if depth is not None:
        depths["supervised_large", "standard"] = depth
    finding = look_up(6, records, maps(depths))
    assert finding.verdict == verdict
    assert [part.unit for part in finding.parts] == ["accuracy", "accuracy", "error"]


def test_without_a_larger_backbone_the_last_names_it():
    finding = look_up(6, rows({"task_arithmetic": 0.5}), maps({(OURS, "standard"): 0.5}))
    assert finding.verdict == "not measured"
    for part in finding.parts:
        assert "supervised_large" in part.estimates[0].missing


def test_the_expert_seeds_of_a_comparison_are_named():
    skills = {"ties": 0.7, "weight_averaging": 0.6}
    one, three = (look_up(4, rows(skills, seeds=seeds)) for seeds in ((0,), (0, 1, 2)))
    assert one.parts[0].estimates[0].expert_seeds == (0,)
    assert three.parts[0].estimates[0].expert_seeds == (0, 1, 2)


@pytest.mark.parametrize("suite", ["clip-8", "smoke", "of-somebody", "real", "../suites/mini"])
def test_a_suite_that_has_no_findings_is_asked_for_none(suite):
    assert claims_of(suite) == ()


def test_a_suite_whose_name_has_a_hyphen_has_the_findings_of_its_folder():
    statements = [claim.statement for claim in claims_of("mini-language")]
    assert "Simple averaging is a robust baseline." in statements
    assert len(statements) == len(set(statements)) == 2
