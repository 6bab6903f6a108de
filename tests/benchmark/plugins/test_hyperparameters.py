"""What is said of a method's fields: what they may be, and their defaults."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from taskmark import Method
from taskmark.plugins.hyperparameters import hyperparameters_of, in_words


class Norm(enum.Enum):
    ONE = "l1"
    TWO = "l2"


class Span(BaseModel):
    low: float = 0.0


class Odd(Method):
    """A method with fields of types that few have."""

    name = "odd"
    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    norm: Norm = Norm.TWO
    weigh: Callable[[int], int] = abs
    steps: tuple[Annotated[int, Field(ge=2)], ...] | None = None
    span: Span = Span()
    must: bool
    aliased: int = Field(default=3, alias="otherName")
    made: list[str] = Field(default_factory=lambda: ["a"])
    follows: int = Field(default_factory=lambda data: data["aliased"])


def test_a_method_without_fields_has_none():
    class Plain(Method):
        name = "plain"

    assert hyperparameters_of(Plain) == ()


def test_fields_of_any_type_are_said():
    said = {one.name: (one.values, one.default) for one in hyperparameters_of(Odd)}
    assert said == {
        "norm": ('"l1" or "l2"', '"l2"'),
        "weigh": ("value", "abs"),
        "steps": ("list, each a whole number ≥ 2 or none", "null"),
        "span": ("Span", '{"low": 0.0}'),
        "must": ("true or false", ""),
        "aliased": ("whole number", "3"),
        "made": ("list, each a text", '["a"]'),
        "follows": ("whole number", "from the others"),
    }


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number > 0, ≤ 1"),
        ({"type": "integer", "minimum": 1}, "whole number ≥ 1"),
        ({"enum": ["a", 2]}, '"a" or 2'),
        ({"const": "a"}, '"a"'),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or none"),
        ({"type": "array", "items": {"type": "integer"}}, "list, each a whole number"),
        ({"$ref": "#/$defs/Unknown"}, "value"),
        ({}, "value"),
    ],
)
def test_a_schema_is_said_in_words(schema, words):
    assert in_words(schema) == words
