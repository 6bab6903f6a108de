"""CONTRIBUTING.md is tried by doing what it says, line by line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from taskmark import cli
from taskmark.plugins.submission import read_submission
from taskmark.records import provenance

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SUBMIT = TEXT.partition("## Submit a method")[2].partition("\n## ")[0]
(WALK,) = re.findall(r"```sh\n(.*?)```", SUBMIT, flags=re.DOTALL)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository to submit in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKMARK_STORE", str(tmp_path / "store"))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    subprocess.run(["git", "init", "-q"], check=True)  # noqa: S607
    return tmp_path


def test_the_walk_to_a_submission_works_as_it_is_written(clone, monkeypatch, capsys):
    lines = WALK.strip().splitlines()
    assert [line.split()[1] for line in lines] == [
        "new",
        "check",
        "run",
        "submit",
        "add",
        "commit",
        "reproduce",
    ]
    provenance.own_commit.cache_clear()
    for line in lines:
        words = shlex.split(line)
        if words[0] == "git":
            subprocess.run(words, check=True, capture_output=True)  # noqa: S603
            continue
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", words)
            # Without git, nobody can tell that the tree of these tests has changes.
            patch.setenv("PATH", "")
            with pytest.raises(SystemExit) as caught:
                cli.main()
        assert not caught.value.code, capsys.readouterr().err
    provenance.own_commit.cache_clear()
    (folder,) = (clone / "submissions").glob("*/my_method")
    assert read_submission(folder)[0].state == "reproduced"


@pytest.mark.parametrize("session", sorted(set(re.findall(r"nox -s (\w+)", TEXT))))
def test_every_session_that_it_names_is_there(session):
    assert re.search(rf"^def {session}\(", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / target).exists(), target
