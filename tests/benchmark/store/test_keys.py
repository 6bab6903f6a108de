"""Keys change with everything that makes an artifact, and with nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskmark.errors import TaskmarkError
from taskmark.store import keys
from taskmark.store.keys import artifact_key, method_code_hash, source_of

if TYPE_CHECKING:
    from pathlib import Path

CODE = '''
"""A module."""


def double(x):
    """Twice."""
    return 2 * x  # always
'''


def _hash(folder: Path, code: str, name: str = "code.py") -> str:
    path = folder / name
    path.write_text(code, "utf-8")
    method_code_hash.cache_clear()
    keys._read.cache_clear()
    return method_code_hash((path,))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# always", "# most of the time"),
        ('    """Twice."""\n', ""),
        ('"""A module."""', '"""Another word for it."""'),
        ("2 * x", "(2   *   x)"),
        ("\n\n\ndef", "\ndef"),
    ],
)
def test_comments_layout_and_docstrings_do_not_count(tmp_path, old, new):
    assert old in CODE
    assert _hash(tmp_path, CODE) == _hash(tmp_path, CODE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("2 * x", "3 * x"), ("double", "twice"), ("return 2", "return -2")]
)
def test_what_code_does_counts(tmp_path, old, new):
    assert _hash(tmp_path, CODE) != _hash(tmp_path, CODE.replace(old, new))


def test_a_string_that_is_not_a_docstring_counts(tmp_path):
    one, other = (f'def f(x):\n    y = "{text}"\n    return y\n' for text in "ab")
    assert _hash(tmp_path, one) != _hash(tmp_path, other)


@pytest.mark.parametrize(
    "statement",
    [
        "import taskmark.methods.sample",
        "from taskmark.methods.sample import LEVEL",
        "def f():\n    from taskmark.methods.sample import LEVEL",
    ],
)
def test_what_is_imported_of_methods_counts_with_its_importer(tmp_path, monkeypatch, statement):
    monkeypatch.setattr(keys, "_is_module", lambda _: True)
    sample, further = tmp_path / "sample.py", tmp_path / "further.py"
    files = {"taskmark.methods.sample": sample, "taskmark.methods.further": further}
    monkeypatch.setattr(keys, "source_of", lambda name: files.get(name, sample))
    sample.write_text("from taskmark.methods.further import LEVEL\n")
    further.write_text("LEVEL = 1\n")
    before = _hash(tmp_path, statement)
    further.write_text("LEVEL = 2\n")  # two steps away
    assert _hash(tmp_path, statement) != before


def test_the_harness_does_not_count_with_a_method(tmp_path):
    imported = "from taskmark.inference.probing import probe\nx = 1\n"
    path = tmp_path / "code.py"
    path.write_text(imported)
    assert keys.files_of([path]) == {path}


def test_the_name_and_place_of_a_file_do_not_count(tmp_path):
    assert _hash(tmp_path, CODE) == _hash(tmp_path, CODE, "elsewhere.py")


def test_identity_device_and_libraries_change_the_key(monkeypatch):
    base = artifact_key("identity", "cpu")
    assert base == artifact_key("identity", "cpu")
    assert base != artifact_key("another", "cpu")
    assert base != artifact_key("identity", "cuda")
    monkeypatch.setattr(keys, "library_versions", lambda: {"torch": "0.0"})
    assert base != artifact_key("identity", "cpu")


def test_a_module_is_found_without_being_imported():
    assert source_of("taskmark.methods.ties").name == "ties.py"


@pytest.mark.parametrize("module", ["no_such_module", "no_such.module", "taskmark.no_such"])
def test_a_module_that_is_not_there_is_one_sentence(module):
    with pytest.raises(TaskmarkError, match=f"no module '{module}'"):
        source_of(module)
