"""Characters as tokens: a line of text is one number a character, and ends with a newline."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PADDING = 0
"""The token behind the end of a line; it is no character."""

CHARACTERS = "\n =" + string.ascii_lowercase + string.digits + "+()[]{}.,"
"""Character k is token k + 1."""

N_TOKENS = len(CHARACTERS) + 1
ANSWER = "="
"""Ends every prompt, and occurs nowhere else."""

END = "\n"
"""Ends every answer."""

_TOKEN = {character: k for k, character in enumerate(CHARACTERS, start=1)}
ANSWER_TOKEN = _TOKEN[ANSWER]


def encode(text: str) -> list[int]:
    """The tokens of a text.

    Raises:
        ValueError: if a character is not in the alphabet.
    """
    try:
        return [_TOKEN[character] for character in text]
    except KeyError as error:
        raise ValueError(
            f"The character {error.args[0]!r} of {text!r} is no token; use {CHARACTERS!r}."
        ) from None


def padded(texts: Iterable[str], length: int) -> NDArray[np.int64]:
    """Tokens of texts, [N, length], padded on the right."""
    rows = [encode(text) for text in texts]
    tokens = np.full((len(rows), length), PADDING, np.int64)
    for row, own in zip(tokens, rows, strict=True):
        row[: len(own)] = own
    return tokens
