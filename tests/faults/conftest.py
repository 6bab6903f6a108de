"""How many faults are tried: a few with the other tests, all of them by `nox -s faults`."""

from __future__ import annotations

import os
import random
from multiprocessing import forkserver
from pathlib import Path

import pytest
from trials import SUITE, TALLY, Trial, Undisturbed

SHORT_KILLS = 6


def pytest_addoption(parser):
    group = parser.getgroup("faults")
    group.addoption(
        "--kills",
        type=int,
        default=None,
        metavar="N",
        help=f"runs killed at a random moment, {SHORT_KILLS} unless said; with it, every other "
        "fault is tried too, instead of some",
    )
    group.addoption("--chance", type=int, default=0, metavar="SEED", help="of what is random")


def pytest_terminal_summary(terminalreporter):
    if TALLY:
        figures = ", ".join(f"{name} {n}" for name, n in TALLY.items())
        terminalreporter.write_line(f"faults: {figures}, lost 0 unless a test failed")


@pytest.fixture(scope="session")
def long(request) -> bool:
    """Whether all faults are tried."""
    return request.config.getoption("--kills", None) is not None


@pytest.fixture(scope="session")
def n_kills(request) -> int:
    return request.config.getoption("--kills", None) or SHORT_KILLS


@pytest.fixture
def chance(request) -> random.Random:
    seed = request.config.getoption("--chance", 0)
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session", autouse=True)
def _forked_from(tiny_suite: Path) -> None:
    """Start the process that all trials are forked from; it knows the modules of tests so alone."""
    here = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SUITE, str(tiny_suite))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (here, here.parent))))
        forkserver.ensure_running()


@pytest.fixture(scope="session")
def undisturbed(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run of one task."""
    return Undisturbed.of(Trial(tmp_path_factory.mktemp("undisturbed"), tiny_suite))


@pytest.fixture(scope="session")
def of_two_tasks(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run of two tasks, and of their disentanglement."""
    folder = tmp_path_factory.mktemp("two")
    return Undisturbed.of(Trial(folder, tiny_suite, ("hills", "lakes")))


@pytest.fixture
def some(long, chance):
    """All of a list in the long form, and so many of it otherwise."""
    return lambda items, n: list(items) if long else chance.sample(list(items), n)
