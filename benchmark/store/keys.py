"""The keys of the store: the hash of what makes an artifact what it is."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.records.frozen import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Those that compute; the others change no number.
_LIBRARIES = ("numpy", "open_clip_torch", "scikit-learn", "scipy", "timm", "torch")
_METHODS = "taskmark.methods"


def artifact_key(identity: str, device: str) -> str:
    """The key of an artifact.

    Args:
        identity: of the stage that makes it, see `taskmark.engine.stage`.
        device: the kind of device, "cpu" or "cuda".

    Returns:
        SHA-256, hexadecimal.
    """
    return digest({"identity": identity, "device": device, "libraries": library_versions()})


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
def method_code_hash(files: tuple[Path, ...]) -> str:
    """Hash of what the files of a method do, with all of `taskmark.methods` that they import.

    Comments, layout and docstrings do not count.
    """
    return digest(sorted(_read(path)[0] for path in files_of(files)))


def files_of(files: Iterable[Path]) -> set[Path]:
    """Files of methods, and all of `taskmark.methods` that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _read(path)[1]
    return found


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Take the docstrings out of a syntax tree, which has no comments either."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[:] = body[1:] or [ast.Pass()]
    return tree


@functools.cache
def _read(path: Path) -> tuple[str, list[Path]]:
    """The hash of what one file does, and the files of methods that it imports."""
    tree = ast.parse(path.read_bytes())
    imported = [source_of(module) for module in _imported_methods(tree)]
    text = ast.dump(without_docstrings(tree))
    return hashlib.sha256(text.encode()).hexdigest(), imported


def _imported_methods(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if _is_of_methods(node.module):
                yield node.module
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if _is_of_methods(name) and _is_module(name))
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if _is_of_methods(a.name))


def _is_of_methods(module: str) -> bool:
    return module.startswith(f"{_METHODS}.")


@functools.cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
