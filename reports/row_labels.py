"""Names of rows: the method, with its hyper-parameters where the name alone would not tell."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

RowKey = tuple[str, str, str]
"""A method, a recipe, and the hyper-parameters as JSON."""


def row_labels(keys: Iterable[RowKey]) -> dict[RowKey, str]:
    """Name the rows of a board.

    Args:
        keys: of its rows.

    Returns:
        key -> the method's name; where rows of one recipe share it, with what differs between them.
    """
    alike: dict[tuple[str, str], list[RowKey]] = defaultdict(list)
    for key in keys:
        alike[key[:2]].append(key)
    labels = {}
    for (method, _), of_method in alike.items():
        values = {key: json.loads(key[2]) for key in of_method}
        names = sorted({parameter for of_key in values.values() for parameter in of_key})
        for key in of_method:
            telling = [
                f"{parameter}={json.dumps(values[key].get(parameter))}"
                for parameter in names
                if len({json.dumps(other.get(parameter)) for other in values.values()}) > 1
            ]
            labels[key] = f"{method}[{','.join(telling)}]" if telling else method
    return labels
