"""The ways into the command line: the command, and Python's own `-m`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest


def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize("module", ["taskmark", "taskmark.cli"])
def test_a_module_is_run_as_the_command_is(module):
    found = start("-m", module, "report", "--out", "no/such/folder")
    assert found.returncode == 2
    assert found.stderr.startswith("taskmark: There are no records in 'no/such/folder'")
    assert start("-m", module, "run", "--no-such-option").returncode == 2


def test_the_version_is_the_one_that_is_installed():
    found = start("-m", "taskmark", "--version")
    assert (found.returncode, found.stdout) == (0, f"taskmark {version('taskmark')}\n")


@pytest.mark.parametrize("words", [(), ("run",), ("data",), ("data", "fetch")])
def test_help_has_a_short_name_everywhere(words):
    short, long = (start("-m", "taskmark", *words, option) for option in ("-h", "--help"))
    assert short.returncode == 0
    assert short.stdout == long.stdout
    assert "-h, --help" in short.stdout


def test_a_home_that_cannot_be_written_says_how_to_name_another_place(tmp_path):
    home = tmp_path / "home"
    home.write_text("a file, in which nothing can be made")
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TASKMARK_STORE": ""}
    out = str(tmp_path / "out")
    found = start("-m", "taskmark", "run", "--suite", "smoke", "--out", out, **places)
    assert found.returncode == 2
    (sentence,) = found.stderr.splitlines()
    assert str(home) in sentence
    assert sentence.endswith("choose another with --store or TASKMARK_STORE.")
