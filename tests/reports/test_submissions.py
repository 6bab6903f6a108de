"""A submitted row stands on the boards with its state, and a forged one is refused."""

from __future__ import annotations

import hashlib

import pytest
from made_up_records import SUITE, made_up_method, made_up_record, write_out

from taskmark.errors import TaskmarkError
from taskmark.plugins.submission import Reproduction, Submission
from taskmark.reports import build
from taskmark.reports.building import read_content

METHOD = "print('a method')\n"
SAME = Reproduction(
    created_at="2026-02-03T00:00:00+00:00", commit=None, device="cpu", differences=()
)
OTHER = Reproduction(
    created_at="2026-02-04T00:00:00+00:00",
    commit="c" * 40,
    device="<b>cpu</b>",
    differences=("signs: 90.0 % claimed, 10.0 % found",),
)


@pytest.fixture
def submit(tmp_path):
    """Write a submission of one row; returns the folder of all submissions."""

    def write(*reproductions, **changes):
        sha256 = hashlib.sha256(METHOD.encode()).hexdigest()
        facts = made_up_method("claimant", origin="file", source_sha256=sha256)
        record = made_up_record(n=50, method=facts, **changes)
        submission = Submission(
            method="claimant",
            suite=SUITE,
            file="claimant.py",
            package=None,
            source_sha256=sha256,
            records=(record.record_id,),
        )
        for one in reproductions:
            submission = submission.with_reproduction(one)
        folder = tmp_path / "submissions" / "mini-1.0" / "claimant"
        write_out(folder, [record])
        (folder / "claimant.py").write_text(METHOD)
        (folder / "submission.json").write_text(submission.model_dump_json())
        return tmp_path / "submissions"

    return write


@pytest.fixture
def measured(tmp_path):
    return write_out(tmp_path / "out", [made_up_record(n=50, method=made_up_method("experts"))])


@pytest.mark.parametrize(
    ("reproductions", "state"),
    [((), "claimed"), ((SAME,), "reproduced"), ((SAME, OTHER), "disputed")],
)
def test_the_row_says_its_state_on_the_board_and_on_the_page_of_the_method(
    submit, measured, reproductions, state
):
    site = build(measured, submissions=submit(*reproductions)).parent
    board = (site / "mini@1.0" / "board-image-text.html").read_text()
    method = (site / "methods" / "claimant.html").read_text()
    assert board.count(f'class="tag claim-{state}"') == 1
    assert f"<b>{state}</b>" in method
    assert method.count("<li>2026-02-0") == len(reproductions)
    assert ("signs: 90.0 % claimed, 10.0 % found" in method) == (state == "disputed")
    assert "<b>cpu</b>" not in method
    assert 'class="tag claim-' not in (site / "methods" / "experts.html").read_text()


def test_without_submissions_no_row_has_a_state(submit, measured):
    submit()
    content = read_content(measured)
    assert list(content.rows) == ["experts"]
    assert not any(content.claim(row) for row in (r for _, _, r in content.rows["experts"]))


def test_what_was_measured_later_supersedes_what_is_claimed(submit, measured):
    folder = submit()
    content = read_content(measured, submissions=folder)
    (claimed,) = content.claims
    former = next(record for record in content.records if record.record_id == claimed)
    later = former.provenance.model_copy(
        update={"created_at": "2026-12-31T00:00:00+00:00", "commit": "d" * 40}
    )
    newer = former.model_copy(update={"provenance": later}).with_record_id()
    write_out(measured, [newer])
    content = read_content(measured, submissions=folder)
    assert [record.record_id for record in content.records if record.method == former.method] == [
        newer.record_id
    ]
    assert not [row for _, _, row in content.rows["claimant"] if content.claim(row)]


def test_records_that_were_changed_are_refused(submit, measured):
    folder = submit()
    (path,) = (folder / "mini-1.0" / "claimant" / "records").glob("*.json")
    path.write_text(path.read_text().replace('"created_at"', '"commit_at"'))
    with pytest.raises(TaskmarkError, match="not a valid record"):
        build(measured, submissions=folder)


def test_a_folder_that_is_not_there_is_named(measured, tmp_path):
    with pytest.raises(TaskmarkError, match=r"no folder of submissions .*none.*--submissions"):
        build(measured, submissions=tmp_path / "none")
