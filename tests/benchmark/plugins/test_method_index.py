"""The index of methods: what it reads off sources is what importing them gives."""

from __future__ import annotations

import pytest

from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.method_index import index_methods
from taskmark.plugins.registry import find


@pytest.fixture
def write(tmp_path):
    def call(text, name="mine.py"):
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    return call


def facts_of(method):
    return {
        "paper": method.paper,
        "track": method.track,
        "recipe": method.recipe,
        "role": method.role,
        "scale_range": method.scale_range,
        "n_tasks": method.n_tasks,
    }


def test_it_knows_of_every_method_what_importing_it_tells():
    index, found = index_methods(), find()
    assert index.is_whole
    assert index.methods.keys() == found.keys()
    for name, own in found.items():
        told = index.methods[name]
        assert told.origin == own.origin
        assert told.source.resolve() == own.source.resolve()
        assert told.summary == own.method.summary(), name
        assert told.facts == facts_of(own.method), name
        assert list(told.fields) == list(own.method.model_fields), name
        for field, facts in own.method.model_fields.items():
            assert (told.fields[field].default == "") == facts.is_required(), (name, field)


PLAIN = '''"""Mine."""
from typing import ClassVar

import taskmark
from taskmark import Method


class Base(Method):
    """Abstract."""

    share: float = 0.5


class Mine(Base):
    """Do what is mine.

    At length.
    """

    name = "mine"
    track: ClassVar = "labelled"
    rounds: int


class Other(taskmark.Method):
    name = "other"
'''


def test_it_reads_a_plug_in_file(write):
    path = write(PLAIN)
    index = index_methods([path])
    mine = index.methods["mine"]
    assert index.is_whole
    assert (mine.origin, mine.source, mine.summary) == ("file", path, "Do what is mine.")
    assert mine.facts["track"] == "labelled"
    assert [(k, f.annotation, f.default) for k, f in mine.fields.items()] == [
        ("share", "float", "0.5"),
        ("rounds", "int", ""),
    ]
    assert "other" in index.methods
    assert "Base" not in {m.name for m in index.methods.values()}


@pytest.mark.parametrize(
    "end",
    [
        'made = type("Made", (Method,), {"name": "made"})',
        "from elsewhere import *",
        'for name in ("a", "b"):\n    globals()[name] = None',
        "@register\nclass Made(Method):\n    pass",
    ],
)
def test_where_a_source_does_not_show_all_no_name_is_refused(write, end):
    index = index_methods([write(PLAIN + end)])
    assert not index.is_whole
    index.check([MethodChoice("made")])


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (MethodChoice("tiess"), "no method 'tiess'; did you mean 'ties'"),
        (MethodChoice("mein"), "did you mean 'mine'"),
        (MethodChoice("ties", (("densty", 1),)), "called 'densty'; did you mean 'density'"),
        (MethodChoice("mine", (("shares", 1),)), "did you mean 'share'"),
    ],
)
def test_a_wrong_word_gets_a_suggestion(write, choice, words):
    index = index_methods([write(PLAIN)])
    with pytest.raises(TaskmarkError, match=words):
        index.check([choice])


def test_a_file_that_is_none_is_a_sentence(write, tmp_path):
    with pytest.raises(TaskmarkError, match="no plug-in file"):
        index_methods([tmp_path / "nowhere.py"])
    with pytest.raises(TaskmarkError, match=r"cannot be imported \(SyntaxError"):
        index_methods([write("def (:")])
