"""Runs that race: records that say so, under a name of their own."""

from __future__ import annotations

import pytest

from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.plugins.method_choice import MethodChoice
from taskmark.suite.suite_file import read


@pytest.fixture(scope="module")
def outcomes(tiny_suite, tiny_store, tmp_path_factory):
    """An exact run and a racing one, of the same rows."""
    out = tmp_path_factory.mktemp("out")
    choices = tuple(MethodChoice(name) for name in ("task_arithmetic", "tangent_fine_tuning"))
    return [
        run(
            RunConfig(
                suite=str(tiny_suite),
                out=out,
                methods=choices,
                device="cpu",
                workers=0,
                store=tiny_store,
                racing=racing,
            )
        ).records
        for racing in (False, True)
    ]


def _row(records, name):
    return next(record for record in records if record.method.name == name)


def test_a_racing_record_says_so_in_its_search_and_in_its_suite(outcomes):
    exact, raced = (_row(records, "task_arithmetic") for records in outcomes)
    assert (exact.search, exact.search_error, exact.suite.edition) == ("exact", 0, "0.1")
    assert (raced.search, raced.search_error) == ("racing", 0.05)
    assert raced.suite.edition == "0.1+racing"
    assert raced.suite.sha256 != exact.suite.sha256
    assert raced.record_id != exact.record_id


def test_a_racing_curve_has_all_scales_and_the_images_that_each_was_read_on(outcomes):
    exact, raced = (_row(records, "task_arithmetic") for records in outcomes)
    assert [t.scale for t in raced.curve] == [t.scale for t in exact.curve]
    assert raced.counted.trials == exact.counted.trials == 5
    assert {t.n_images for t in exact.curve} == {180}
    assert raced.counted.selection_images == sum(t.n_images for t in raced.curve)
    whole = [trial for trial in raced.curve if trial.n_images == 180]
    assert whole
    assert set(whole) <= set(exact.curve)
    assert raced.scale in {trial.scale for trial in whole}


def test_where_a_scale_costs_no_pass_nothing_is_raced(outcomes):
    exact, raced = (_row(records, "tangent_fine_tuning") for records in outcomes)
    assert raced.search == "exact"
    assert raced.curve == exact.curve


def test_rows_without_a_search_are_not_said_to_have_raced(outcomes):
    assert _row(outcomes[1], "experts").search == "exact"


def test_a_suite_that_races_by_definition_keeps_its_name(tiny_suite, tmp_path):
    text = tiny_suite.read_text("utf-8").replace("trials = 5", 'trials = 5\nsearch = "racing"')
    path = tmp_path / "racing.toml"
    path.write_text(text, "utf-8")
    suite = read(path)
    assert suite.protocol.search == "racing"
    assert suite.racing() == suite
    assert read(tiny_suite).protocol.search == "exact"
