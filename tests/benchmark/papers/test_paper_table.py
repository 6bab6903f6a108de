"""Published beside measured: differences and verdicts by hand, and what must not be compared."""

from __future__ import annotations

import pytest
from made_up_records import made_up_failure, made_up_method, made_up_negation, made_up_record
from test_papers import VALID, written

from taskmark.papers.paper_file import OWN, ExpertFamily, PaperRun, Published, read
from taskmark.papers.table import NOT_RUN, Measurements, compare_figures
from taskmark.records.envelope import ExpertOrigin
from taskmark.suite import suite_file as suite

BACKBONE = "image-text"
THEIRS = ExpertOrigin(family="theirs", files={})


def paper(folder, *, alike=True, metrics=("accuracy",), **changes):
    found = read(written(folder, VALID))
    (run,) = found.runs.values()
    theirs = found.published[0].model_copy(update={"accuracy": {BACKBONE: 50.0}})
    return found.model_copy(
        update={
            "backbones": (BACKBONE,),
            "runs": {"sum": run.model_copy(update={"metrics": metrics})},
            "families": {"theirs": ExpertFamily(summary="theirs", tuned_alike=alike)},
            "published": (theirs,),
            **changes,
        }
    )


def record(value=0.52, low=0.49, high=0.55, **changes):
    figures = {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
    return made_up_record(**changes).model_copy(update=figures)


def lines_of(paper, records=(), negations=(), suite_of_run=None):
    found = Measurements(list(records), list(negations))
    return compare_figures(paper, suite_of_run or suite.load("mini"), (BACKBONE,), found)


def test_the_difference_is_in_points_and_the_interval_has_its_ends(tmp_path):
    (line,) = lines_of(paper(tmp_path), [record()])
    assert line.difference == pytest.approx(2.0)
    assert line.inside
    assert (line.measured.low, line.measured.high) == pytest.approx((49.0, 55.0))
    assert line.measured.family == OWN


@pytest.mark.parametrize(("low", "high"), [(0.501, 0.55), (0.4, 0.499)])
def test_a_figure_beyond_either_end_is_outside(tmp_path, low, high):
    (line,) = lines_of(paper(tmp_path), [record(low=low, high=high)])
    assert line.inside is False


def test_a_figure_at_an_end_is_inside(tmp_path):
    (line,) = lines_of(paper(tmp_path), [record(low=0.5)])
    assert line.inside


@pytest.mark.parametrize(
    ("alike", "experts", "compared"),
    [
        (True, None, True),
        (False, None, False),
        (False, THEIRS, True),
        (True, ExpertOrigin(family="others", files={}), False),
    ],
)
def test_families_are_never_mixed(tmp_path, alike, experts, compared):
    (line,) = lines_of(paper(tmp_path, alike=alike), [record(experts=experts)])
    assert line.measured is not None
    assert line.published is not None
    assert (line.difference is not None) is compared
    assert (line.inside is not None) is compared


def test_what_was_not_run_has_no_figure_but_the_published_one(tmp_path):
    others = [
        record(backbone="supervised"),
        record(recipe="tangent"),
        record(method=made_up_method("ties")),
    ]
    (line,) = lines_of(paper(tmp_path), others)
    assert (line.measured, line.reason, line.difference) == (None, NOT_RUN, None)
    assert line.published.value == 50.0


def test_a_row_that_failed_says_why(tmp_path):
    failed = made_up_failure(method=made_up_method(), reason="out of memory")
    (line,) = lines_of(paper(tmp_path), [failed])
    assert (line.measured, line.reason) == (None, "failed: out of memory")


def test_a_row_of_other_hyperparameters_is_another_row(tmp_path):
    of_paper = paper(tmp_path)
    run = of_paper.runs["sum"].model_copy(update={"hyperparameters": {"density": 0.2}})
    of_paper = of_paper.model_copy(update={"runs": {"sum": run}})
    facts = {"hyperparameters": {"density": 0.2, "scope": "global"}}
    wrong = record(value=0.9, method=made_up_method(hyperparameters={"density": 0.3}))
    right = record(method=made_up_method(**facts))
    (line,) = lines_of(of_paper, [wrong, right])
    assert line.measured.value == pytest.approx(52.0)


def test_every_source_has_a_line_and_what_has_none_is_still_measured(tmp_path):
    of_paper = paper(tmp_path, metrics=("accuracy", "normalised_accuracy"))
    other = Published(
        run="sum", family="theirs", source="B, Table 2", label="code", accuracy={BACKBONE: 60.0}
    )
    of_paper = of_paper.model_copy(update={"published": (*of_paper.published, other)})
    first, second, third = lines_of(of_paper, [record()])
    assert [first.published.source, second.published.source] == ["A, Table 1", "B, Table 2"]
    assert (first.measured, third.metric) == (second.measured, "normalised_accuracy")
    assert third.published is None
    assert third.measured is not None


def controlled_by(*tasks):
    mini = suite.load("mini")
    rule = mini.protocol.negation.model_copy(update={"controls": tasks})
    return mini.model_copy(update={"protocol": mini.protocol.model_copy(update={"negation": rule})})


@pytest.mark.parametrize(("controls", "compared"), [(("land",), True), (("street",), False)])
def test_negation_compares_only_under_the_control_of_the_paper(tmp_path, controls, compared):
    figures = Published(
        run="sum",
        family="theirs",
        source="A, Table 1",
        label="text",
        negation_target={BACKBONE: 19},
    )
    of_paper = paper(
        tmp_path,
        metrics=("negation_target", "negation_control"),
        published=(figures,),
        control="land",
    )
    found = lines_of(of_paper, [], [made_up_negation()], controlled_by(*controls))
    target, control = found
    assert target.measured.value == pytest.approx(20.0)
    assert control.measured.value == pytest.approx(57.0)
    assert target.difference == (pytest.approx(1.0) if compared else None)


def test_negation_by_the_method_itself_goes_before_that_of_the_vectors(tmp_path):
    of_paper = paper(tmp_path, metrics=("negation_control",), published=())
    plain = made_up_negation()
    own = made_up_negation(method=made_up_method(), control=plain.target)
    other = made_up_negation(method=made_up_method("ties"))
    (line,) = lines_of(of_paper, [], [other, plain, own])
    assert line.measured.value == pytest.approx(20.0)


def test_a_record_is_of_the_run_that_says_most_of_its_hyperparameters(tmp_path):
    metrics = ("accuracy",)
    runs = {
        "as it is": PaperRun(method="ties", metrics=metrics),
        "sparse": PaperRun(method="ties", hyperparameters={"density": 0.1}, metrics=metrics),
    }
    own, sparse = (
        record(value, method=made_up_method("ties", hyperparameters={"density": density}))
        for value, density in ((0.5, 0.2), (0.4, 0.1))
    )
    for records in ([own, sparse], [sparse, own]):
        lines = lines_of(paper(tmp_path, runs=runs, published=()), records)
        assert [line.measured.value for line in lines] == pytest.approx([50.0, 40.0])
    first, second = lines_of(paper(tmp_path, runs=runs, published=()), [sparse])
    assert (first.reason, second.measured.value) == (NOT_RUN, pytest.approx(40.0))
