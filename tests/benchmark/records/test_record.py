"""Records: frozen, and identified by their content."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from made_up_records import made_up_board, made_up_maps
from pydantic import ValidationError

from taskmark.records.disentanglement_record import DisentanglementRecord, points_in_unit_square
from taskmark.records.envelope import ExpertOrigin
from taskmark.records.frozen import digest
from taskmark.records.packing import pack_bits, pack_counts, unpack_bits, unpack_counts
from taskmark.records.record import Record, Storage


@pytest.fixture(scope="module")
def record():
    return made_up_board(backbones=("random",), n=20)[0].with_record_id()


@settings(deadline=None, max_examples=50)
@for_all(st.lists(st.booleans(), max_size=40))
def test_bits_are_read_back(bits):
    array = np.array(bits, dtype=bool)
    assert unpack_bits(pack_bits(array), len(array)).tolist() == bits


@settings(deadline=None, max_examples=50)
@for_all(st.lists(st.integers(0, 65535), max_size=40))
def test_counts_are_read_back(counts):
    assert unpack_counts(pack_counts(np.array(counts, dtype=int))).tolist() == counts


@pytest.mark.parametrize("count", [-1, 65536])
def test_a_count_of_more_than_two_bytes_is_refused(count):
    with pytest.raises(ValueError, match="65535"):
        pack_counts(np.array([3, count]))


def test_the_unit_square_is_counted_with_both_ends():
    assert points_in_unit_square((-0.5, 0.0, 0.5, 1.0, 1.5)) == 9


def test_a_record_survives_json_and_keeps_its_id(record):
    back = Record.model_validate_json(record.model_dump_json(indent=1))
    assert back == record
    assert back.with_record_id().record_id == record.record_id


def test_times_and_dates_do_not_count_and_everything_else_does(record):
    date = record.provenance.model_copy(update={"created_at": "2000-01-01T00:00:00+00:00"})
    device = record.provenance.model_copy(update={"device": "another"})
    same = [{"measured": None}, {"provenance": date}]
    other = [{"provenance": device}, {"backbone": "x"}, {"accuracy": 0.123}, {"state": "failed"}]
    for update in same:
        assert record.model_copy(update=update).with_record_id().record_id == record.record_id
    for update in other:
        assert record.model_copy(update=update).with_record_id().record_id != record.record_id


def test_a_record_from_before_a_field_was_added_keeps_its_id(record):
    before = record.model_copy(update={"storage": None})
    added = {"storage", "experts"}
    content = before.model_dump(mode="json", exclude={"record_id", "measured", *added})
    for name in ("created_at", "notes", "resolved"):
        del content["provenance"][name]
    assert before.with_record_id().record_id == digest(content)
    storage = Storage(one_model=True, extra_bytes=0)
    experts = ExpertOrigin(family="published", files={"hills": "0" * 64})
    for update in ({"storage": storage}, {"experts": experts}):
        now = before.model_copy(update=update).with_record_id()
        assert now.record_id != before.with_record_id().record_id


def test_a_map_is_identified_without_its_seconds():
    (one, *_) = made_up_maps(("random",))
    one = one.with_record_id()
    assert one.model_copy(update={"seconds": 99.0}).with_record_id().record_id == one.record_id
    assert one.model_copy(update={"unit_square": 1.9}).with_record_id().record_id != one.record_id
    assert DisentanglementRecord.model_validate_json(one.model_dump_json()) == one


def test_a_record_is_frozen_and_refuses_what_it_does_not_know(record):
    with pytest.raises(ValidationError):
        record.backbone = "x"
    with pytest.raises(ValidationError):
        Record.model_validate({**record.model_dump(), "extra": 1})


def test_the_digest_ignores_the_order_of_keys_alone():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
    assert digest({"a": 1}) != digest({"a": "1"})
