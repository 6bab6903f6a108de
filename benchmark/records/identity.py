"""What makes two records the same row, and which record of a row counts.

A hyper-parameter that a method gains later must not part old rows from new ones. A record writes
out all hyper-parameters and, since it may be read where the method is not installed, the defaults
that its class had. A record that lacks one of them is from before the class had it, and stands for
the value that keeps the old behaviour: the default that the hyper-parameter came with.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from taskmark.records.catalogue import HyperParameter
    from taskmark.records.envelope import Envelope

R = TypeVar("R", bound="Envelope")

Defaults = dict[str, dict[str, Any]]
"""The hyper-parameters of methods with the defaults that they came with, by the method's name."""


class RowIdentity(NamedTuple):
    """What makes two measurements the same row.

    Attributes:
        suite: its label, which says what was changed of it: "mini@1.0+racing". The heads of a
            backbone and the family of experts that were brought along follow from it.
        backbone: name of the backbone.
        recipe: of the experts; empty where none are involved.
        method: its name; empty where no method is involved.
        hyperparameters: all of them, as JSON in canonical form.
        expert_seed: of the experts.
        method_seed: of the method's generator.
    """

    suite: str
    backbone: str
    recipe: str
    method: str
    hyperparameters: str
    expert_seed: int
    method_seed: int

    def with_defaults(self, defaults: Defaults) -> RowIdentity:
        """The same row with the hyper-parameters that its method has gained since."""
        written = json.loads(self.hyperparameters)
        return self._replace(
            hyperparameters=canonical_json({**defaults.get(self.method, {}), **written})
        )


def identify_row(record: Envelope, defaults: Defaults | None = None) -> RowIdentity:
    """The row of a record.

    Args:
        record: of any kind.
        defaults: what is known of methods, see `collect_defaults`.
    """
    method = record.made_by
    expert_seed, method_seed = record.seed_pair
    identity = RowIdentity(
        suite=record.suite.label,
        backbone=record.backbone,
        recipe=record.recipe,
        method=method.name if method else "",
        hyperparameters=canonical_json(method.hyperparameters if method else {}),
        expert_seed=expert_seed,
        method_seed=method_seed,
    )
    return identity.with_defaults(defaults or {})


def collect_defaults(records: Iterable[Envelope]) -> Defaults:
    """The default that each hyper-parameter came with, from all that records say of it."""
    found: Defaults = {}
    for record in sorted(records, key=age):
        if (method := record.made_by) is not None:
            found[method.name] = {**method.defaults, **found.get(method.name, {})}
    return found


def canonical_json(hyperparameters: Mapping[str, Any]) -> str:
    """Hyper-parameters as JSON text that is the same for equal values."""
    return json.dumps(hyperparameters, sort_keys=True)


def keep_newest(records: Iterable[R]) -> list[R]:
    """Keep of each row and set of tasks the record created last.

    A row is that of `identify_row`, on one definition of its suite. A record without tasks (failed,
    skipped) supersedes all earlier ones of its row, whatever their tasks, and is superseded by any
    later one. Kinds that have no results by task keep one record of each row.

    Returns:
        The records that count, in an order that depends on their content alone.
    """
    listed = sorted(records, key=age)
    defaults = collect_defaults(listed)
    rows: dict[tuple[str, RowIdentity], dict[frozenset[str], R]] = {}
    for record in listed:
        row = rows.setdefault((record.suite.sha256, identify_row(record, defaults)), {})
        if record.task_names:
            row.pop(frozenset(), None)
        else:
            row.clear()
        row[record.task_names] = record
    kept = ((key, record) for key, row in rows.items() for record in row.values())
    return [record for _, record in sorted(kept, key=lambda kept: (kept[0], kept[1].record_id))]


def age(record: Envelope) -> tuple[float, str]:
    """Order by creation; the id decides between records of the same moment."""
    created = datetime.fromisoformat(record.provenance.created_at)
    return created.timestamp(), record.record_id


def read_defaults(fields: Iterable[HyperParameter]) -> dict[str, Any]:
    """The defaults of a method's fields, of those whose default is a JSON value.

    Args:
        fields: as `taskmark.plugins.registry.Found.hyperparameters` returns them.
    """
    found = {}
    for field in fields:
        try:
            found[field.name] = json.loads(field.default)
        except ValueError:  # it must be given, or hangs on the others
            continue
    return found


def hyperparameters_for_identity(
    fields: Iterable[HyperParameter], hyperparameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The hyper-parameters that are not at their default, for keys of what a method makes.

    A key that leaves the others out stays as it is when the method gains a field. The method's code
    must be part of the key, since a default may change.

    Args:
        fields: of the method.
        hyperparameters: with their values, as JSON types.
    """
    defaults = read_defaults(fields)
    return {
        name: value
        for name, value in hyperparameters.items()
        if name not in defaults
        or canonical_json({"": value}) != canonical_json({"": defaults[name]})
    }


def settings_for_identity(model: BaseModel) -> dict[str, Any]:
    """The settings of a suite, a protocol or a stage that are not at their default, for keys.

    A key that leaves the others out stays as it is when the schema gains a field. Whoever changes
    the default of a field that is there must raise the version of the stages that read it.
    """
    return model.model_dump(mode="json", exclude_defaults=True)
