"""How much is tried: `pytest tests/fuzz --hypothesis-profile long` tries much more."""

from __future__ import annotations

import sys

from hypothesis import settings

settings.register_profile("short", max_examples=40)
settings.register_profile("long", max_examples=2000)


def pytest_terminal_summary(terminalreporter):
    read = getattr(sys.modules.get("test_foreign_files"), "FUZZED", [])
    terminalreporter.write_line(f"inputs fuzzed: {len(read)}")
