"""From a class of a notebook or a script to a plug-in file: its source, and what it imports."""

from __future__ import annotations
import __future__

import ast
import builtins
import inspect
import linecache
import symtable
import sys
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAIN = "__main__"
_FUTURE = "from __future__ import annotations"


def find_plugin(cls: type, folder: Path) -> Path:
    """The file that a run can take a class from.

    Args:
        cls: of a method.
        folder: where the source of a class is saved that no module has which can be imported.

    Returns:
        The file of its module; for a class of a notebook, or of the script that runs, a file with
        its source and the imports that it needs.

    Raises:
        TaskmarkError: if its source is not known, or uses what only the notebook has.
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__ != _MAIN and file and vars(module).get(cls.__name__) is cls:
        return Path(file).resolve()
    path = folder / f"{getattr(cls, 'name', cls.__name__)}.py"
    text = read_source(cls)
    if not path.is_file() or path.read_text("utf-8") != text:
        write_atomically(path, text.encode())
    return path.resolve()


def read_source(cls: type) -> str:
    """The source of a class, as a module that can be imported by itself.

    Raises:
        TaskmarkError: if its source is not known, or uses what only the notebook has.
    """
    functions = [*_functions(cls)]
    source = _class_source(cls, functions)
    is_future = any(f.__code__.co_flags & __future__.annotations.compiler_flag for f in functions)
    namespace = functions[0].__globals__ if functions else vars(sys.modules[cls.__module__])
    needed = _free_names(f"{_FUTURE}\n{source}" if is_future else source)
    imports, missing = set(), []
    for name in sorted(needed - {cls.__name__}):
        line = _import_of(name, namespace)
        if line is not None:
            imports.add(line)
        elif name not in vars(builtins):
            missing.append(name)
    if missing:
        raise TaskmarkError(
            f"The class {cls.__name__} uses {', '.join(missing)} of the notebook or script, which "
            "the process that runs it does not have; move what it needs into the class, or put all "
            "of it into a file and give that as a plug-in."
        )
    summary = (inspect.getdoc(cls) or cls.__name__).partition("\n")[0]
    head = [f'"""{summary}"""', *([_FUTURE] if is_future else []), *sorted(imports)]
    return "\n\n".join((head[0], "\n".join(head[1:]), f"\n{source}"))


def _functions(cls: type) -> Iterator[FunctionType]:
    """The functions that the class itself defines, without what wraps them."""
    for value in vars(cls).values():
        inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        function = inspect.unwrap(inner) if callable(inner) else None
        if isinstance(function, FunctionType) and function.__module__ == cls.__module__:
            yield function


def _class_source(cls: type, functions: list[FunctionType]) -> str:
    """The lines of a class, from the file or the cell that its functions were compiled in."""
    places = [function.__code__.co_filename for function in functions]
    for name in dict.fromkeys(places or reversed([*linecache.cache])):  # the newest cell first
        lines = "".join(linecache.getlines(name))
        for node in ast.walk(ast.parse(lines)) if lines else ():
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__ and _holds(node, cls):
                first = min([node.lineno, *(line.lineno for line in node.decorator_list)])
                kept = lines.splitlines()[first - 1 : node.end_lineno]
                return textwrap.dedent("\n".join(kept)) + "\n"
    raise TaskmarkError(
        f"The source of the class {cls.__name__} is not known here; write it into a file, and give "
        "that as a plug-in."
    )


def _holds(node: ast.ClassDef, cls: type) -> bool:
    """Whether a class in a source is the one, by the lines of its functions."""
    codes = [function.__code__ for function in _functions(cls)]
    return all(node.lineno <= code.co_firstlineno <= (node.end_lineno or 0) for code in codes)


def _free_names(source: str) -> set[str]:
    """The names that a source takes from outside of it."""
    found: set[str] = set()
    tables = [symtable.symtable(source, "<class>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        is_module = table.get_type() == "module"
        found |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced()
            and (not symbol.is_assigned() if is_module else symbol.is_global())
            and not symbol.is_imported()
        }
    return found


def _import_of(name: str, namespace: dict[str, Any]) -> str | None:
    """The line that imports what a name stands for; None where no import gives it."""
    if name not in namespace:
        return None
    value = namespace[name]
    if isinstance(value, ModuleType):
        whole = value.__name__
        return f"import {whole}" if whole == name else f"import {whole} as {name}"
    home, own = (getattr(value, key, None) for key in ("__module__", "__qualname__"))
    if home and own and home != _MAIN and getattr(sys.modules.get(home), own, None) is value:
        return f"from {home} import {own}" + ("" if own == name else f" as {name}")
    return _found_in_a_package(name, value)


def _found_in_a_package(name: str, value: object) -> str | None:
    """The import of a value that does not say where it is from, such as `typing.Union[...]`."""
    if getattr(value, "__module__", None) == _MAIN:
        return None
    if isinstance(value, bool | int | float | complex | str | bytes | tuple | list | dict | set):
        return None
    for home, module in sorted(sys.modules.items()):
        if home != _MAIN and isinstance(module, ModuleType) and vars(module).get(name) is value:
            return f"from {home} import {name}"
    return None
