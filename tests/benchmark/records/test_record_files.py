"""Only records that prove themselves are read, and of each row the newest counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_records import (
    TASKS,
    made_up_board,
    made_up_disentanglement,
    made_up_failure,
    made_up_maps,
    made_up_method,
    made_up_provenance,
    made_up_record,
    write_out,
)

from taskmark.errors import TaskmarkError
from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.identity import keep_newest
from taskmark.records.packing import pack_bits, pack_counts
from taskmark.records.record_files import read_kind, read_records

EARLIER = made_up_provenance(created_at="2026-01-01T00:00:00+00:00")
LATER = made_up_provenance(created_at="2026-01-01T00:30:00+01:00")  # half an hour before EARLIER


def changed(out, folder="records", **changes):
    [path] = (out / folder).glob("*.json")
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))
    return path


def test_what_was_written_is_read_back(tmp_path):
    records, maps = made_up_board(backbones=("random",), n=20), made_up_maps(("random",))
    out = write_out(tmp_path, records, maps)
    assert {r.record_id for r in read_records(out)} == {r.record_id for r in records}
    assert {r.record_id for r in read_kind(out, DisentanglementRecord)} == {
        r.record_id for r in maps
    }


def test_an_empty_folder_holds_no_records(tmp_path):
    assert read_records(tmp_path) == []
    assert read_kind(tmp_path, DisentanglementRecord) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"suite": 3}'])
def test_a_file_that_is_no_record_is_named_with_the_cure(tmp_path, content):
    path = tmp_path / "records" / "odd.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(TaskmarkError, match=r"odd\.json.*not a valid record.*delete the file"):
        read_records(tmp_path)


@pytest.mark.parametrize("changes", [{"accuracy": 0.999}, {"backbone": "other"}])
def test_a_record_that_was_changed_by_hand_is_refused(tmp_path, changes):
    out = write_out(tmp_path, [made_up_record(n=20)])
    path = changed(out, **changes)
    with pytest.raises(TaskmarkError, match=rf"{path.name}.*changed after it was made"):
        read_records(out)


def test_a_map_that_was_changed_by_hand_is_refused(tmp_path):
    out = write_out(tmp_path, [], [made_up_disentanglement()])
    changed(out, "disentanglement", unit_square=0.001)
    with pytest.raises(TaskmarkError, match="changed after it was made"):
        read_kind(out, DisentanglementRecord)


def test_seconds_may_differ_since_they_are_no_part_of_the_identity(tmp_path):
    out = write_out(tmp_path, [], [made_up_disentanglement()])
    changed(out, "disentanglement", seconds=99.0)
    assert read_kind(out, DisentanglementRecord)[0].seconds == 99.0


def test_a_record_without_a_date_is_refused(tmp_path):
    provenance = made_up_provenance(created_at="yesterday")
    out = write_out(tmp_path, [made_up_record(n=20, provenance=provenance)])
    with pytest.raises(TaskmarkError, match="has no date"):
        read_records(out)


@pytest.mark.parametrize("bits", [pack_bits(np.zeros(20, bool)), "AA==", "?"])
def test_bits_that_contradict_the_counts_are_refused(tmp_path, bits):
    record = made_up_record(n=20)
    first = record.tasks[0].model_copy(update={"bits": bits})
    record = record.model_copy(update={"tasks": (first, *record.tasks[1:])}).with_record_id()
    out = write_out(tmp_path, [record])
    with pytest.raises(TaskmarkError, match=f"{TASKS[0]}.*do not add up"):
        read_records(out)


@pytest.mark.parametrize("counts", [pack_counts(np.zeros(400, int)), "", "AA==", "?"])
def test_counts_that_contradict_the_mean_are_refused(tmp_path, counts):
    record = made_up_disentanglement()
    first = record.pairs[0].model_copy(update={"images_1": counts})
    record = record.model_copy(update={"pairs": (first, *record.pairs[1:])}).with_record_id()
    out = write_out(tmp_path, [], [record])
    with pytest.raises(TaskmarkError, match="do not add up to its unit_square"):
        read_kind(out, DisentanglementRecord)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "records" / "folder.json").mkdir(parents=True)
    with pytest.raises(TaskmarkError, match=r"folder\.json.*cannot be read"):
        read_records(tmp_path)


def test_the_record_created_last_counts_whatever_the_time_zone():
    older, newer = made_up_record(n=20, provenance=LATER), made_up_record(n=20, skill=0.9)
    newer = newer.model_copy(update={"provenance": EARLIER}).with_record_id()
    assert keep_newest([newer, older]) == [newer]
    assert keep_newest([older, newer]) == [newer]


@pytest.mark.parametrize(
    "other",
    [
        made_up_record(n=20, backbone="random"),
        made_up_record(n=20, recipe="tangent"),
        made_up_record(n=20, expert_seed=1),
        made_up_record(n=20, method_seed=1),
        made_up_record(n=20, tasks=TASKS[:2]),
        made_up_record(n=20, method=made_up_method(hyperparameters={"density": 0.1})),
    ],
)
def test_records_of_other_rows_stand_beside_each_other(other):
    assert len(keep_newest([made_up_record(n=20), other])) == 2


def test_a_failure_gives_way_to_a_later_result_and_the_other_way_round():
    method = made_up_method("fragile")
    result = made_up_record(n=20, method=method, provenance=EARLIER)
    failure = made_up_failure(n=20, provenance=LATER)
    assert keep_newest([result, failure]) == [result]
    failure = made_up_failure(n=20)  # 2 January
    assert keep_newest([result, failure]) == [failure]


def test_of_each_map_the_newest_counts(tmp_path):
    older = made_up_disentanglement(depth=0.5, provenance=EARLIER)
    newer = made_up_disentanglement(depth=0.4)
    assert read_kind(write_out(tmp_path, [], [newer, older]), DisentanglementRecord) == [newer]
