"""Keys change with everything that makes an artifact, and with nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskmark.errors import TaskmarkError
from taskmark.store import keys
from taskmark.store.keys import artifact_key, code_hash, source_of

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
    code_hash.cache_clear()
    keys._read.cache_clear()
    return code_hash((path,))


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
        "import taskmark.stages.geometry",
        "from taskmark.stages.geometry import geometry",
        "from taskmark.stages import geometry",
        "def f():\n    from taskmark.stages.geometry import geometry",
    ],
)
def test_what_is_imported_of_taskmark_counts_with_its_importer(tmp_path, monkeypatch, statement):
    before = _hash(tmp_path, statement)
    real = source_of("taskmark.records.frozen")
    changed = tmp_path / "record.py"
    changed.write_text(real.read_text("utf-8") + "\nEXTRA = 1\n", "utf-8")

    def elsewhere(module: str) -> Path:
        # taskmark.stages.geometry imports the module of records: the change is two steps away.
        return changed if module == "taskmark.records.frozen" else source_of(module)

    monkeypatch.setattr(keys, "source_of", elsewhere)
    assert _hash(tmp_path, statement) != before


def test_the_name_and_place_of_a_file_do_not_count(tmp_path):
    assert _hash(tmp_path, CODE) == _hash(tmp_path, CODE, "elsewhere.py")


def test_inputs_device_and_libraries_change_the_key(tmp_path, monkeypatch):
    path = tmp_path / "code.py"
    path.write_text(CODE)

    def key(inputs: dict[str, object], device: str = "cpu") -> str:
        return artifact_key(code=[path], inputs=inputs, device=device)

    base = key({"seed": 0, "tasks": ["a", "b"]})
    assert base == key({"tasks": ("a", "b"), "seed": 0})
    assert base != key({"seed": 1, "tasks": ["a", "b"]})
    assert base != key({"seed": 0, "tasks": ["b", "a"]})
    assert base != key({"seed": 0, "tasks": ["a", "b"]}, "cuda")
    monkeypatch.setattr(keys, "library_versions", lambda: {"torch": "0.0"})
    assert base != key({"seed": 0, "tasks": ["a", "b"]})


def test_a_module_is_found_without_being_imported():
    assert source_of("taskmark.methods.ties").name == "ties.py"


@pytest.mark.parametrize("module", ["no_such_module", "no_such.module", "taskmark.no_such"])
def test_a_module_that_is_not_there_is_one_sentence(module):
    with pytest.raises(TaskmarkError, match=f"no module '{module}'"):
        source_of(module)
