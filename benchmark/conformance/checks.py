"""The table of all checks, and how a class goes through them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from taskmark.conformance import (
    declared_facts,
    merge_memory,
    merge_results,
    random_weights,
    repetition,
)
from taskmark.conformance.finding import Finding, UnmetError
from taskmark.errors import TaskmarkError, sentence
from taskmark.machine.global_settings import keep_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmark.contract.method import Method

CHECKS: dict[str, Callable[[type[Method]], str]] = {
    "name": declared_facts.name,
    "facts": declared_facts.facts,
    "defaults": declared_facts.defaults,
    "data": merge_results.data,
    "result": merge_results.result,
    "inputs": repetition.inputs,
    "seed": repetition.seed,
    "global_randomness": repetition.global_randomness,
    "global_switches": repetition.global_switches,
    "second_run": repetition.second_run,
    "zeros": merge_results.zeros,
    "order": merge_results.order,
    "one_task": merge_results.one_task,
    "direction": merge_results.direction,
    "odd_tensors": merge_results.odd_tensors,
    "drawn_weights": random_weights.check_random_weights,
    "memory": merge_memory.memory,
}
"""What is checked, in order: a function that says what holds, or raises what does not."""

_FOUNDATIONS = ("name", "facts", "defaults", "data", "result")
_LARGE = {"large_model": merge_memory.large}  # asked for by name, since it takes gigabytes


def check_method(method: type[Method], *, large: bool = False) -> list[Finding]:
    """Run all checks on a class, on small models.

    A check on which the rest stands (the facts, the defaults, one valid result) ends the list where
    it fails.

    Args:
        method: a subclass of Method; it is tried with its default hyper-parameters.
        large: whether to merge a model of a hundred million numbers too, which takes 5 GB.

    Returns:
        One finding a check, in a fixed order.
    """
    return list(findings(method, large=large))


def findings(method: type[Method], *, large: bool = False) -> Iterator[Finding]:
    """The findings of `check_method`, each as soon as it is there."""
    for check in (*CHECKS, *(_LARGE if large else ())):
        finding = run_check(method, check)
        yield finding
        if check in _FOUNDATIONS and not finding.passed:
            return


def run_check(method: type[Method], check: str) -> Finding:
    """Run one check by its name; whatever a method raises or leaves is caught here."""
    with repetition.global_generators_restored(), keep_settings():
        try:
            return Finding(check, passed=True, sentence=({**CHECKS, **_LARGE})[check](method))
        except (UnmetError, TaskmarkError) as error:
            return Finding(check, passed=False, sentence=str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - foreign code may even exit
            reason = sentence(error, getattr(sys.modules.get(method.__module__), "__file__", None))
            return Finding(check, passed=False, sentence=f"It raised {reason}; mend the method.")
