"""Accepting records: they become the baseline, and the changelog says why."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError
from taskmark.gate.baseline import baseline_of, write_baseline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskmark.gate.compare import RunComparison
    from taskmark.records.record import Record

_WIDTH = 110


def accept(
    path: Path,
    records: Sequence[Record],
    *,
    reason: str,
    changelog: Path,
    comparison: RunComparison | None,
) -> str:
    """Make records the baseline at `path`, and put the reason into the changelog.

    Args:
        path: of the baseline, which may be there or not.
        records: all that it shall hold.
        reason: why the accuracies may be others than before.
        changelog: a Markdown file with a section a version, the newest first.
        comparison: with the baseline that was there, if one was.

    Returns:
        The entry of the changelog.

    Raises:
        TaskmarkError: if there is no reason, no changelog with a section, a record is not fit, or
            the path has not the name of the suite.
    """
    reason = " ".join(reason.split()).rstrip(".")
    if not reason:
        raise TaskmarkError(
            "A baseline is not rewritten without a reason; say in a few words why the accuracies "
            'moved, as in --accept "TIES keeps ties at the threshold".'
        )
    for suite in {f"{record.suite.name}-{record.suite.edition}" for record in records}:
        if path.name != f"{suite}.json":
            raise TaskmarkError(
                f"A baseline has the name of its suite, so {str(path)!r} cannot be that of these "
                f"records; name the file {f'{suite}.json'!r}."
            )
    baseline, bits = baseline_of(records)
    before = _text(changelog)
    suite = f"{baseline.suite.name} {baseline.suite.edition}"
    entry = f"- Baseline of {suite}: {reason} ({_what(comparison, len(baseline.rows))})."
    after = with_entry(before, entry, changelog)
    write_baseline(path, baseline, bits)
    write_atomically(changelog, after.encode())
    return entry


def with_entry(text: str, entry: str, changelog: Path) -> str:
    """The text of a changelog with an entry at the end of its first section.

    Raises:
        TaskmarkError: if it has no section.
    """
    lines = text.splitlines()
    sections = [place for place, line in enumerate(lines) if line.startswith("## ")]
    if not sections:
        raise TaskmarkError(
            f"The changelog {str(changelog)!r} has no section for the entry; "
            'add a line such as "## Unreleased".'
        )
    end = sections[1] if len(sections) > 1 else len(lines)
    while not lines[end - 1].strip():
        end -= 1
    opened = [""] if end == sections[0] + 1 else []
    wrapped = textwrap.wrap(entry, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join([*lines[:end], *opened, *wrapped, *lines[end:]]) + "\n"


def _what(comparison: RunComparison | None, n_rows: int) -> str:
    if comparison is None:
        return f"{n_rows} rows, the first"
    new = len({*comparison.new, *comparison.unguarded})
    n_changed, n_gone = len(comparison.changed_tasks), len(comparison.missing)
    return f"{n_changed} accuracies moved, {new} rows new, {n_gone} gone"


def _text(changelog: Path) -> str:
    try:
        return changelog.read_text("utf-8")
    except OSError as error:
        raise TaskmarkError(
            f"The changelog {str(changelog)!r} cannot be read ({error.strerror}); "
            "name it by --changelog, or run in its folder."
        ) from error
