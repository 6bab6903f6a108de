"""Names of rows: the method, with its hyper-parameters where the name alone would not tell."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.records.record import Record


def row_labels(grouped: Mapping[str, list[Record]]) -> dict[str, str]:
    """Name the rows of a board.

    Args:
        grouped: key of a row -> its records.

    Returns:
        key -> the method's name; where rows of one recipe share it, with what differs between them.
    """
    facts = {key: (of_row[0].method, of_row[0].recipe) for key, of_row in grouped.items()}
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, (method, recipe) in facts.items():
        alike[method.name, recipe].append(key)
    labels = {}
    for (name, _), keys in alike.items():
        values = {key: facts[key][0].hyperparameters for key in keys}
        names = sorted({parameter for of_key in values.values() for parameter in of_key})
        for key in keys:
            telling = [
                f"{parameter}={json.dumps(values[key].get(parameter))}"
                for parameter in names
                if len({json.dumps(other.get(parameter)) for other in values.values()}) > 1
            ]
            labels[key] = f"{name}[{','.join(telling)}]" if telling else name
    return labels
