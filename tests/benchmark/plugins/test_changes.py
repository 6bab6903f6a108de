"""What a change touches: told from git, and from what methods import."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from taskmark import methods
from taskmark.errors import TaskmarkError
from taskmark.plugins.changes import changed_files, find_touched
from taskmark.plugins.registry import built_in

HOME = Path(methods.__file__).parent
BUILT_IN = {found.method.name: found for found in built_in()}


@pytest.fixture
def repository(tmp_path):
    """A repository with two commits, and a function that runs git in it."""

    def git(*arguments):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603

    git("init", "-q", "-b", "main")
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("x = 1\n", "utf-8")
        git("add", ".")
        git("commit", "-q", "-m", name)
    return tmp_path, git


def test_files_differ_from_where_the_tree_left_a_commit(repository):
    folder, git = repository
    assert changed_files("HEAD", folder) == []
    assert changed_files("HEAD~1", folder) == [folder / "two.py"]
    git("checkout", "-q", "-b", "side", "HEAD~1")
    (folder / "ärger 3.py").write_text("x = 1\n", "utf-8")
    git("add", ".")
    git("commit", "-q", "-m", "three")
    (folder / "one.py").write_text("x = 2\n", "utf-8")
    assert changed_files("main", folder / ".git" / "..") == [
        folder / "one.py",
        folder / "ärger 3.py",
    ]


def test_a_commit_that_is_not_known_is_one_sentence(repository, tmp_path):
    with pytest.raises(TaskmarkError, match="changed since 'nowhere' is unknown"):
        changed_files("nowhere", repository[0])
    with pytest.raises(TaskmarkError, match="run in a clone of taskmark"):
        changed_files("main", tmp_path / "none")


def test_a_method_is_touched_by_its_file_and_by_what_it_imports_of_methods(tmp_path):
    def of(*names):
        return find_touched([HOME / name for name in names], BUILT_IN, tmp_path).methods

    assert of("linear_probing.py") == ("linear_probing",)
    assert "ties" in of("trimming.py")
    assert "task_arithmetic" not in of("trimming.py")
    assert of("gone.py", "../benchmark/contract/given.py") == ()


def test_a_submission_is_touched_by_any_of_its_files(tmp_path):
    folder = tmp_path / "mini-1.0" / "mine"
    (folder / "records").mkdir(parents=True)
    (folder / "submission.json").write_text("{}", "utf-8")
    changed = [folder / "records" / "a.json", folder / "mine.py", tmp_path / "README.md"]
    assert find_touched(changed, {}, tmp_path).submissions == (folder,)
    assert find_touched([tmp_path / "mini-1.0" / "gone" / "submission.json"], {}, tmp_path) == (
        find_touched([], {}, tmp_path)
    )
