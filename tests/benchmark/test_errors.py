"""Errors: a name that is unknown, with what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from taskmark.errors import TaskmarkError, first_fault, sentence, unknown


def test_a_close_name_is_suggested():
    error = unknown("method", "tie", ["ties", "atlas"])
    assert str(error) == "There is no method 'tie'; did you mean 'ties'?"


def test_where_none_is_close_all_are_named_in_order():
    error = unknown("suite", "zzz", ["mini", "clip-8"])
    assert str(error) == "There is no suite 'zzz'; known: clip-8, mini."
    assert str(unknown("suite", "zzz", [])).endswith("known: none.")


def _called(raising):
    raising()


def _raised(error, file=None):
    def raising():
        raise error

    with pytest.raises(type(error)) as caught:
        _called(raising)
    return sentence(caught.value, file)


def test_the_line_of_a_file_is_named_that_raised():
    (line,) = [
        number
        for number, text in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1)
        if text.strip() == "raise error"
    ]
    error = ValueError("no\n  more")
    assert _raised(error, __file__) == f"ValueError: no more, line {line} of test_errors.py"


@pytest.mark.parametrize("file", [None, "elsewhere.py"])
def test_no_line_is_named_of_a_file_that_took_no_part(file):
    assert _raised(ValueError("no"), file) == "ValueError: no"


def test_what_a_user_can_mend_needs_no_line():
    assert _raised(TaskmarkError("Do this."), __file__) == "Do this."


class _Inner(BaseModel):
    sizes: list[int]


class _Outer(BaseModel):
    inner: _Inner


def test_the_first_fault_is_named_by_its_place():
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate({"inner": {"sizes": [1, "many"]}})
    place, told = first_fault(caught.value)
    assert place == "inner.sizes.1"
    assert "integer" in told


def test_what_is_no_table_at_all_is_at_fault_at_the_top():
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate("a word")
    assert first_fault(caught.value)[0] == "the top"
