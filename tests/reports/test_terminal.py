"""The terminal says of every finding what came out."""

from __future__ import annotations

import pytest
from made_up_records import write_out
from planted import maps, rows

from taskmark.errors import TaskmarkError
from taskmark.reports import build, terminal_findings


def test_each_finding_has_its_verdict_and_pairs_are_counted(tmp_path):
    skills = {"ties": 0.8, "weight_averaging": 0.5, "task_arithmetic": 0.6}
    depths = {("supervised", "standard"): 0.9, ("random", "standard"): 0.3}
    out = write_out(tmp_path, rows(skills, seeds=(0, 1)), maps(depths))
    build(out)
    findings, power = str(terminal_findings(out)).splitlines()
    assert findings == "Findings on mini@1.0: 1 does not hold, 4 holds; 4 not measured."
    assert power == (
        "1 of 1 pairs of methods differ on at least one backbone; mean Kendall tau over seeds 1.00."
    )


def test_findings_of_which_none_is_measured_are_not_listed(tmp_path):
    out = write_out(tmp_path, rows({"task_arithmetic": 0.6}), maps({}))
    build(out)
    assert "Findings" not in str(terminal_findings(out))


def test_a_folder_without_records_has_no_findings(tmp_path):
    build(tmp_path)
    assert str(terminal_findings(tmp_path)) == ""


def test_findings_that_cannot_be_read_are_named_with_the_cure(tmp_path):
    with pytest.raises(TaskmarkError, match=r"findings\.json.*taskmark report"):
        terminal_findings(tmp_path)
    (tmp_path / "findings.json").write_text("{}")
    with pytest.raises(TaskmarkError, match=r"findings\.json.*taskmark report"):
        terminal_findings(tmp_path)
