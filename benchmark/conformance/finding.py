"""What one check found, and the error by which a check says that something does not hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        passed: whether the method keeps this part of the contract.
        sentence: what holds, or what does not and how to mend it.
    """

    check: str
    passed: bool
    sentence: str


class UnmetError(Exception):
    """A part of the contract is not kept; the message says which, and the cure."""
