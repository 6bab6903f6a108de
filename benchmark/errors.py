"""The errors a user meets: one sentence that names the thing, the value and the cure."""

from __future__ import annotations

import difflib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError


class TaskmarkError(Exception):
    """Something the user can mend; its message is one sentence, shown without a traceback."""


class DataRefusedError(TaskmarkError):
    """A method asked for data that its track, or any track, does not allow."""


class DoesNotApplyError(TaskmarkError, AttributeError):
    """A method or a metric has no meaning for items of this kind; its row is skipped, not failed.

    Heads raise it for what linear heads alone have, hence it is an AttributeError too.
    """


class CorruptArtifactError(TaskmarkError):
    """An artifact's bytes are not what was written; it was set aside and can be made again.

    `artifact` is its "kind/key".
    """

    artifact = ""


class BudgetSpentError(TaskmarkError):
    """A method asked for more gradient images than the suite grants to every method."""


def sentence(error: BaseException, file: str | None = None) -> str:
    """Say in one line, and not too long a one, what went wrong.

    Args:
        error: what was raised.
        file: whose line is named that raised it, or that called what did; an error that a user
            can mend says itself what to do.
    """
    text = " ".join(str(error).split())[:500]
    if isinstance(error, TaskmarkError):
        return text
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == file]
    place = f", line {lines[-1]} of {Path(file).name}" if file and lines else ""
    return f"{type(error).__name__}: {text}{place}"


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where the first fault is of what does not follow its schema, and what is wrong there.

    Returns:
        The names of fields and the places in lists on the way there, joined by dots ("the top"
        where there are none), and what is wrong in words.
    """
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]) or "the top", first["msg"]


def unknown(kind: str, value: str, known: Iterable[str]) -> TaskmarkError:
    """Say that a name is unknown and suggest what was probably meant.

    Args:
        kind: what the name names, in the singular: "method", "suite" ...
        value: the name that was given.
        known: the names that exist.

    Returns:
        The error, to be raised by the caller.
    """
    names = sorted(known)
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}."
    return TaskmarkError(f"There is no {kind} {value!r}; {hint}")
