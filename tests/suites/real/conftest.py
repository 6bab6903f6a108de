"""Small backbones in a hub's cache, for the tests of the real suites."""

from __future__ import annotations

import backbone_fixtures
import pytest


@pytest.fixture(scope="session")
def made_backbones(tmp_path_factory):
    return backbone_fixtures.make(tmp_path_factory.mktemp("backbones"))


@pytest.fixture
def small(made_backbones, monkeypatch):
    """Every backbone under its usual name, small, resolved, in the hub's cache; no network."""
    backbone_fixtures.use(made_backbones, monkeypatch)
    return made_backbones
