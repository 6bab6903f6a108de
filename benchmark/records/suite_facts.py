"""Which suite a record belongs to, and what the run changed of it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from taskmark.records.frozen import Frozen


class Variant(Frozen):
    """What a run changed of a suite; all fields are empty where it changed nothing.

    Attributes:
        paper: the paper whose protocol was laid over it, as `taskmark reproduce` takes it: the name
            of one that is shipped, or the name of a file ("mine.toml").
        tasks: the tasks that were kept, in the suite's order.
        racing: whether scales are searched by racing.
        unresolved: digits that stand for data which the suite leaves open; see
            `taskmark.suite.unfrozen_suites`.
        experts: the family of the experts that were brought along.
    """

    paper: str = ""
    tasks: tuple[str, ...] = ()
    racing: bool = False
    unresolved: str = ""
    experts: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The changes in words, in the order in which a run makes them."""
        words = [self.paper.removesuffix(".toml"), *self.tasks, "racing" if self.racing else ""]
        words += [f"unresolved.{self.unresolved}" if self.unresolved else ""]
        words += [f"experts.{self.experts}" if self.experts else ""]
        return tuple(word for word in words if word)


class SuiteFacts(Frozen):
    """Which suite a record belongs to.

    Attributes:
        name: of the suite.
        version: of the suite, such as "1.0".
        sha256: hash of the suite's definition, which itself names the hashes of all its data and
            weights, and of what the run changed of it.
        variant: what the run changed of it.
    """

    name: str
    version: str
    sha256: str
    variant: Variant = Field(default=Variant(), exclude_if=lambda variant: variant == Variant())

    @model_validator(mode="before")
    @classmethod
    def _read_packed_version(cls, values: Any) -> Any:
        """Early records have the variant in the version: "1.0+street+racing+experts.THEIRS"."""
        if not isinstance(values, dict) or "variant" in values:
            return values
        version, *parts = str(values.get("version", "")).split("+")
        facts = {**values, "version": version, "variant": _variant_of(parts)}
        same = parts and edition_of(version, facts["variant"]) == values["version"]
        return facts if same else values

    @property
    def edition(self) -> str:
        """The version and what was changed of it: "1.0", "1.0+racing"."""
        return edition_of(self.version, self.variant)

    @property
    def label(self) -> str:
        """What people are shown: "mini@1.0", "mini@1.0+racing"."""
        return f"{self.name}@{self.edition}"

    def content(self) -> dict[str, str]:
        """What a record's identity covers; the same whether the variant is in the version."""
        return {"name": self.name, "version": self.edition, "sha256": self.sha256}


def edition_of(version: str, variant: Variant) -> str:
    """A version with the parts of a variant, for people."""
    return "+".join((version, *variant.parts))


_EARLY_PAPER = re.compile("closed-vocabulary|dv-basi|tangent|ties")
"""The papers that were shipped while variants were packed into versions."""


def _variant_of(parts: list[str]) -> Variant:
    fields: dict[str, Any] = {}
    for part in parts:
        word, _, rest = part.partition(".")
        if _EARLY_PAPER.fullmatch(part):
            fields["paper"] = part
        elif part == "racing":
            fields["racing"] = True
        elif rest and word in {"unresolved", "experts"}:
            fields[word] = rest
        else:
            fields["tasks"] = (*fields.get("tasks", ()), part)
    return Variant(**fields)
