"""How much is tried: `pytest tests/fuzz --hypothesis-profile long` tries much more."""

from __future__ import annotations

import sys

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]

settings.register_profile("default", deadline=None, suppress_health_check=SLOW)
settings.register_profile("short", max_examples=40, deadline=None, suppress_health_check=SLOW)
settings.register_profile("long", max_examples=2000, deadline=None, suppress_health_check=SLOW)


def pytest_terminal_summary(terminalreporter):
    read = getattr(sys.modules.get("test_foreign_files"), "FUZZED", [])
    terminalreporter.write_line(f"inputs fuzzed: {len(read)}")
