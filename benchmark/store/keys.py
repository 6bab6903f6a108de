"""The keys of the store: the hash of everything that makes an artifact what it is."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskmark.errors import TaskmarkError
from taskmark.records.frozen import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LIBRARIES = ("numpy", "open_clip_torch", "safetensors", "scikit-learn", "scipy", "timm", "torch")
_OURS = "taskmark"


def artifact_key(*, code: Iterable[Path], inputs: dict[str, Any], device: str) -> str:
    """The key of an artifact.

    Args:
        code: the files whose code makes it; what they import of taskmark counts with them.
        inputs: settings, seeds, and the keys of what it is made from, as JSON values.
        device: the kind of device; results differ in the last bits between kinds.

    Returns:
        SHA-256, hexadecimal.
    """
    return digest(
        {
            "code": code_hash(tuple(sorted(code))),
            "inputs": inputs,
            "device": device,
            "libraries": library_versions(),
        }
    )


@functools.cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute."""
    return {name: version(name) for name in _LIBRARIES}


def source_of(module: str) -> Path:
    """The file of a module, found without importing it.

    Raises:
        TaskmarkError: if there is no such module or it has no source.
    """
    if not _is_module(module) or (spec := importlib.util.find_spec(module)) is None:
        raise TaskmarkError(f"There is no module {module!r}; install the package that has it.")
    if spec.origin is None:
        raise TaskmarkError(f"The module {module!r} has no source; give one that is a file.")
    return Path(spec.origin)


@functools.cache
def code_hash(files: tuple[Path, ...]) -> str:
    """Hash of what files do, with all of taskmark that they import, directly or not.

    Comments, layout and docstrings do not count.
    """
    return digest(sorted(_read(path)[0] for path in files_of(files)))


def files_of(files: Iterable[Path]) -> set[Path]:
    """Files, and all of taskmark that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _read(path)[1]
    return found


@functools.cache
def _read(path: Path) -> tuple[str, list[Path]]:
    """The hash of what one file does, and the files of taskmark that it imports."""
    tree = ast.parse(path.read_bytes())
    imported = [source_of(module) for module in _own_imports(tree)]
    return _tree_hash(tree), imported


def _own_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.split(".")[0] == _OURS:
                yield node.module
                yield from (
                    module
                    for alias in node.names
                    if _is_module(module := f"{node.module}.{alias.name}")
                )
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == _OURS)


@functools.cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _tree_hash(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[:] = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
