"""Classes of notebooks become plug-in files that stand for themselves."""

from __future__ import annotations

import linecache
import sys
from types import ModuleType

import pytest

from taskmark.errors import TaskmarkError
from taskmark.plugins.class_source import find_plugin, read_source
from taskmark.plugins.registry import find

IMPORTS = """
import math
import numpy as np
import torch.nn.functional as F
from typing import Literal, ClassVar, Annotated
from pydantic import Field
from taskmark import Given, Method
from torch import Tensor
"""
MINE = '''
class Mine(Method):
    """Mine."""

    name = "mine"
    track: ClassVar = "weights"
    share: Annotated[float, Field(gt=0)] = 0.5
    kind: Literal["a", "b"] = "a"

    def merge(self, given: Given) -> Tensor:
        """Add."""
        inner = [np.float64(x) for x in range(3)]
        return math.sqrt(self.share) * F.normalize(given.task_vectors, dim=1).sum(0) + sum(inner)
'''


@pytest.fixture
def main(monkeypatch):
    """The module of a notebook."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


@pytest.fixture
def cell(main, monkeypatch):
    """Run cells of a notebook in one namespace, as IPython does; return the namespace."""
    namespace = vars(main)
    n_cells = 0

    def call(text):
        nonlocal n_cells
        n_cells += 1
        name = f"<cell-{n_cells}>"
        lines = text.splitlines(keepends=True)
        monkeypatch.setitem(linecache.cache, name, (len(text), None, lines, name))
        exec(compile(text, name, "exec", dont_inherit=True), namespace)  # noqa: S102
        return namespace

    return call


def test_a_class_of_a_notebook_is_saved_with_what_it_imports(cell, tmp_path):
    cell(IMPORTS)
    cls = cell("unused = 3\n" + MINE + "\nprint")["Mine"]
    path = find_plugin(cls, tmp_path / "plugins")
    assert path == tmp_path / "plugins" / "mine.py"
    found = find([path])["mine"].method
    assert found().model_dump() == cls().model_dump()
    assert found.summary() == "Mine."
    text = path.read_text("utf-8")
    assert "unused" not in text
    assert "import torch.nn.functional as F" in text
    assert find_plugin(cls, tmp_path / "plugins") == path


def test_the_last_of_several_definitions_counts(cell):
    cell(IMPORTS)
    cell(MINE)
    later = cell(MINE.replace("0.5", "0.25"))["Mine"]
    assert "0.25" in read_source(later)


@pytest.mark.parametrize(
    ("before", "body", "names"),
    [
        ("factor = 3", "return factor * given.task_vectors.sum(0)", "factor"),
        ("def helper(x):\n    return x", "return helper(given.task_vectors.sum(0))", "helper"),
        ("", "return nowhere(given)", "nowhere"),
        ("table = {1: 2}", "return [table[1] for _ in range(3)]", "table"),
        ("class Base(Method):\n    pass", "return super().merge(given)", "Base"),
    ],
)
def test_one_that_leans_on_the_notebook_is_refused_with_a_sentence(cell, before, body, names):
    cell(IMPORTS)
    base = "Base" if "Base" in before else "Method"
    cell(before)
    text = f'class Leaning({base}):\n    name = "leaning"\n    def merge(self, given):\n'
    text += f"        {body}\n"
    cls = cell(text)["Leaning"]
    with pytest.raises(TaskmarkError, match=f"Leaning uses {names} of the notebook"):
        read_source(cls)


def test_names_in_annotations_that_are_never_looked_up_are_left_out(cell):
    cell(IMPORTS)
    future = "from __future__ import annotations\n"
    text = MINE.replace("given: Given", "given: OnlyForTypeCheckers")
    source = read_source(cell(future + text)["Mine"])
    assert future.strip() in source
    compile(source, "mine.py", "exec")


def test_a_class_without_functions_is_found(cell):
    cell(IMPORTS + "from taskmark.methods.ties import Ties\n")
    cls = cell('class Bold(Ties):\n    """Bold."""\n\n    name = "bold"\n    order_matters = ""\n')
    assert "class Bold(Ties)" in read_source(cls["Bold"])


def test_a_class_of_a_module_is_taken_from_its_file(tmp_path, monkeypatch):
    (tmp_path / "some_module_of_mine.py").write_text(IMPORTS + MINE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import some_module_of_mine  # noqa: PLC0415

    path = find_plugin(some_module_of_mine.Mine, tmp_path / "plugins")
    assert path == tmp_path / "some_module_of_mine.py"


def test_a_class_whose_source_nobody_has_is_a_sentence(main):
    namespace = vars(main)
    exec(IMPORTS + MINE, namespace)  # noqa: S102 - without lines
    with pytest.raises(TaskmarkError, match="The source of the class Mine is not known"):
        read_source(namespace["Mine"])
