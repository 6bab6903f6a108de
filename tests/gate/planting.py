"""Faults to plant into methods: the table of them, whom they concern, and which go together."""

from __future__ import annotations

import ast
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[2]
KINDS = ("sign", "threshold", "dropped")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault: the text of a file of methods that is replaced, and by what."""

    file: str
    kind: str
    old: str
    new: str

    def planted(self, text: str) -> str:
        """The text of the file with the fault."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times {self.old!r}")
        return text.replace(self.old, self.new)


def mutations() -> list[Mutation]:
    """The table, in its order."""
    table = tomllib.loads(Path(__file__).with_name("mutations.toml").read_text("utf-8"))
    return [Mutation(file, **values) for file, entries in table.items() for values in entries]


def cell(mutation: Mutation) -> str:
    """A fault as it stands in a cell of a table."""
    old, new = (
        json.dumps(text)[1:-1].replace('\\"', '"').replace("|", "\\|")
        for text in (mutation.old, mutation.new)
    )
    return f"{mutation.kind}: `{old}` -> `{new}`"


def methods_of() -> dict[str, set[str]]:
    """The names of the methods that each file of methods has a part in, by its path."""
    stems = {path.stem: path for path in sorted((ROOT / "methods").glob("[!_]*.py"))}
    imports = {stem: _imports(path) & set(stems) for stem, path in stems.items()}
    names = {stem: _method_names(path) for stem, path in stems.items()}
    parts: dict[str, set[str]] = {f"methods/{stem}.py": set() for stem in stems}
    for stem, own in names.items():
        waiting, seen = [stem], {stem}
        while waiting:
            found = imports[waiting.pop()] - seen
            seen |= found
            waiting += found
        for part in seen:
            parts[f"methods/{part}.py"] |= own
    return parts


def rounds(chosen: Iterable[Mutation], concerned: Mapping[str, set[str]]) -> list[list[Mutation]]:
    """Put faults into as few rounds as a greedy search finds, so that no method has two in one."""
    groups: list[tuple[list[Mutation], set[str]]] = []
    for mutation in sorted(chosen, key=lambda m: -len(concerned[m.file])):
        own = concerned[mutation.file]
        for group, taken in groups:
            if not own & taken:
                group.append(mutation)
                taken.update(own)
                break
        else:
            groups.append(([mutation], set(own)))
    return [group for group, _ in groups]


def _imports(path: Path) -> set[str]:
    prefix = "taskmark.methods."
    return {
        node.module.removeprefix(prefix)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix)
    }


def _method_names(path: Path) -> set[str]:
    """The values of `name` in the bodies of classes, which is what methods are called by."""
    return {
        str(ast.literal_eval(line.value))
        for node in ast.parse(path.read_text("utf-8")).body
        for line in (node.body if isinstance(node, ast.ClassDef) else ())
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "name"
    }
