"""Lock files: which commits and hashes count, in TOML, one table a name."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated, TypeVar

import tomli_w
from pydantic import BaseModel, Field, ValidationError

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]

_COMMIT = re.compile(r"[0-9a-f]{40}")

Entry = TypeVar("Entry", bound=BaseModel)


def read(file: Path, kind: type[Entry], *, command: str) -> dict[str, Entry]:
    """What is locked, by name.

    Args:
        file: the lock file.
        kind: of its entries.
        command: that writes it anew.

    Raises:
        TaskmarkError: if there is no such file, or it is damaged.
    """
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        return {name: kind.model_validate(table) for name, table in tables.items()}
    except FileNotFoundError as error:
        raise TaskmarkError(
            f"There is no lock file {file}; see how its name is spelt, or write it with "
            f"`{command}`."
        ) from error
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        reason = "; ".join(str(error).splitlines()[:4])
        raise TaskmarkError(
            f"The lock file {file} cannot be used ({reason}); mend it, or remove it and write it "
            f"anew with `{command}`."
        ) from error


def require_commit(revision: str) -> None:
    """See that a revision is one commit for ever, which a branch or a short hash is not.

    Raises:
        TaskmarkError: if it is not a full hash.
    """
    if not _COMMIT.fullmatch(revision):
        raise TaskmarkError(
            f"The revision {revision!r} is not a full commit hash (40 hexadecimal digits, in lower "
            "case); copy it from the repository's list of commits, or leave --revision out for the "
            "newest."
        )


def write(locks: Mapping[str, BaseModel], file: Path, *, head: str, elsewhere: str) -> None:
    """Write a lock file; a reader finds the old one or the new one, never half of one.

    Args:
        locks: entries by name.
        file: the lock file.
        head: comment lines that it opens with.
        elsewhere: how another file is named.

    Raises:
        TaskmarkError: if it cannot be written.
    """
    tables = {
        name: locks[name].model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for name in sorted(locks)
    }
    content = (head + "\n" + tomli_w.dumps(tables)).encode()
    write_atomically(file, content, cure=f"name another {elsewhere}")
