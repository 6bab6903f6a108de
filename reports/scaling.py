"""How scores change with the number of tasks: the boards of one backbone, fewest tasks first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row


@dataclass(frozen=True, slots=True)
class Ladder:
    """Boards of one backbone whose tasks contain each other, fewest tasks first.

    `rows` are those that have a score on two boards at least: key -> number of tasks -> row.
    """

    boards: tuple[Board, ...]
    rows: dict[str, dict[int, Row]]


_ALIKE = ("backbone", "heads", "family")


def ladder(board: Board, others: Iterable[Board]) -> Ladder | None:
    """Find the boards whose tasks are some of those of a board.

    A step is a board of the same backbone, kind of heads and family of experts whose tasks are
    among those of the step above. Of several boards with the same number of tasks the first counts,
    and none that has as many tasks as the board itself: that is another suite, not fewer tasks.

    Args:
        board: the top of the ladder.
        others: boards of any suite.

    Returns:
        The ladder, None if it has one step alone.
    """
    steps = [board]
    for other in sorted(others, key=lambda b: (-len(b.tasks), b.suite.name, b.suite.edition)):
        if not other.tasks or not set(other.tasks) < set(steps[-1].tasks):
            continue
        if all(getattr(other, name) == getattr(board, name) for name in _ALIKE):
            steps.append(other)
    if len(steps) == 1:
        return None
    steps.reverse()
    found: dict[str, dict[int, Row]] = {}
    for step in steps:
        for row in step.measured:
            found.setdefault(row.key, {})[len(step.tasks)] = row
    several = {key: of_row for key, of_row in found.items() if len(of_row) > 1}
    return Ladder(tuple(steps), dict(sorted(several.items())))
