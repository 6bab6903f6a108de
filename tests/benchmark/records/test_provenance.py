"""Provenance: the code that made a record, and its own commit of a plug-in."""

from __future__ import annotations

import json
import subprocess

import pytest

from taskmark.plugins.registry import find
from taskmark.records import provenance as module
from taskmark.records.provenance import git_commit, method_facts


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit of one plug-in."""

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(tmp_path), *who, *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "mine.py").write_text(
        'from taskmark import Method\n\n\nclass A(Method):\n    """Mine."""\n\n    name = "mine"\n'
    )
    git("add", "mine.py")
    git("commit", "-q", "-m", "One.")
    return tmp_path, git("rev-parse", "HEAD")


def test_a_commit_is_dirty_once_a_tracked_file_changed(repository):
    folder, head = repository
    assert git_commit(folder) == (head, False)
    (folder / "untracked.txt").write_text("x")
    assert git_commit(folder) == (head, False)
    (folder / "mine.py").write_text("x = 1\n")
    assert git_commit(folder) == (head, True)


def test_a_folder_outside_of_any_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) == (None, None)
    assert git_commit(tmp_path / "missing") == (None, None)


def test_a_machine_without_git_has_no_commit(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit(repository[0]) == (None, None)


def test_a_plugin_brings_its_own_commit(repository):
    folder, head = repository
    found = find([folder / "mine.py"])["mine"]
    facts = method_facts(found, {})
    assert (facts.commit, facts.dirty) == (head, False)
    assert facts.source_sha256 == found.source_sha256()
    assert facts.summary == "Mine."


def test_the_facts_of_a_method_have_its_defaults_whatever_was_chosen():
    ties = find()["ties"]
    facts = method_facts(ties, {"density": 0.1})
    assert facts.hyperparameters["density"] == 0.1
    assert facts.defaults["density"] == 0.2
    assert set(facts.defaults) == set(ties.method.model_fields)
    added = set(ties.method.added_fields)
    assert set(facts.defaults) - set(facts.hyperparameters) == added == {"weights"}


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"url": "https://a", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, ("abc", False)),
        ({"url": "https://a/b.whl", "archive_info": {}}, (None, None)),
        (None, (None, None)),
    ],
)
def test_an_installed_package_says_what_it_was_installed_from(monkeypatch, origin, expected):
    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return json.dumps(origin) if origin else None

    monkeypatch.setattr(module.importlib.metadata, "distribution", lambda _: Distribution())
    assert module._installed_from("any") == expected


def test_a_package_installed_from_a_folder_has_that_folders_commit(repository, monkeypatch):
    folder, head = repository

    class Distribution:
        def read_text(self, _name: str) -> str:
            return json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}})

    monkeypatch.setattr(module.importlib.metadata, "distribution", lambda _: Distribution())
    assert module._installed_from("any") == (head, False)


def test_a_package_that_is_not_installed_has_no_commit():
    assert module._installed_from("no-such-distribution-anywhere") == (None, None)
