"""Finding methods: built-ins by folder scan, packages by entry point, files by path."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic import ValidationError

from taskmark.contract.method import Method
from taskmark.contract.recipe import RECIPES
from taskmark.errors import TaskmarkError, sentence, unknown
from taskmark.inference.scale_search import is_interval
from taskmark.plugins.hyperparameters import hyperparameters_of
from taskmark.plugins.method_choice import GROUPS
from taskmark.plugins.method_index import BUILT_IN_PACKAGE, ENTRY_POINT_GROUP, Origin
from taskmark.records.envelope import Role, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskmark.records.catalogue import HyperParameter

_CHOICES = {"track": get_args(Track), "role": get_args(Role), "recipe": tuple(RECIPES)}


@dataclass(frozen=True, slots=True)
class Found:
    """A method class and where it was found.

    `distribution` is the package that offers it. `files`, those whose code makes its results, and
    `fields` are given where the class is only a stand-in, which cannot be asked.
    """

    method: type[Method]
    origin: Origin
    source: Path
    distribution: str | None = None
    files: tuple[Path, ...] | None = None
    fields: tuple[HyperParameter, ...] | None = None

    def source_sha256(self) -> str:
        """Hash of the file that defines the class."""
        return hashlib.sha256(self.source.read_bytes()).hexdigest()

    def hyperparameters(self) -> tuple[HyperParameter, ...]:
        """The fields of the class, with what they may be and their defaults."""
        return hyperparameters_of(self.method) if self.fields is None else self.fields

    def code(self) -> list[Path]:
        """The files whose code makes its results: its own, or all those of its package."""
        if self.files is not None:
            return list(self.files)
        root = sys.modules[self.method.__module__.partition(".")[0]]
        if self.origin != "package" or not hasattr(root, "__path__"):
            return [self.source]
        return sorted(file for folder in root.__path__ for file in Path(folder).rglob("*.py"))


def find(plugins: Iterable[Path] = ()) -> dict[str, Found]:
    """Find all methods, by name.

    Args:
        plugins: Python files, each with one or more subclasses of Method.

    Raises:
        TaskmarkError: if a plug-in cannot be imported or holds no method, or if two methods have
            one name.
    """
    return by_name([*built_in(), *from_packages(), *(m for p in plugins for m in from_file(p))])


def by_name(found_methods: Iterable[Found]) -> dict[str, Found]:
    """Methods by name.

    Raises:
        TaskmarkError: if two have one name.
    """
    methods: dict[str, Found] = {}
    for found in found_methods:
        name = found.method.name
        if name in methods and methods[name].method is not found.method:
            raise TaskmarkError(
                f"Two methods are called {name!r}, in {methods[name].source} and {found.source}; "
                "rename one of them."
            )
        methods[name] = found
    return methods


def names() -> tuple[str, ...]:
    """The names of all built-in and installed methods."""
    return tuple(sorted(find()))


def get(name: str) -> type[Method]:
    """Look a built-in or installed method up.

    Raises:
        TaskmarkError: if there is none of that name.
    """
    methods = find()
    if name not in methods:
        raise unknown("method", name, methods)
    return methods[name].method


def build(method: type[Method], hyperparameters: dict[str, Any]) -> Method:
    """Make an instance.

    Raises:
        TaskmarkError: if a field is unknown or a value is not allowed.
    """
    for name in hyperparameters:
        if name not in method.model_fields:
            raise unknown(f"hyper-parameter of {method.name!r} called", name, method.model_fields)
    try:
        return method(**hyperparameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(place) for place in first["loc"])
        raise TaskmarkError(
            f"The method {method.name!r} does not take {field} = {first['input']!r}: "
            f"{first['msg'][0].lower()}{first['msg'][1:]}."
        ) from error
    except TaskmarkError:
        raise
    except Exception as error:
        raise TaskmarkError(
            f"The method {method.name!r} cannot be made ({type(error).__name__}: {error}); "
            "mend its constructor."
        ) from error


def built_in() -> Iterator[Found]:
    """The methods of taskmark itself, in the order of their names; a file may define several."""
    package = importlib.import_module(BUILT_IN_PACKAGE)
    found: list[Found] = []
    for entry in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{BUILT_IN_PACKAGE}.{entry.name}")
        found += _defined_in(module, "built-in")
    yield from sorted(found, key=lambda one: one.method.name)


def from_packages() -> Iterator[Found]:
    """The methods that installed packages offer.

    Raises:
        TaskmarkError: if one of them cannot be imported or is no method.
    """
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        target = _loaded(point)
        distribution = point.dist.name if point.dist else None
        if isinstance(target, ModuleType):
            yield from _defined_in(target, "package", distribution)
        elif inspect.isclass(target) and issubclass(target, Method):
            check_facts(target)
            yield Found(target, "package", Path(inspect.getfile(target)), distribution)
        else:
            raise TaskmarkError(
                f"The entry point {point.value!r} of {distribution or 'a package'} is no subclass "
                "of taskmark.Method; mend that package or uninstall it."
            )


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise TaskmarkError(
            f"The entry point {point.value!r} cannot be imported "
            f"({type(error).__name__}: {error}); mend that package or uninstall it."
        ) from error


class _FreshLoader(SourceFileLoader):
    """Compiles the file as it is now; kept bytecode may be older, within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.get_filename(fullname))


def from_file(path: Path) -> Iterator[Found]:
    """The methods that a plug-in file defines.

    Raises:
        TaskmarkError: if it cannot be imported or defines none.
    """
    require_file(path)
    # Once a content, so that a file that was edited is read anew.
    total = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes())
    name = f"taskmark_plugin_{total.hexdigest()[:12]}"
    if name not in sys.modules:
        if path.suffix != ".py":
            raise TaskmarkError(f"The plug-in {str(path)!r} is not Python; give a .py file.")
        loader = _FreshLoader(name, str(path))
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        module = importlib.util.module_from_spec(cast("ModuleSpec", spec))
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, KeyboardInterrupt):
                raise
            raise TaskmarkError(
                f"The plug-in {str(path)!r} cannot be imported "
                f"({sentence(error, module.__file__)}); mend it and run again."
            ) from error
    found = list(_defined_in(sys.modules[name], "file"))
    if not found:
        raise TaskmarkError(
            f"The plug-in {str(path)!r} defines no subclass of taskmark.Method with a name; write "
            'one that says name = "my_method", without a type.'
        )
    yield from found


def require_file(path: Path) -> None:
    """Refuse the path of a plug-in that is no file.

    Raises:
        TaskmarkError: if it is none.
    """
    if not path.is_file():
        raise TaskmarkError(f"There is no plug-in file {str(path)!r}; give the path of a .py file.")


def _defined_in(
    module: ModuleType, origin: Origin, distribution: str | None = None
) -> Iterator[Found]:
    for value in vars(module).values():
        if (
            inspect.isclass(value)
            and issubclass(value, Method)
            and value.__module__ == module.__name__
            and "name" in vars(value)
        ):
            check_facts(value)
            yield Found(value, origin, Path(inspect.getfile(value)), distribution)


def check_facts(method: type[Method]) -> None:
    """Check what a class states about itself.

    Raises:
        TaskmarkError: if a fact has a value that it cannot have.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(method.name)):
        raise TaskmarkError(
            f"The method name {method.name!r} in {inspect.getfile(method)} is not an identifier in "
            "lower case; use letters, digits and underscores."
        )
    if method.name in GROUPS:
        raise TaskmarkError(
            f"The method name {method.name!r} in {inspect.getfile(method)} is that of a group of "
            "methods; use another name."
        )
    for fact, known in _CHOICES.items():
        if getattr(method, fact) not in known:
            raise TaskmarkError(
                f"The method {method.name!r} declares {fact} = {getattr(method, fact)!r}; "
                f"use one of {', '.join(known)}."
            )
    if method.scale_range is not None and not is_interval(method.scale_range):
        raise TaskmarkError(
            f"The method {method.name!r} declares scale_range = {method.scale_range!r}; "
            "give two finite numbers, the smaller first, or None."
        )
    if not is_number_of_tasks(method.n_tasks):
        raise TaskmarkError(
            f"The method {method.name!r} declares n_tasks = {method.n_tasks!r}; give the least "
            "number of tasks, at least 1, and the most, or None where there is none."
        )


def is_number_of_tasks(value: object) -> bool:
    """Whether it says how many tasks at least, and at most or None."""
    match value:
        case (int(least), None):
            return least >= 1
        case (int(least), int(most)):
            return 1 <= least <= most
    return False
