"""TOML files that a user writes: what is wrong with one, in a sentence."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from taskmark.errors import TaskmarkError, first_fault

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def faults_in_sentences(what: str, *, hint: str = "") -> Iterator[None]:
    """Say in one sentence what is wrong with a file that is read and checked within the block.

    Args:
        what: the file, as the subject of the sentence.
        hint: what goes on after a fault of its content, such as what there may be.

    Raises:
        TaskmarkError: if the file cannot be read, is not TOML, or does not follow its schema.
    """
    try:
        yield
    except OSError as error:
        raise TaskmarkError(
            f"{what} cannot be read ({error.strerror}); make it readable."
        ) from error
    except ValidationError as error:
        place, reason = first_fault(error)
        raise TaskmarkError(f"{what} is not valid at {place!r}: {reason}{hint}.") from error
    except (ValueError, TypeError, RecursionError) as error:  # of which TOMLDecodeError is one
        raise TaskmarkError(f"{what} is not valid TOML ({error}); mend it there.") from error
