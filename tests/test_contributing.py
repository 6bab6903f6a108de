"""What CONTRIBUTING.md names is there; `test_main_job.py` walks to a submission as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


@pytest.mark.parametrize("session", sorted(set(re.findall(r"nox -s (\w+)", TEXT))))
def test_every_session_that_it_names_is_there(session):
    assert re.search(rf"^def {session}\(", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / target).exists(), target
