"""What a stage computes, as hashes of the modules that it stands on.

`python tests/benchmark/stages/stage_sources.py --accept "why"` writes down the hashes as they are,
where a change of the code changed nothing that is computed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import sys
from pathlib import Path

import taskmark
from taskmark.engine.plan import record_stages
from taskmark.engine.stage import Stage
from taskmark.store.keys import source_of, without_docstrings
from taskmark.suite.provider import provider_version

FILE = Path(__file__).with_name("stage_sources.json")
PROVIDERS = ("taskmark.suites.mini.provider", "taskmark.suites.real.provider")
# What a stage imports and what changes no number of its artifact: messages, progress, planning,
# the store's bookkeeping, what records say of machine and code, and what stands in the key itself.
NOT_COMPUTING = (
    "taskmark.engine",
    "taskmark.errors",
    "taskmark.atomic_files",
    "taskmark.machine",
    "taskmark.plugins",
    "taskmark.records",
    "taskmark.store",
    "taskmark.suite",
)


class _WithoutMessages(ast.NodeTransformer):
    """Empties the texts of errors, logs, notes and labels, which compute nothing."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return self._emptied(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = ast.unparse(node.func)
        if called.endswith("Error") or called.startswith("_log.") or called == "note":
            return self._emptied(node)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name in {"label", "cost"}:
            node.body = [ast.Pass()]
            return node
        return self.generic_visit(node)

    def _emptied(self, node: ast.AST) -> ast.AST:
        for child in ast.walk(node):
            if isinstance(child, ast.JoinedStr):
                child.values = []
            elif isinstance(child, ast.Constant) and isinstance(child.value, str):
                child.value = ""
        return node


def stage_classes() -> list[type[Stage]]:
    """Every stage of the harness, by name."""
    record_stages()  # imports all of their modules
    found, waiting = set(), [Stage]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("taskmark.stages") and hasattr(kind, "version"):
            found.add(kind)
    return sorted(found, key=lambda kind: kind.__qualname__)


@functools.cache
def module_hash(path: Path) -> str:
    """Hash of what a module computes: no comments, docstrings, messages or labels."""
    tree = _WithoutMessages().visit(without_docstrings(ast.parse(path.read_bytes())))
    imports = (ast.Import, ast.ImportFrom)
    tree.body = [node for node in tree.body if not isinstance(node, imports)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def modules_of(start: str) -> set[str]:
    """A module and all of taskmark that it imports and that computes."""
    found, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module in found or any(
            module == name or module.startswith(f"{name}.") for name in NOT_COMPUTING
        ):
            continue
        found.add(module)
        waiting += _imported_by(module)
    return found


@functools.cache
def _imported_by(module: str) -> list[str]:
    """What a module imports of taskmark."""
    imported = []
    for node in _at_runtime(ast.parse(source_of(module).read_bytes())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("taskmark"):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            imported += [node.module, *(name for name in names if _is_module(name))]
    return imported


def _at_runtime(tree: ast.Module) -> list[ast.AST]:
    """All nodes but those that only type checkers see."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        found.append(node)
        waiting += ast.iter_child_nodes(node)
    return found


def current() -> dict[str, dict[str, object]]:
    """The hash of each module, and each stage and provider with its version and modules."""
    modules, stages = {}, {}
    starts = {kind.__qualname__: (kind.__module__, kind.version) for kind in stage_classes()}
    for provider in PROVIDERS:
        starts[provider] = provider, provider_version(provider)
    for name, (start, version) in starts.items():
        own = sorted(modules_of(start))
        modules |= {module: module_hash(source_of(module)) for module in own}
        stages[name] = {"version": version, "modules": own}
    return {"stages": stages, "modules": dict(sorted(modules.items()))}


def differences(kept: dict[str, dict[str, object]]) -> list[str]:
    """A sentence for every stage whose code changed while its version did not, or the reverse."""
    now, told = current(), []
    for name, own in now["stages"].items():
        before = kept["stages"].get(name, {"version": None, "modules": []})
        changed = sorted(
            module
            for module in {*own["modules"], *before["modules"]}
            if now["modules"].get(module) != kept["modules"].get(module)
            or (module in own["modules"]) != (module in before["modules"])
        )
        if changed or own["version"] != before["version"]:
            versions = f"{before['version']} -> {own['version']}"
            told.append(f"{name} (version {versions}): {', '.join(changed)}")
    return told + [f"{name} is gone" for name in kept["stages"] if name not in now["stages"]]


def _is_module(name: str) -> bool:
    root = Path(taskmark.__file__).parent
    part = name.removeprefix("taskmark.").replace(".", "/")
    roots = [root, root.parent]
    return any((base / f"{part}.py").is_file() or (base / part).is_dir() for base in roots)


def accept(reason: str) -> None:
    """Write down the hashes as they are, with the reason."""
    reasons = json.loads(FILE.read_text("utf-8"))["reasons"] if FILE.is_file() else []
    kept = {"reasons": [*reasons, reason][-20:], **current()}
    FILE.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--accept":
        sys.exit('usage: python tests/benchmark/stages/stage_sources.py --accept "why"')
    accept(sys.argv[2])
