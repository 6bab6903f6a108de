"""taskmark: a benchmark of model editing, and the contract that methods keep.

    import taskmark

    results = taskmark.run("mini", methods=["ties"], backbones=["image_text"], out="results")
    results.to_dataframe()
    results.board("image_text")
    taskmark.load_results("results")
    taskmark.methods.get("ties")(density=0.2)

What `__all__` names is public; CONTRIBUTING.md says how it may change.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskmark import methods
    from taskmark.api import run
    from taskmark.contract.edit import Edit, Mask
    from taskmark.contract.given import Given
    from taskmark.contract.head import Head
    from taskmark.contract.method import Method
    from taskmark.contract.recipe import Recipe
    from taskmark.contract.weights import WeightSpace
    from taskmark.errors import TaskmarkError
    from taskmark.reports.results import Results, load_results

    __version__: str

__all__ = [
    "Edit",
    "Given",
    "Head",
    "Mask",
    "Method",
    "Recipe",
    "Results",
    "TaskmarkError",
    "WeightSpace",
    "__version__",
    "load_results",
    "methods",
    "run",
]

_HOME = {
    "Edit": "taskmark.contract.edit",
    "Given": "taskmark.contract.given",
    "Head": "taskmark.contract.head",
    "Mask": "taskmark.contract.edit",
    "Method": "taskmark.contract.method",
    "Recipe": "taskmark.contract.recipe",
    "Results": "taskmark.reports.results",
    "TaskmarkError": "taskmark.errors",
    "WeightSpace": "taskmark.contract.weights",
    "load_results": "taskmark.reports.results",
    "run": "taskmark.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `taskmark --help` needs no torch."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name == "methods":
        return importlib.import_module("taskmark.methods")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("taskmark")
    raise AttributeError(f"module 'taskmark' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
