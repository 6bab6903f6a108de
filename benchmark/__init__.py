"""taskmark: a benchmark of model editing, and the contract that methods keep."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskmark.contract.edit import Edit, Mask
    from taskmark.contract.given import Given
    from taskmark.contract.head import Head
    from taskmark.contract.method import Method
    from taskmark.contract.recipe import Recipe
    from taskmark.contract.weights import WeightSpace

__all__ = ["Edit", "Given", "Head", "Mask", "Method", "Recipe", "WeightSpace"]

_HOME = {
    "Edit": "taskmark.contract.edit",
    "Given": "taskmark.contract.given",
    "Head": "taskmark.contract.head",
    "Mask": "taskmark.contract.edit",
    "Method": "taskmark.contract.method",
    "Recipe": "taskmark.contract.recipe",
    "WeightSpace": "taskmark.contract.weights",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `taskmark --help` needs no torch."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'taskmark' has no attribute {name!r}")
