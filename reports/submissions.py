"""Submissions: rows that somebody claims, with what came of running them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.plugins.submission import FILE, read_submission

if TYPE_CHECKING:
    from pathlib import Path

    from taskmark.plugins.submission import Submission
    from taskmark.records.record import Record


def read_submissions(folder: Path) -> list[tuple[Submission, list[Record]]]:
    """Read `SUITE-VERSION/METHOD/submission.json` with its records, for all that there are.

    Raises:
        TaskmarkError: if there is no such folder, or one of them is not valid, or not what its
            hashes say.
    """
    if not folder.is_dir():
        raise TaskmarkError(
            f"There is no folder of submissions {str(folder)!r}; give one that `taskmark submit` "
            "wrote to, or leave --submissions out."
        )
    return [read_submission(path.parent) for path in sorted(folder.glob(f"*/*/{FILE}"))]
