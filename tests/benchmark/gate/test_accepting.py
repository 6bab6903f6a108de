"""Accepting: the baseline is rewritten, and the changelog says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_records import made_up_record

from taskmark.errors import TaskmarkError
from taskmark.gate.accepting import accept, with_entry
from taskmark.gate.baseline import read_baseline

CHANGELOG = """# Changelog

## 0.2.0 (unreleased)

- One thing.

## 0.1.0

- Another.
"""


@pytest.fixture
def changelog(tmp_path):
    path = tmp_path / "CHANGELOG.md"
    path.write_text(CHANGELOG, "utf-8")
    return path


def test_the_baseline_is_there_and_the_reason_in_the_newest_section(tmp_path, changelog):
    path = tmp_path / "gate" / "mini-1.0.json"
    record = made_up_record()
    entry = accept(
        path, [record], reason=" Ties\n are kept. ", changelog=changelog, comparison=None
    )
    assert entry == "- Baseline of mini 1.0: Ties are kept (1 rows, the first)."
    assert len(read_baseline(path).rows) == 1
    lines = changelog.read_text("utf-8").splitlines()
    assert lines[lines.index("- One thing.") + 1] == entry
    assert [line for line in lines if line != entry] == CHANGELOG.splitlines()


@pytest.mark.parametrize("reason", ["", "  \n ", "."])
def test_without_a_reason_nothing_is_written(tmp_path, changelog, reason):
    path = tmp_path / "mini-1.0.json"
    with pytest.raises(TaskmarkError, match="without a reason"):
        accept(path, [made_up_record()], reason=reason, changelog=changelog, comparison=None)
    assert not path.exists()
    assert changelog.read_text("utf-8") == CHANGELOG


def test_a_baseline_has_the_name_of_its_suite(tmp_path, changelog):
    path = tmp_path / "gate-1.0.json"
    with pytest.raises(TaskmarkError, match=r"name the file 'mini-1\.0\.json'"):
        accept(path, [made_up_record()], reason="New.", changelog=changelog, comparison=None)
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("# Changelog\n", "has no section")]
)
def test_without_a_changelog_nothing_is_written(tmp_path, content, words):
    path, changelog = tmp_path / "mini-1.0.json", tmp_path / "CHANGELOG.md"
    if content is not None:
        changelog.write_text(content, "utf-8")
    with pytest.raises(TaskmarkError, match=words):
        accept(path, [made_up_record()], reason="New.", changelog=changelog, comparison=None)
    assert not path.exists()


def test_an_empty_section_gets_its_first_entry():
    text = with_entry("# C\n\n## 2\n\n## 1\n\n- Old.\n", "- New.", Path("C.md"))
    assert text == "# C\n\n## 2\n\n- New.\n\n## 1\n\n- Old.\n"


@given(st.lists(st.sampled_from(["fix", "ties", "a-long-word-that-breaks-nowhere"]), min_size=1))
def test_a_long_entry_is_wrapped_and_loses_no_word(words):
    text = with_entry(CHANGELOG, f"- {' '.join(words)}", Path("C.md"))
    assert max(map(len, text.splitlines())) <= 110
    assert text.split() == [
        *CHANGELOG.partition("\n## 0.1.0")[0].split(),
        "-",
        *words,
        "##",
        "0.1.0",
        "-",
        "Another.",
    ]
