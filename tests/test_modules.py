"""What no module may do: unpickle, seed a global generator, name a method, share a name.

Which folders a module may import is in `tool.importlinter` of pyproject.toml.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmark", "methods", "suites", "reports")
UNPICKLING = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {"torch.load", "np.load", "numpy.load", "eval", "exec"}
SEEDING = {"torch.manual_seed", "np.random.seed", "numpy.random.seed", "random.seed"}
# Modules that share a name because they are the same thing: the provider of a suite's folder.
SHARED_NAMES = {"__init__", "__main__", "provider"}
WORDS_OF_THE_HARNESS = {"experts", "pretrained", "coefficients"}  # stages and models too


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, and every name that it imports from one."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(names: set[str], packages: tuple[str, ...]) -> set[str]:
    return {name for name in names if f"{name}.".startswith(tuple(f"{p}." for p in packages))}


@pytest.mark.parametrize("folder", PACKAGES)
def test_nothing_unpickles_or_seeds_a_global_generator(folder):
    for path in modules(folder):
        assert not within(imported(path), tuple(UNPICKLING)), path
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            weights_alone = called == "torch.load" and "weights_only=True" in ast.unparse(node)
            assert called not in CALLS or weights_alone, path
            assert folder == "suites" or called not in SEEDING, path


def test_the_harness_names_no_competitor():
    """A method is found by scanning a folder, so no name of one is in the harness."""
    methods = {path.stem for path in modules("methods")} - {"__init__"} - WORDS_OF_THE_HARNESS
    for path in modules("benchmark"):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        assert not methods & {n.value for n in nodes if isinstance(n, ast.Constant)}, path


def test_no_two_modules_share_a_name():
    names = Counter(path.stem for folder in PACKAGES for path in modules(folder))
    assert {name for name, n in names.items() if n > 1} <= SHARED_NAMES


def test_no_two_classes_share_a_name():
    classes = Counter(
        node.name
        for folder in PACKAGES
        for path in modules(folder)
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not {name for name, n in classes.items() if n > 1}
