"""Options of the measurements of speed, and the one thread that they run on."""

from __future__ import annotations

import pytest
import torch
from side_by_side import N_TASKS

from taskmark import Given, WeightSpace

DEFAULT_SIZE = 5_000_000
SIZE_OF_VIT_B = 87_500_000


def pytest_addoption(parser):
    group = parser.getgroup("timing")
    group.addoption(
        "--size",
        type=int,
        default=DEFAULT_SIZE,
        metavar="P",
        help=f"numbers in a task vector that is merged; ViT-B/32 has {SIZE_OF_VIT_B}",
    )
    group.addoption(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="another library and an interpreter that has it (`nox -s timing -- --peers` does it)",
    )
    group.addoption(
        "--peer-model",
        default="vit_small_patch32_224",
        metavar="NAME",
        help="the timm model whose tensors are merged beside the peers",
    )
    group.addoption(
        "--peer-rounds",
        type=int,
        default=5,
        metavar="N",
        help="timed calls of a peer, of which the median counts",
    )


@pytest.fixture(scope="session")
def size(request) -> int:
    """P, the length of a task vector; the default where this folder was not named to pytest."""
    return request.config.getoption("size", DEFAULT_SIZE)


@pytest.fixture(scope="module")
def given(size) -> Given:
    """Task vectors of one tensor."""
    generator = torch.Generator().manual_seed(0)
    pretrained = torch.empty(size).normal_(generator=generator)
    vectors = torch.empty(N_TASKS, size).normal_(std=0.01, generator=generator)
    return Given.of_weights(pretrained, vectors, WeightSpace.of({"all": pretrained}))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
