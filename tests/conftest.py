"""Fixtures that all tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tiny_provider
from hypothesis import settings

from taskmark.stages.task_inputs import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

# Test machines are shared: how long an example takes says nothing there.
settings.register_profile("default", deadline=None)


# What takes longest is handed out first, so that no process is left with it alone at the end.
LONGEST = (
    "test_main_job.py",
    "test_real_suites.py",
    "test_examples.py",
    "test_papers_on_real_suites.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def tiny_toml(version: str = "0.1") -> str:
    """The definition of the tiny suite, with the hashes of its data as they are."""
    tasks = {n: fingerprint(tiny_provider.task(n)) for n in ("hills", "lakes", "woods")}
    weights = {n: tiny_provider.weights_sha256(n) for n in ("plain", "worded")}
    return tiny_provider.TINY.format(version=version, **tasks, **weights)


@pytest.fixture(scope="session")
def tiny_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the tiny suite."""
    path = tmp_path_factory.mktemp("suite") / "tiny-0.1.toml"
    path.write_text(tiny_toml(), "utf-8")
    return path
