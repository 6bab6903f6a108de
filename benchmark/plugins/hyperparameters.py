"""The hyper-parameters of a method in words: what each may be, and its default."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from taskmark.records.catalogue import HyperParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic.json_schema import JsonSchemaValue

    from taskmark.contract.method import Method

_BOUNDS = (
    ("exclusiveMinimum", ">"),
    ("minimum", "≥"),
    ("exclusiveMaximum", "<"),
    ("maximum", "≤"),
)
_TYPES = {"integer": "whole number", "boolean": "true or false", "string": "text", "null": "none"}


def hyperparameters_of(method: type[Method]) -> tuple[HyperParameter, ...]:
    """The fields of a method, in the order of the class."""
    if not method.model_fields:
        return ()
    schema = method.model_json_schema(by_alias=False, schema_generator=_Lenient)
    shared = schema.get("$defs", {})
    return tuple(
        HyperParameter(
            name=name, values=in_words(schema["properties"][name], shared), default=_default(field)
        )
        for name, field in method.model_fields.items()
    )


def in_words(schema: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> str:
    """Say what a JSON Schema allows: `{"type": "number", "minimum": 0}` -> "number ≥ 0".

    Args:
        schema: of one field.
        shared: the schemas that it may refer to, by name.
    """
    if "$ref" in schema:
        referred = (shared or {}).get(schema["$ref"].rpartition("/")[2], {})
        return str(referred["title"]) if "properties" in referred else in_words(referred, shared)
    if "anyOf" in schema:
        return " or ".join(in_words(one, shared) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(json.dumps(value) for value in values)
    kind = str(schema.get("type", "value"))
    if kind == "array":
        one = in_words(schema["items"], shared) if schema.get("items") else "value"
        return f"list, each a {one}"
    bounds = [f"{sign} {schema[bound]:g}" for bound, sign in _BOUNDS if bound in schema]
    return f"{_TYPES.get(kind, kind)} {', '.join(bounds)}".strip()


class _Lenient(GenerateJsonSchema):
    """A field of a plug-in may have a type that JSON Schema has no word for."""

    def emit_warning(self, *_: object) -> None:
        pass

    def handle_invalid_for_json_schema(self, *_: object) -> JsonSchemaValue:
        return {}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    if field.default_factory_takes_validated_data:
        return "from the others"
    value = field.get_default(call_default_factory=True)
    try:
        return json.dumps(to_jsonable_python(value))
    except PydanticSerializationError:
        return str(getattr(value, "__qualname__", type(value).__qualname__))
