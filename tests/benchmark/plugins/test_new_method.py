"""A new method runs as it stands, and a name that cannot be is one sentence."""

from __future__ import annotations

import pytest

from taskmark.conformance import check_method
from taskmark.errors import TaskmarkError
from taskmark.plugins.new_method import write_method
from taskmark.plugins.registry import find


@pytest.mark.parametrize(
    ("name", "class_name"),
    [("my_method", "MyMethod"), ("x2", "X2"), ("long_name_", "LongName"), ("mine.py", "Mine")],
)
def test_a_new_method_is_found_and_conforms(tmp_path, name, class_name):
    path = write_method(name, tmp_path)
    (found,) = [found for found in find([path]).values() if found.origin == "file"]
    assert (path.stem, found.method.__name__) == (found.method.name, class_name)
    assert [finding for finding in check_method(found.method) if not finding.passed] == []
    code = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    assert len(code) <= 10


@pytest.mark.parametrize("name", ["", "My", "a-b", "1st", "a b", "../x", "é"])
def test_a_name_that_no_method_can_have_is_one_sentence(tmp_path, name):
    with pytest.raises(TaskmarkError, match="is not an identifier in lower case; use"):
        write_method(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_word_of_python_is_no_name(tmp_path):
    with pytest.raises(TaskmarkError, match="'lambda' is a word of Python; choose another"):
        write_method("lambda", tmp_path)


def test_a_taken_name_is_one_sentence(tmp_path):
    with pytest.raises(TaskmarkError, match=r"is a method 'ties' already, in .*; choose another"):
        write_method("ties", tmp_path)


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1", "utf-8")
    with pytest.raises(TaskmarkError, match="is there already; move it away"):
        write_method("mine", tmp_path)
    assert (tmp_path / "mine.py").read_text("utf-8") == "x = 1"


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(TaskmarkError, match=r"cannot be written \(No such file or directory\)"):
        write_method("mine", tmp_path / "none")
