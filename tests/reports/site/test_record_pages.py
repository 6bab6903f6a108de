"""A record's page says everything that the record says."""

from __future__ import annotations

import html
import json

from made_up_records import made_up_board
from site_elements import text_of

from taskmark.records.record import Record
from taskmark.reports import record_origin
from taskmark.reports.site import addresses


def test_every_record_has_its_page_command_and_json(site, records):
    for record in records:
        text = text_of(site[addresses.record(record)])
        assert record.record_id in text
        assert html.unescape(record_origin.command(record)) in text
        assert Record(**json.loads(site[addresses.record_json(record)])) == record


def test_every_result_has_its_intervals(site_of):
    records = made_up_board(backbones=("image-text",), n=60, expert_seeds=(0, 1))
    site = site_of(records)
    record = next(r for r in records if r.method.name == "ties")
    text = text_of(site[addresses.record(record)])
    for result in record.tasks:
        assert (
            f"{100 * result.accuracy:.1f} [{100 * result.low:.1f}, {100 * result.high:.1f}]" in text
        )
        assert f" {100 * result.normalised_accuracy:.1f} [" in text
        assert f" {100 * result.disagreement:.1f} [" in text
    for trial in record.curve:
        assert f" {trial.scale:g} " in text


def test_a_failure_says_why(site, records):
    failure = next(record for record in records if record.state == "failed")
    text = text_of(site[addresses.record(failure)])
    assert f"failed {failure.reason}" in text
