"""The methods that compete: one file a method or family of close variants, found by a scan."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["get", "names"]


def __getattr__(name: str) -> Any:
    """Re-export the registry's functions when they are first used."""
    if name in __all__:
        return getattr(importlib.import_module("taskmark.plugins.registry"), name)
    raise AttributeError(f"module 'taskmark.methods' has no attribute {name!r}")
