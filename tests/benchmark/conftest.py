"""What the tests of the harness share: small encoders, and runs of the tiny suite."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Protocol

import pytest
import tiny_provider
import torch
from torch import Tensor, nn

from taskmark.config import RunConfig
from taskmark.engine.run import Outcome, Watcher, run

if TYPE_CHECKING:
    from pathlib import Path


class Runner(Protocol):
    """Run the tiny suite in this process, in a store that tests share."""

    def __call__(
        self,
        *methods: str,
        plugin: Path | None = None,
        out: Path | None = None,
        store: Path | None = None,
        tasks: tuple[str, ...] = (),
        recipes: tuple[str, ...] = (),
        seeds: tuple[int, ...] = (0,),
        workers: int = 0,
        watcher: Watcher | None = None,
    ) -> Outcome: ...


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts are addressed by content, so tests can share them."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def tiny_run(tiny_suite: Path, tiny_store: Path, tmp_path: Path) -> Runner:
    def start(
        *methods: str,
        plugin: Path | None = None,
        out: Path | None = None,
        store: Path | None = None,
        tasks: tuple[str, ...] = (),
        recipes: tuple[str, ...] = (),
        seeds: tuple[int, ...] = (0,),
        workers: int = 0,
        watcher: Watcher | None = None,
    ) -> Outcome:
        config = RunConfig(
            suite=str(tiny_suite),
            out=out or tmp_path / "out",
            methods=methods or ("task_arithmetic",),
            recipes=recipes,
            seeds=seeds,
            tasks=tasks,
            device="cpu",
            plugins=(plugin,) if plugin else (),
            workers=workers,
            store=store or tiny_store,
        )
        return run(config, watcher)

    return start


class Write(Protocol):
    """Write a plug-in whose `edit` or `merge` has the body given."""

    def __call__(self, body: str, *, facts: str = "", name: str = "sample") -> Path: ...


@pytest.fixture
def plugin(tmp_path: Path) -> Write:
    def write(body: str, *, facts: str = "", name: str = "sample") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(
            "import os, sys, torch\n"
            "from taskmark import Edit, Head, Method\n\n\n"
            "class Sample(Method):\n"
            '    """A plug-in."""\n\n'
            f'    name = "{name}"\n'
            f"{textwrap.indent(textwrap.dedent(facts), '    ')}\n"
            "    def edit(self, given):\n"
            f"{textwrap.indent(textwrap.dedent(body), '        ')}\n",
            "utf-8",
        )
        return path

    return write


@pytest.fixture
def encoder() -> nn.Module:
    """The tiny encoder, in float64."""
    return tiny_provider.backbone("plain")[1].double()


@pytest.fixture
def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def inputs(source: torch.Generator) -> Tensor:
    """A batch for the tiny encoder, [20, 48], float64."""
    return torch.randn(20, 48, generator=source, dtype=torch.float64)
