"""Fixtures that all tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tiny_provider
from hypothesis import settings

from taskmark.stages.data import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

# Test machines are shared: how long an example takes says nothing there.
settings.register_profile("default", deadline=None)

TINY = """
name = "tiny"
version = "{version}"
summary = "A suite for unit tests."
provider = "tiny_provider"
default_backbones = ["plain"]

[tasks.hills]
sha256 = "{hills}"
[tasks.lakes]
sha256 = "{lakes}"
[tasks.woods]
sha256 = "{woods}"

[backbones.plain]
weights = "plain"
sha256 = "{plain}"
heads = "probed"
[backbones.worded]
weights = "worded"
sha256 = "{worded}"
heads = "zero-shot"

[protocol]
trials = 5
gradient_images = 960
probe_strengths = [0.01, 1.0]
batch_size = 64
standard = {{ learning_rate = 1e-2, weight_decay = 0.1, warmup = 0.1, clip_norm = 1.0, \
epochs = 3, batch_size = 32 }}
tangent = {{ learning_rate = 1e-2, weight_decay = 0.1, warmup = 0.1, clip_norm = 1.0, \
epochs = 3, batch_size = 32 }}

[protocol.disentanglement]
alphas = [-0.5, 0.0, 0.5, 1.0]
n_images = 40
pairs = [["hills", "lakes"], ["hills", "woods"]]
"""


def tiny_toml(version: str = "0.1") -> str:
    """The definition of the tiny suite, with the hashes of its data as they are."""
    tasks = {n: fingerprint(tiny_provider.task(n)) for n in ("hills", "lakes", "woods")}
    weights = {n: tiny_provider.weights_sha256(n) for n in ("plain", "worded")}
    return TINY.format(version=version, **tasks, **weights)


@pytest.fixture(scope="session")
def tiny_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the tiny suite."""
    path = tmp_path_factory.mktemp("suite") / "tiny-0.1.toml"
    path.write_text(tiny_toml(), "utf-8")
    return path
