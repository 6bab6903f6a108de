"""The first file of a new method: ten lines that run as they stand."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.plugins.method_index import index_methods

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = '''"""{title}: say here what the method does, and why."""

from torch import Tensor

from taskmark import Given, Method


class {class_name}(Method):
    """Add up the task vectors."""

    name = "{name}"

    def merge(self, given: Given) -> Tensor:
        return given.task_vectors.sum(0)  # [T, P] -> [P]
'''


def write_method(name: str, folder: Path) -> Path:
    """Write a plug-in that adds up the task vectors, for its author to go on from.

    Args:
        name: of the method, an identifier in lower case.
        folder: where `name.py` goes.

    Returns:
        The path of the file.

    Raises:
        TaskmarkError: if the name is none that a method can have, or is taken, or if the file is
            there already or cannot be written.
    """
    name = name.removesuffix(".py")
    if keyword.iskeyword(name):
        raise TaskmarkError(f"The name {name!r} is a word of Python; choose another name.")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise TaskmarkError(
            f"The name {name!r} is not an identifier in lower case; use letters, digits and "
            "underscores, such as my_method."
        )
    if (taken := index_methods().methods.get(name)) is not None:
        raise TaskmarkError(
            f"There is a method {name!r} already, in {taken.source}; choose another name."
        )
    path = folder / f"{name}.py"
    words = name.split("_")
    text = _TEXT.format(
        title=" ".join(words).strip().capitalize(),
        class_name="".join(word.capitalize() for word in words),
        name=name,
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} is there already; move it away, or choose another name."
        ) from error
    except OSError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} cannot be written ({error.strerror or error}); choose a "
            "folder that can be, with --folder."
        ) from error
    return path
