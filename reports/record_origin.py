"""Where a record came from, and the command that makes it again."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.records.envelope import Provenance
    from taskmark.records.record import Record


_ACCEPTED = re.compile(r"Experts accepted \((.*?)\) although: ", re.DOTALL)


def command(record: Record) -> str:
    """Return the command that reproduces a record.

    The variant of its suite says which options a run had; all rows of a paper are run together.
    """
    suite, variant = record.suite, record.suite.variant
    words = ["taskmark", "reproduce", variant.paper] if variant.paper else ["taskmark", "run"]
    words += ["--suite", f"{suite.name}@{suite.version}"]
    for task in variant.tasks:
        words += ["--task", task]
    words += ["--racing"] if variant.racing else []
    words += ["--experts", "FOLDER"] if variant.experts else []
    for note in record.provenance.notes:
        if accepted := _ACCEPTED.match(note):
            words += ["--accept-experts", accepted[1]]
    words += ["--backbone", record.backbone]
    if not variant.paper:
        words += ["--recipe", record.recipe]
        # Reference rows come with any method.
        is_reference = record.method.role == "reference"
        words += ["--method", "task_arithmetic" if is_reference else _choice(record)]
    words += ["--seed", str(record.seeds.method)]  # the experts' as well, where they are tuned
    if record.method.origin == "file":
        words += ["--plugin", "FILE"]
    return shlex.join(words)


def _choice(record: Record) -> str:
    """Name of the method with its hyper-parameters, as the command line reads it."""
    fields = {name: str(value) for name, value in record.method.hyperparameters.items()}
    if not fields or any(set(text) & set(",[]") or not text for text in fields.values()):
        return record.method.name
    return f"{record.method.name}[{','.join(f'{name}={text}' for name, text in fields.items())}]"


def environment(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    """Return what many records share: machine, interpreter and libraries, as (name, value)."""
    return (
        ("device", provenance.device),
        ("dtype", provenance.dtype),
        ("batch", str(provenance.batch_size)),
        ("platform", provenance.platform),
        ("python", provenance.python),
        *sorted(provenance.libraries.items()),
    )


def environments(records: Iterable[Record]) -> list[tuple[tuple[str, str], ...]]:
    """Return the distinct environments of some records, in a fixed order."""
    return sorted({environment(record.provenance) for record in records})


def code(record: Record) -> str:
    """Commit of the code, and of the method where it is a plug-in, in words."""
    parts = [_commit("", record.provenance.commit, record.provenance.dirty)]
    if record.method.origin != "built-in":
        parts.append(_commit("method ", record.method.commit, record.method.dirty))
    return "; ".join(parts)


def _commit(what: str, commit: str | None, dirty: bool | None) -> str:  # noqa: FBT001
    if commit is None:
        return f"{what}commit unknown"
    return f"{what}{commit[:12]}{', with uncommitted changes' if dirty else ''}"
