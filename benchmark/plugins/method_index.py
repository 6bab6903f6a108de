"""What the sources of methods say of them, read off the syntax tree so that nothing is imported.

Importing all methods takes seconds, since they import torch. Names, facts and fields are literals
in their classes, which is all that a list, a suggestion of a name or a description needs.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from taskmark.errors import TaskmarkError, unknown
from taskmark.plugins.method_choice import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskmark.plugins.method_choice import MethodChoice

BUILT_IN_PACKAGE = "taskmark.methods"
ENTRY_POINT_GROUP = "taskmark.methods"

Origin = Literal["built-in", "package", "file"]

_METHOD = "Method"
_DEFAULTS: dict[str, Any] = {
    "paper": "",
    "track": "weights",
    "recipe": "standard",
    "role": "competitor",
    "scale_range": (0.0, 1.0),
    "n_tasks": (1, None),
}
"""The facts of a method that a description shows, as the base class has them."""


@dataclass(frozen=True, slots=True)
class IndexedField:
    """A hyper-parameter as its source spells it.

    Attributes:
        annotation: its type with its constraints.
        default: an expression; empty where a value must be given.
    """

    annotation: str
    default: str


@dataclass(frozen=True, slots=True)
class IndexedMethod:
    """A method as its source describes it.

    Attributes:
        name: how it is called.
        origin: where it comes from.
        source: the file that defines it.
        description: the docstring of its class.
        facts: paper, track, recipe, role, scale_range and n_tasks.
        fields: its hyper-parameters by name, in the order of the class.
    """

    name: str
    origin: Origin
    source: Path
    description: str
    facts: dict[str, Any]
    fields: dict[str, IndexedField]

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.description.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class MethodIndex:
    """Methods by name.

    Attributes:
        methods: those that could be read.
        is_whole: whether these are all. A plug-in may make classes that its source does not spell
            out, so that a name that is not among them may exist all the same.
    """

    methods: dict[str, IndexedMethod]
    is_whole: bool

    def check(self, choices: Iterable[MethodChoice]) -> None:
        """Check the names of methods and of their hyper-parameters, as far as sources tell them.

        Raises:
            TaskmarkError: if a method does not exist, or has no such hyper-parameter.
        """
        for choice in choices:
            if choice.is_group:
                continue
            method = self.methods.get(choice.name)
            if method is None:
                if self.is_whole:
                    raise unknown("method", choice.name, [*self.methods, *GROUPS])
                continue
            for field, _ in choice.hyperparameters if self.is_whole else ():
                if field not in method.fields:
                    what = f"hyper-parameter of {choice.name!r} called"
                    raise unknown(what, field, method.fields)


def index_methods(plugins: Sequence[Path] = ()) -> MethodIndex:
    """Index the built-in methods, those of installed packages, and those of plug-in files.

    Raises:
        TaskmarkError: if a plug-in file is not there or is no Python.
    """
    found = list(_built_in())
    is_whole = True
    for file, origin in [*_files_of_packages(), *((plugin, "file") for plugin in plugins)]:
        if file is None:
            is_whole = False
            continue
        module = _read(file)
        is_whole &= module.is_whole
        found += _methods_in(module, {}, origin)
    return MethodIndex({method.name: method for method in found}, is_whole)


@dataclass(frozen=True)
class _Module:
    """The classes of one file, and whether its statements show all that there are."""

    file: Path
    classes: dict[str, ast.ClassDef]
    is_whole: bool


def _built_in() -> Iterator[IndexedMethod]:
    """The methods of taskmark itself, in the order of their names."""
    folder = Path(str(_folder_of(BUILT_IN_PACKAGE)))
    modules = [_read(file) for file in sorted(folder.glob("*.py"))]
    everything = {name: own for module in modules for name, own in module.classes.items()}
    found = [one for module in modules for one in _methods_in(module, everything, "built-in")]
    yield from sorted(found, key=lambda method: method.name)


def _files_of_packages() -> Iterator[tuple[Path | None, Origin]]:
    """The files that entry points name; None for one that only an import would find."""
    for point in entry_points(group=ENTRY_POINT_GROUP):
        first, *rest = point.module.split(".")
        folder = _folder_of(first)
        file = folder.joinpath(*rest) if folder else None
        if not rest and folder is None:  # a package of one file
            spec = importlib.util.find_spec(first)
            file = Path(spec.origin) if spec and spec.origin else None
        elif file is not None:
            file = next(
                (
                    path
                    for path in (file.with_suffix(".py"), file / "__init__.py")
                    if path.is_file()
                ),
                None,
            )
        yield file, "package"


def _folder_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@functools.cache
def _parsed(file: Path, content: bytes) -> _Module:
    tree = ast.parse(content, file.name)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return _Module(file, classes, all(map(_is_plain, tree.body)))


def _read(file: Path) -> _Module:
    if not file.is_file():
        raise TaskmarkError(f"There is no plug-in file {str(file)!r}; give the path of a .py file.")
    try:
        return _parsed(file, file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise TaskmarkError(
            f"The plug-in {str(file)!r} cannot be imported "
            f"({type(error).__name__}: {error}); mend it and run again."
        ) from error


def _is_plain(node: ast.stmt) -> bool:
    """Whether a statement of a module can be seen to make no class that it does not spell out."""
    if isinstance(node, ast.ClassDef):
        return not node.decorator_list and not any(k.arg == "metaclass" for k in node.keywords)
    if isinstance(node, ast.Import | ast.FunctionDef):
        return True
    if isinstance(node, ast.ImportFrom):
        return all(alias.name != "*" for alias in node.names)
    if isinstance(node, ast.If):
        return all(map(_is_plain, (*node.body, *node.orelse)))
    if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign):
        return not any(isinstance(part, ast.Call) for part in ast.walk(node))
    return False


def _methods_in(
    module: _Module, others: dict[str, ast.ClassDef], origin: Origin
) -> Iterator[IndexedMethod]:
    known = {**others, **module.classes}
    for node in module.classes.values():
        family = _family(node, known)
        name = _literals(node).get("name")
        if not isinstance(name, str) or not _is_method(family, known):
            continue
        facts, fields = dict(_DEFAULTS), dict[str, IndexedField]()
        for one in reversed(family):
            facts |= {key: v for key, v in _facts(one, known).items() if key in _DEFAULTS}
            fields |= _fields(one)
        text = next((text for one in family if (text := ast.get_docstring(one))), "")
        yield IndexedMethod(name, origin, module.file, text, facts, fields)


def _family(node: ast.ClassDef, known: dict[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """A class and those that it inherits from, as far as they are known, nearest first."""
    found = [node]
    for base in node.bases:
        parent = known.get(_last_name(base))
        if parent is not None and parent is not node:
            found += [one for one in _family(parent, known) if one not in found]
    return found


def _is_method(family: list[ast.ClassDef], known: dict[str, ast.ClassDef]) -> bool:
    bases = {_last_name(base) for node in family for base in node.bases}
    return _METHOD in bases - known.keys()


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for line in node.body:
        if isinstance(line, ast.Assign):
            yield from ((_last_name(target), line.value) for target in line.targets)
        elif isinstance(line, ast.AnnAssign) and line.value and _is_class_variable(line):
            yield _last_name(line.target), line.value


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    found = {}
    for name, value in _assigned(node):
        try:
            found[name] = ast.literal_eval(value)
        except ValueError:  # an expression, which only an import would work out
            continue
    return found


def _facts(node: ast.ClassDef, known: dict[str, ast.ClassDef]) -> dict[str, Any]:
    """The class attributes of one class, those that name another's (`Ties.paper`) looked up."""
    found = _literals(node)
    for name, value in _assigned(node):
        if isinstance(value, ast.Attribute) and (other := known.get(_last_name(value.value))):
            found[name] = _literals(other).get(value.attr)
    return found


def _fields(node: ast.ClassDef) -> dict[str, IndexedField]:
    return {
        line.target.id: IndexedField(
            ast.unparse(line.annotation), ast.unparse(line.value) if line.value else ""
        )
        for line in node.body
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and not line.target.id.startswith("_")
        and not _is_class_variable(line)
    }


def _is_class_variable(line: ast.AnnAssign) -> bool:
    return "ClassVar" in ast.unparse(line.annotation)
