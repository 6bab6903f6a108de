"""taskmark: a benchmark of model editing, and the contract that methods keep."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskmark.edit import Edit, Mask
    from taskmark.given import Given
    from taskmark.head import Head
    from taskmark.method import Method
    from taskmark.weights import WeightSpace

__all__ = ["Edit", "Given", "Head", "Mask", "Method", "WeightSpace"]

_HOME = {
    "Edit": "taskmark.edit",
    "Given": "taskmark.given",
    "Head": "taskmark.head",
    "Mask": "taskmark.edit",
    "Method": "taskmark.method",
    "WeightSpace": "taskmark.weights",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `taskmark --help` needs no torch."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'taskmark' has no attribute {name!r}")
