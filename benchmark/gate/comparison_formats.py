"""A comparison for people and machines: a table, Markdown, JUnit XML, JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskmark.gate.compare import Ground, RunComparison, TaskChange
    from taskmark.records.identity import RowIdentity

_GROUNDS: dict[Ground, str] = {"epsilon": "beyond epsilon", "chance": "beyond chance"}
_HEAD = ("row", "task", "before", "after", "lost", "gained", "p (Holm)", "verdict")


def sentences(comparison: RunComparison) -> list[str]:
    """What is tolerated, rows that are not on both sides or not ok, and the sum of it all."""
    names = _names(comparison)
    lines = [
        f"{suite} tolerates {100 * gate.epsilon:g} points of accuracy and {gate.flips} flipped "
        "images, of one row on one task."
        for suite, gate in sorted(comparison.tolerances.items())
    ]
    lines += [f"missing: {names[key]}" for key in comparison.missing]
    lines += [f"not ok any more: {names[key]}: {why}" for key, why in comparison.broken.items()]
    lines += [f"not ok: {names[key]}: {reason}" for key, reason in comparison.failed.items()]
    lines += [f"new: {names[key]}" for key in comparison.new]
    if comparison.unguarded:
        lines.append(
            f"{len(comparison.unguarded)} rows of built-in methods are not in the baseline; "
            "put them there by --accept."
        )
    lines.append(
        f"{len(comparison.changes)} accuracies compared: {_counts(comparison)}; "
        f"{len(comparison.missing)} rows missing, {len(comparison.broken)} broken, "
        f"{len(comparison.new)} new."
    )
    return lines


def table(comparison: RunComparison) -> Table | None:
    """All accuracies of which an image flipped, for the terminal; None where there are none."""
    rows = list(_flipped(comparison))
    if not rows:
        return None
    drawn = Table(*_HEAD)
    for row in rows:
        drawn.add_row(*row)
    return drawn


def markdown(comparison: RunComparison) -> str:
    """A summary for a pull request."""
    outcome = "passed" if comparison.passed else "failed"
    lines = [f"### Accuracy gate: {outcome}", ""]
    if rows := list(_flipped(comparison)):
        lines += [*markdown_table(_HEAD, rows), ""]
    lines += [f"- {sentence}" for sentence in sentences(comparison)]
    return "\n".join(lines) + "\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    ruled = (head, ("---",) * len(head), *rows)
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in ruled]


def junit(comparison: RunComparison) -> str:
    """JUnit XML: a test case for each row and task compared, and one for each row that is not."""
    names = _names(comparison)
    suite = ET.Element("testsuite", name="taskmark compare")
    for change in comparison.changes:
        message = f"{_words(change)}: {change.before} of {change.n} -> {change.after}"
        moved = change.verdict == "moved"
        _case(suite, change.row, names, change.task, message if moved else "")
    for key in comparison.missing:
        _case(suite, key, names, "the row", "missing")
    for key, reason in comparison.broken.items():
        _case(suite, key, names, "the row", f"not ok any more: {reason}")
    for key in comparison.unguarded:
        _case(suite, key, names, "the row", "not in the baseline")
    failures = len(suite.findall("testcase/failure"))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def as_json(comparison: RunComparison) -> str:
    """Everything, for machines."""
    values = {
        "passed": comparison.passed,
        "tolerances": {n: gate.model_dump() for n, gate in comparison.tolerances.items()},
        "changes": [
            {
                **_identity(change.row),
                "task": change.task,
                "n": change.n,
                "before": change.before,
                "after": change.after,
                "lost": change.lost,
                "gained": change.gained,
                "p_value": change.p_value,
                "verdict": change.verdict,
                "grounds": list(change.grounds),
            }
            for change in comparison.changes
        ],
        "missing": [_identity(key) for key in comparison.missing],
        "broken": [{**_identity(key), "reason": r} for key, r in comparison.broken.items()],
        "failed": [{**_identity(key), "reason": r} for key, r in comparison.failed.items()],
        "new": [_identity(key) for key in comparison.new],
        "unguarded": [_identity(key) for key in comparison.unguarded],
    }
    return json.dumps(values, indent=1) + "\n"


def _identity(key: RowIdentity) -> dict[str, object]:
    return {**key._asdict(), "hyperparameters": json.loads(key.hyperparameters)}


def _flipped(comparison: RunComparison) -> Iterator[tuple[str, ...]]:
    names = _names(comparison)
    for change in comparison.changes:
        if change.lost or change.gained:
            yield (
                names[change.row],
                change.task,
                f"{change.before / change.n:.4f}",
                f"{change.after / change.n:.4f}",
                str(change.lost),
                str(change.gained),
                f"{change.p_value:.2g}",
                _words(change),
            )


def _words(change: TaskChange) -> str:
    if change.verdict != "moved":
        return change.verdict
    return f"moved {' and '.join(_GROUNDS[ground] for ground in change.grounds)}"


def _counts(comparison: RunComparison) -> str:
    verdicts: list[str] = [change.verdict for change in comparison.changes]
    kinds = ("moved", "within", "absorbed", "same")
    return ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)


def name_rows(keys: Iterable[RowIdentity]) -> dict[RowIdentity, str]:
    """Name rows in few words: backbone, recipe, method, and what else tells those apart."""
    groups: dict[tuple[str, ...], list[RowIdentity]] = {}
    for key in dict.fromkeys(keys):
        groups.setdefault((key.backbone, key.recipe, key.method), []).append(key)
    names: dict[RowIdentity, str] = {}
    for words, group in groups.items():
        differing = [
            part
            for part in ("suite", "hyperparameters", "expert_seed", "method_seed")
            if len({getattr(key, part) for key in group}) > 1
        ]
        for key in group:
            more = [f"{part.replace('_', ' ')} {getattr(key, part)}" for part in differing]
            names[key] = " ".join(words) + (f" ({', '.join(more)})" if more else "")
    return names


def _names(comparison: RunComparison) -> dict[RowIdentity, str]:
    return name_rows(
        [
            *(change.row for change in comparison.changes),
            *comparison.missing,
            *comparison.broken,
            *comparison.failed,
            *comparison.new,
            *comparison.unguarded,
        ]
    )


def _case(
    suite: ET.Element, key: RowIdentity, names: dict[RowIdentity, str], part: str, failure: str
) -> None:
    case = ET.SubElement(suite, "testcase", classname=key.suite, name=f"{names[key]}: {part}")
    if failure:
        ET.SubElement(case, "failure", message=failure)
